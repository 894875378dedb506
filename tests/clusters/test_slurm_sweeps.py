"""Sweeps, tables and searches on a real SLURM, as a person types them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from eleatt_bench.runs.record import RunFolder, all_runs

from .conftest import TypeIt, ask, ended, hurry, typed, until

SMALL = ["experiment=digits", "model=gru", "model.hidden_size=4"]
ON_SLURM = ["launcher=slurm", "launcher.poll=1", "launcher.cpus=1", "launcher.mem=1G"]
SLEEPS = "launcher.setup=[\"python=(bash -c 'exec sleep 60' -)\"]"


@pytest.fixture
def type_it(slurm: object, user_environment: dict[str, str], tmp_path: Path) -> TypeIt:
    """Start ``eleatt-bench`` with words about SLURM in a folder of the test's own."""

    def start(*words: str, **variables: str) -> subprocess.Popen[str]:
        return typed(words, tmp_path, {**os.environ, **user_environment, **variables})

    return start


def tasks(said: str) -> list[list[str]]:
    """Task, state, reason and dependency of all that is queued for the sweep that is named."""
    names = set(re.findall(r"[a-z0-9_]+-[0-9a-f]{8}\b", said))
    lines = ask("squeue", "-h", "-r", f"--name={','.join(names)}", "--format=%i|%T|%r|%E")
    return [line.split("|") for line in lines.splitlines()]


@pytest.mark.clusters
def test_submitting_needs_no_torch_and_the_same_command_attaches_and_cancels(
    type_it: TypeIt, tmp_path: Path
) -> None:
    blocked = tmp_path / "blocked"
    for name in ("torch", "pytorch_lightning"):
        (blocked / name).mkdir(parents=True)
        (blocked / name / "__init__.py").write_text("raise ImportError('not on a login node')")
    path = {"PYTHONPATH": f"{blocked}:{os.environ.get('PYTHONPATH', '')}"}
    sweep = ["train", "-m", *SMALL, "seed=0,1,2", *ON_SLURM, SLEEPS]
    said = ended(type_it(*sweep, "--detach", **path))
    assert "3 jobs are in SLURM's hands" in said
    queued = {task for task, *_ in tasks(said)}
    assert len(queued) == 3
    again = ended(type_it(*sweep, "--detach", **path))
    assert "SLURM has 3 of the jobs already" in again
    assert "as array" not in again
    assert {task for task, *_ in tasks(again)} == queued
    attached = type_it(*sweep, **path)
    assert attached.stdout is not None
    while "started" not in (line := attached.stdout.readline()):
        assert line, "it ended"
    attached.send_signal(signal.SIGINT)
    assert "3 jobs stay in SLURM's queue or go on" in ended(attached, 130)
    assert {task for task, *_ in tasks(said)} == queued
    assert "3 jobs of digits-" in ended(type_it(*sweep, "--cancel", **path))
    until(lambda: not tasks(said))


@pytest.mark.clusters
def test_a_detached_table_has_its_pretrainings_first(type_it: TypeIt) -> None:
    table = ["reproduce", "digits", "model.hidden_size=4", "pretraining=digits", "quick=true",
             "table.seeds=[0]", *ON_SLURM, SLEEPS]  # fmt: skip
    said = ended(type_it(*table, "--detach"))
    queued = tasks(said)
    waiting = [one for one in queued if "after" in one[3]]  # its reason SLURM gives later
    assert waiting
    first = {one[0] for one in queued} - {one[0] for one in waiting}
    assert first
    for _, _, _, needs in waiting:
        match = re.match(r"afterok:(\d+_\d+)", needs)
        assert match is not None
        assert match[1] in first
    ended(type_it(*table, "--cancel"))


@pytest.mark.clusters
def test_a_single_run_is_submitted_too(type_it: TypeIt) -> None:
    one = ["train", *SMALL, "seed=3", *ON_SLURM]
    said = ended(type_it(*one, SLEEPS, "--detach"))
    assert "1 jobs are in" in said
    assert len(tasks(said)) == 1
    assert "1 jobs of digits-" in ended(type_it(*one, "--cancel"))


def run_in(folder: Path) -> RunFolder:
    (run,) = all_runs(folder)
    return run


def assert_same(one: RunFolder, two: RunFolder) -> None:
    assert one.run_id == two.run_id
    states = [torch.load(run.checkpoints / "last.ckpt", weights_only=True) for run in (one, two)]
    weights = [state["model"] for state in states]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    with h5py.File(one.predictions) as x, h5py.File(two.predictions) as y:
        assert all(np.array_equal(x[key][()], y[key][()]) for key in x)
    records: list[dict[str, Any]] = [run.read() or {} for run in (one, two)]
    assert all(record["status"] == "finished" for record in records)
    assert records[0]["metrics"] == records[1]["metrics"]


LONG = [*SMALL, "model.hidden_size=64", "trainer.max_epochs=30", "model.dropout=0.3"]


