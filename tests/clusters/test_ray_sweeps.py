"""Sweeps, tables and searches on a real Ray, as a person types them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from eleatt_bench.runs.record import RunFolder, all_runs

from .conftest import TypeIt, typed, until
from .conftest import ended as ended_in_time

pytestmark = [pytest.mark.clusters, pytest.mark.timeout(900)]

SMALL = ["experiment=digits", "model=gru", "model.hidden_size=4", "quick=true"]
ON_RAY = ["launcher=ray", "launcher.cpus=1"]

ended = partial(ended_in_time, seconds=600)


@pytest.fixture
def type_it(ray_nodes: object, user_environment: dict[str, str], tmp_path: Path) -> TypeIt:
    """Start ``eleatt-bench`` with words about Ray in a folder of the test's own."""

    def start(*words: str, **variables: str) -> subprocess.Popen[str]:
        address = {key: os.environ[key] for key in ("RAY_ADDRESS", "RAY_AUTH_TOKEN_PATH")}
        return typed(words, tmp_path, {**user_environment, **address, **variables})

    return start


def timeless(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record less how long it took, and the words that say where it lies."""
    return {k: v for k, v in record.items() if k not in ("timing", "command", "overrides")}


def runs_in(folder: Path) -> dict[str, RunFolder]:
    return {run.run_id: run for run in all_runs(folder)}


def test_the_results_are_those_of_this_machine(type_it: TypeIt, tmp_path: Path) -> None:
    sweep = ["train", "-m", *SMALL, "seed=0,1", "pretraining=digits", "trainer.num_threads=1"]
    said = ended(type_it(*sweep, *ON_RAY))
    assert "4 done, 0 failed" in said
    assert not re.search(r"ray(let|\.|:|_)|20\d\d-\d\d-\d\d", said), "Ray's chatter"
    ended(type_it(*sweep, "runs_dir=local", "launcher.jobs=2"))
    here, there = runs_in(tmp_path / "local"), runs_in(tmp_path / "runs")
    assert len(here) == 4
    assert here.keys() == there.keys()
    for name, one in here.items():
        assert one.predictions.read_bytes() == there[name].predictions.read_bytes()
        records = [run.read() or {} for run in (one, there[name])]
        assert records[0]["status"] == "finished"
        assert timeless(records[0]) == timeless(records[1])
    names = ",".join(sorted(there)[:2])
    assert "2 done, 0 failed" in ended(type_it("eval", f"run={names}", *ON_RAY))
    assert (there[sorted(there)[0]].path / "eval-best.json").exists()
    (journal,) = (tmp_path / "runs" / "sweeps").glob("digits-*/jobs.jsonl")
    assert {json.loads(line)["event"] for line in journal.read_text().splitlines()} == {
        "started", "ended"
    }  # fmt: skip
    check_what_needs_a_failed_one(type_it, tmp_path / "third", [*sweep, *ON_RAY], here)


def check_what_needs_a_failed_one(
    type_it: TypeIt, folder: Path, sweep: list[str], done: Mapping[str, RunFolder]
) -> None:
    """A file in the place of a pre-training's folder: that fails, and what needs it is left out."""
    folder.mkdir()
    (first,) = (
        name for name, run in done.items()
        if "seed=0" in (words := (run.read() or {})["overrides"])
        and not any(word.startswith("pretraining=") for word in words)
    )  # fmt: skip
    (folder / first).touch()
    said = ended(type_it(*sweep, f"runs_dir={folder}"), 1)
    assert "2 done, 1 failed, 1 left out" in said
    assert "not started, because" in said
    assert "Traceback" not in said


LONG = [*SMALL[:3], "trainer.max_epochs=100000"]


def test_detached_attached_and_cancelled(type_it: TypeIt, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    for name in ("torch", "pytorch_lightning"):
        (blocked / name).mkdir(parents=True)
        (blocked / name / "__init__.py").write_text("raise ImportError('not on this machine')")
    path = {"PYTHONPATH": f"{blocked}:{os.environ.get('PYTHONPATH', '')}"}
    sweep = ["train", "-m", *LONG, "seed=0,1", *ON_RAY]
    said = ended(type_it(*sweep, "--detach", **path))
    assert "2 jobs are in Ray's hands: ray job logs digits-" in said
    again = ended(type_it(*sweep, "--detach", **path))
    assert "Ray has 2 of the jobs already" in again
    attached = type_it(*sweep, **path)
    assert attached.stdout is not None
    while "started" not in (line := attached.stdout.readline()):
        assert line, "it ended"
    attached.send_signal(signal.SIGINT)
    assert "2 jobs stay in Ray's queue or go on" in ended(attached, 130)
    until(lambda: len(runs_in(tmp_path / "runs")) == 2, 60)
    runs = runs_in(tmp_path / "runs").values()
    assert all(run.is_locked() for run in runs)
    assert "2 jobs of digits-" in ended(type_it(*sweep, "--cancel", **path))
    assert not any(run.is_locked() for run in runs)
    assert "Nothing that was submitted for digits-" in ended(type_it(*sweep, "--cancel", **path))


def test_without_rays_token_it_says_what_is_missing(type_it: TypeIt) -> None:
    command = ("train", *SMALL, "seed=0", *ON_RAY, "--detach")
    said = ended(type_it(*command, RAY_AUTH_MODE="disabled"), 1)
    assert "This Ray asks for a token: ray get-auth-token" in said
    assert "Traceback" not in said


def test_a_detached_sweep_ends_by_itself_and_its_results_are_found(
    type_it: TypeIt, tmp_path: Path
) -> None:
    sweep = ["reproduce", "digits", *SMALL[2:], "table.seeds=[0]", *ON_RAY]
    said = ended(type_it(*sweep, "--detach"))
    assert "jobs are in Ray's hands" in said
    count = int(said.partition(" jobs")[0].split()[-1])
    said = ended(type_it(*sweep))
    assert f"{count} done, 0 failed" in said
    assert "already" in said
    assert "in Ray's" not in ended(type_it(*sweep)), "nothing is left to do"


def test_a_search_completes(type_it: TypeIt) -> None:
    said = ended(
        type_it("search", "digits", "optimizer.lr=choice(0.001,0.01)", "--trials", "2",
                *SMALL[2:], *ON_RAY)
    )  # fmt: skip
    assert "2 complete, 0 pruned, 0 failed" in said


def test_the_doctor_asks_a_job(type_it: TypeIt, tmp_path: Path) -> None:
    said = ended(type_it("doctor", *ON_RAY))
    for line in ("queue", "folder", "data", "version", "lock", "cpus", "gpu"):
        assert re.search(rf"^  {line} +(?!NO)\S", said, re.M), said
    (tmp_path / "elsewhere").mkdir()
    said = ended(type_it("doctor", *ON_RAY, "launcher.gpus=1", "data_dir=elsewhere"), 1)
    assert re.search(r"^  data +\S+/elsewhere is on \S+ as well", said, re.M)
    assert re.search(r"^  gpu +NO: Ray gave [01], and torch finds 0 of 1", said, re.M)
    assert not list((tmp_path / "runs" / "sweeps").glob("probe*"))


def test_through_rays_client(
    type_it: TypeIt, ray_nodes: Callable[[str], str], tmp_path: Path
) -> None:
    address = ray_nodes("address").split()[1]
    said = ended(type_it("train", *SMALL, *ON_RAY, f"launcher.address={address}", RAY_ADDRESS=""))
    assert "1 done, 0 failed" in said
    assert "finished" in said


def test_a_ray_for_one_command(type_it: TypeIt) -> None:
    null = [*ON_RAY, "launcher.address=null"]
    said = ended(type_it("train", "-m", *SMALL, "seed=0,1", *null, RAY_ADDRESS=""))
    assert "2 done, 0 failed" in said
    said = ended(type_it("train", *SMALL, "seed=3", *null, "launcher.cpus=999", RAY_ADDRESS=""), 1)
    assert "and a job asks for 999 CPUs" in said
    said = ended(type_it("train", *SMALL, "seed=3", *null, "--detach"), 1)
    assert "--detach is for a Ray that outlives this command" in said