def epochs(tmp_path: Path) -> int:
    files = list((tmp_path / "runs").glob("*/epochs.csv"))
    return len(files[0].read_text().splitlines()) - 1 if files else 0


def log_of(tmp_path: Path) -> str:
    (log,) = (tmp_path / "runs" / "sweeps").glob("*/*.log")
    return log.read_text()


def disturb(how: str, task: str) -> None:
    if how == "notice":
        ask("scancel", "--batch", "--signal=USR1", task)
    elif how == "requeue":
        ask("scontrol", "requeue", task)
    else:  # by a job of a partition that comes first, of all CPUs
        words = ("--wrap=sleep 1", "--partition=main", "--nodes=2", "--exclusive", "--mem=1G")
        ask("sbatch", "--output=/dev/null", *words)


@pytest.mark.clusters
@pytest.mark.parametrize("how", ["notice", "requeue", "preempt"])
def test_a_disturbed_run_is_the_same_to_the_last_bit(
    type_it: TypeIt, tmp_path: Path, how: str
) -> None:
    ended(type_it("train", *LONG, "runs_dir=undisturbed", "trainer.num_threads=1"))
    sweep = type_it("train", "-m", *LONG, *ON_SLURM, "launcher.partition=spare")
    until(lambda: epochs(tmp_path) >= 2, 120)
    (task,) = ask("squeue", "-h", "-r", "--partition=spare", "--format=%i").split()
    disturb(how, task)
    until(lambda: "PENDING" in ask("squeue", "-h", "-r", f"--jobs={task}", "--format=%T"), 60)
    assert 2 <= epochs(tmp_path) < 30
    hurry(task)
    said = ended(sweep)
    assert "1 done, 0 failed" in said
    assert "continuing after epoch" in log_of(tmp_path)
    assert_same(run_in(tmp_path / "undisturbed"), run_in(tmp_path / "runs"))


@pytest.mark.clusters
def test_a_run_that_outlasts_its_time_limit_continues(type_it: TypeIt, tmp_path: Path) -> None:
    long = [*LONG, "trainer.max_epochs=100000"]
    limit = ["launcher.time=2", "launcher.notice=60"]
    sweep = type_it("train", "-m", *long, *ON_SLURM, *limit)

    def queued() -> list[list[str]]:
        (book,) = (tmp_path / "runs" / "sweeps").glob("*.json")
        return tasks(book.stem)

    until(lambda: epochs(tmp_path) >= 1, 110)
    until(lambda: "The time limit is near: back into the queue" in log_of(tmp_path), 110)
    until(lambda: any(state == "PENDING" for _, state, *_ in queued()), 60)
    ((task, *_),) = queued()
    sweep.send_signal(signal.SIGINT)
    ended(sweep, 130)
    before = epochs(tmp_path)
    hurry(task)
    until(lambda: epochs(tmp_path) > before + 1, 90)
    assert f"continuing after epoch {before}" in log_of(tmp_path)
    assert "1 jobs of digits-" in ended(
        type_it("train", "-m", *long, *ON_SLURM, *limit, "--cancel")
    )


SLEEPS_FIRST = 'launcher.setup=["test $count != 0 || sleep 50"]'


@pytest.mark.clusters
@pytest.mark.timeout(1500)
def test_what_slurm_kills_at_its_limit_is_the_same_to_the_last_bit(
    type_it: TypeIt, tmp_path: Path
) -> None:
    """A limit of a minute, without notice; a job whose last one got on sleeps first."""
    long = [*LONG, "trainer.max_epochs=120", "trainer.num_threads=1"]
    ended(type_it("train", *long, "runs_dir=undisturbed"), seconds=600)
    limit = ["launcher.time=1", "launcher.notice=0", SLEEPS_FIRST]
    said = ended(type_it("train", "-m", *long, *ON_SLURM, *limit), seconds=800)
    assert "1 done, 0 failed" in said
    assert ": time limit" in said
    assert "continuing after epoch" in log_of(tmp_path)
    assert_same(run_in(tmp_path / "undisturbed"), run_in(tmp_path / "runs"))


@pytest.mark.clusters
def test_a_lost_node_whose_processes_go_on_makes_no_second_writer(
    type_it: TypeIt, tmp_path: Path, slurm: Callable[..., str]
) -> None:
    sweep = type_it("train", "-m", *LONG, "trainer.max_epochs=150", *ON_SLURM)
    until(lambda: epochs(tmp_path) >= 2, 120)
    (task, node) = ask("squeue", "-h", "-r", "--states=R", "--format=%i %N").split()
    slurm("node-down", node[-1])
    try:
        until(lambda: "PENDING" in ask("squeue", "-h", "-r", f"--jobs={task}", "--format=%T"), 60)
        hurry(task)
        until(lambda: "Another process is at digits-" in log_of(tmp_path), 60)
        assert f"SLURM job {task})" in log_of(tmp_path), "it names who holds the run"
        until(lambda: epochs(tmp_path) == 150, 200)
        until(lambda: "PENDING" in ask("squeue", "-h", "-r", f"--jobs={task}", "--format=%T"), 60)
        hurry(task)
        assert "1 done, 0 failed" in ended(sweep)
    finally:
        slurm("node-up", node[-1])
    said = log_of(tmp_path)
    assert "continuing" not in said
    assert [said.count(f"epoch {number:>3}/150") for number in range(1, 151)] == [1] * 150


@pytest.mark.clusters
def test_a_table_and_its_evaluation_are_done_by_the_cluster(
    type_it: TypeIt, tmp_path: Path
) -> None:
    table = ["reproduce", "digits", "model.hidden_size=4", "quick=true", "table.seeds=[0]",
             "pretraining=digits", *ON_SLURM]  # fmt: skip
    said = ended(type_it(*table))
    assert "0 failed" in said
    assert "runs" in said
    assert "SLURM has" not in ended(type_it(*table)), "nothing is left to do"
    first, second = [run.run_id for run in all_runs(tmp_path / "runs")][:2]
    said = ended(type_it("eval", f"run={first},{second}", *ON_SLURM))
    assert "2 done, 0 failed" in said
    assert (tmp_path / "runs" / first / "eval-best.json").exists()


@pytest.mark.clusters
def test_a_failed_pretraining_leaves_out_what_needs_it(type_it: TypeIt, tmp_path: Path) -> None:
    sweep = ["train", "-m", *SMALL, "quick=true", "pretraining=digits", "seed=0", *ON_SLURM]
    ended(type_it(*sweep))
    (first,) = [r for r in all_runs(tmp_path / "runs") if "pretraining" not in (r.read() or {})]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / first.run_id).touch()  # a file in the place of its folder
    said = ended(type_it(*sweep, "runs_dir=other"), 1)
    assert "1 failed, 1 left out" in said
    assert "not started, because" in said
    assert "Traceback" not in said


@pytest.mark.clusters
def test_a_run_of_two_processes_in_a_job(type_it: TypeIt, tmp_path: Path) -> None:
    two = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.max_epochs=2"]
    said = ended(type_it("train", "-m", *SMALL, *two, "seed=0,1", *ON_SLURM))
    assert "2 done, 0 failed" in said
    records = [run.read() or {} for run in all_runs(tmp_path / "runs")]
    assert [record["world_size"] for record in records] == [2, 2]


@pytest.mark.clusters
def test_a_search_on_the_cluster_completes(type_it: TypeIt, tmp_path: Path) -> None:
    said = ended(
        type_it("search", "digits", "optimizer.lr=choice(0.001,0.01)", "--trials", "2",
                "model.hidden_size=4", "trainer.max_epochs=1", *ON_SLURM)
    )  # fmt: skip
    assert "2 complete, 0 pruned, 0 failed" in said


@pytest.mark.clusters
def test_the_doctor_asks_a_job(type_it: TypeIt, tmp_path: Path) -> None:
    said = ended(type_it("doctor", *ON_SLURM))
    for line in ("folder", "data", "version", "lock", "cpus", "gpu", "time limit"):
        assert re.search(rf"^  {line} +(?!NO)\S", said, re.M), said
    said = ended(type_it("doctor", *ON_SLURM, "launcher.gpus=1"), 1)
    assert re.search(r"^  gpu +NO: SLURM gave 0, and torch finds 0 of 1", said, re.M)
    said = ended(type_it("doctor", *ON_SLURM, "launcher.setup=['python=/nowhere/python']"), 1)
    assert re.search(r"^  program +NO: .*launcher.setup", said, re.M)
    assert not list((tmp_path / "runs" / "sweeps").glob("probe*"))


@pytest.mark.clusters
def test_two_users_share_a_folder_that_their_group_may_write_to(
    type_it: TypeIt, tmp_path: Path
) -> None:
    shared = tmp_path / "runs"
    shared.mkdir(mode=0o755)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    started = [sys.executable, "-m", "eleatt_bench", "train", "-m", *SMALL, *ON_SLURM, SLEEPS]
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *started]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}

    def other(*words: str) -> tuple[int, str]:
        done = subprocess.run(
            [*nobody, *words], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        return done.returncode, done.stdout + done.stderr

    ended(type_it("train", "-m", *SMALL, *ON_SLURM, SLEEPS, "seed=0", "--detach"))
    status, said = other("seed=0,1", "--detach")
    if ("Permission denied" in said and "python" in said) or "No module named" in said:
        pytest.skip("another user may not start this Python, or read this package")
    assert status == 1
    assert "may not be written by you. Two users who share runs need a folder" in said
    assert "Traceback" not in said
    for path in (shared, *shared.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    status, said = other("seed=0,1", "--detach")
    assert status == 0, said
    assert "SLURM has 1 of the jobs already" in said, "which the first user submitted"
    assert "SLURM has 1 job as array" in said
    ask("scancel", "--quiet", *(task for task, *_ in tasks(said)))
