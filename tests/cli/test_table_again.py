"""A table shown again is shown as if nothing were kept, whatever became of its runs meanwhile."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from eleatt_bench.cli import main
from eleatt_bench.common.cache import Cache
from eleatt_bench.runs.predictions import Predictions, write_predictions
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.runs.summaries import Summaries
from eleatt_bench.tables.plan import plans

SEEDS = "table.seeds=[0,1,2,3,4,5,6,7,8,9,10,11]"
SHOWN = ["table", "digits", SEEDS, "--format", "json"]
SETTLED = 0.11  # seconds
IMPORTED = "imported:"

Show = Callable[..., str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("again")


@pytest.fixture(scope="module")
def environment(folder: Path) -> dict[str, str]:
    """Of a machine with the runs of the whole table, which was shown there once."""
    own = {name: str(folder / name) for name in ("ELEATT_RUNS", "ELEATT_DATA", "XDG_CACHE_HOME")}
    return {**os.environ, **own, "COLUMNS": "120"}


def command(*arguments: str, env: Mapping[str, str]) -> str:
    """What ``eleatt-bench`` prints, with the modules that it imported in the last line."""
    code = (
        "import sys; from eleatt_bench.cli import main; status = main(sys.argv[1:]);"
        f"print('{IMPORTED}', *sorted({{'numpy', 'h5py', 'hydra', 'torch'}} & set(sys.modules)));"
        "sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def runs(folder: Path, environment: dict[str, str], record_of) -> list[RunFolder]:
    """All runs of the table, by row and seed."""
    random = np.random.default_rng(0)
    found = []
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ELEATT_RUNS", "ELEATT_DATA", "XDG_CACHE_HOME"):
            patch.setenv(name, environment[name])
        (plan,) = plans("digits", [SEEDS])
    labels = np.zeros(20, np.int64)
    names = np.array([f"s{index}" for index in range(20)], "S")
    for run in plan.runs:
        right = random.random(20) < 0.8
        logits = np.stack([right, np.full(20, 0.5)], axis=1).astype(np.float32)
        one = RunFolder(plan.runs_dir, str(run.run_id))
        one.path.mkdir(parents=True)
        digest = write_predictions(
            one.predictions, Predictions(names, labels, logits, ("a", "b")), "digits"
        )
        more = {"identity": run.identity, "predictions_digest": digest}
        one.write(record_of(one.run_id, float(right.mean()), **more))
        found.append(one)
    time.sleep(SETTLED)
    command(*SHOWN, env=environment)
    return found


@pytest.fixture
def show(runs: list[RunFolder], environment: dict[str, str], folder: Path, monkeypatch) -> Show:
    """What the command prints where it was asked before, which is what it prints where it was not.

    Meanwhile the clock goes on, so that what was written before is settled.
    """
    kept = Path(environment["XDG_CACHE_HOME"], "eleatt-bench", "configs.jsonl")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def shown(*arguments: str) -> str:
        time.sleep(SETTLED)
        given = arguments or tuple(SHOWN)
        again = command(*given, env=environment)
        bare = folder / "bare" / "eleatt-bench"
        shutil.rmtree(bare, ignore_errors=True)
        bare.mkdir(parents=True)
        shutil.copy(kept, bare)  # Hydra's answers are not what this is about
        with monkeypatch.context() as patch, redirect_stdout(StringIO()) as anew:
            patch.setenv("XDG_CACHE_HOME", str(bare.parent))
            assert main(given) == 0
        assert again.rpartition(IMPORTED)[0] == anew.getvalue()
        return again

    return shown


def finished(shown: str) -> int:
    (table,) = json.loads(shown.rpartition(IMPORTED)[0])
    return int(table["runs"])


def test_it_is_shown_without_reading_anything_again(show: Show, runs: list[RunFolder]) -> None:
    assert len(runs) == 72
    shown = show("table", "digits", SEEDS)
    assert "runs are done" not in shown, "all are"
    assert shown.endswith(f"{IMPORTED}\n"), "nothing heavy"


def accuracy_of(run: RunFolder, shown: str) -> float:
    (table,) = json.loads(shown.rpartition(IMPORTED)[0])
    (found,) = (
        seed["accuracies"]
        for cell in table["cells"]
        for seed in cell["results"]
        if seed["runs"][0] is not None and seed["runs"][0]["run_id"] == run.run_id
    )
    return found[0]


@pytest.mark.parametrize(
    "how",
    [pytest.param("replaced", marks=pytest.mark.slow),
     pytest.param("in place", marks=pytest.mark.slow), "in place, with its time set back"],
)  # fmt: skip
@pytest.mark.slow
def test_a_changed_record_is_read(how: str, show: Show, runs: list[RunFolder]) -> None:
    path = runs[0].record
    state, content = path.stat(), path.read_bytes()
    other = re.sub(rb'"accuracy": 0\.\d', b'"accuracy": 0.1', content)
    assert len(other) == len(content)
    if how == "replaced":
        path.with_name("new").write_bytes(other)
        path.with_name("new").replace(path)
    else:
        path.write_bytes(other)
    if "set back" in how:
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
        assert path.stat().st_mtime_ns == state.st_mtime_ns
    shown = show()
    path.write_bytes(content)
    assert accuracy_of(runs[0], shown) < 20
    assert accuracy_of(runs[1], shown) > 20


@pytest.mark.slow
def test_a_run_that_is_gone_or_damaged_or_anothers_is_not_shown(
    show: Show, runs: list[RunFolder]
) -> None:
    first, second = runs[:2]
    away = first.path.with_name(".away")
    first.path.rename(away)
    second.path.rename(first.path)  # under another name, the very file, with the same times
    shown = show()
    assert finished(shown) == 70
    assert "it is the record of" in shown
    first.path.rename(second.path)
    away.rename(first.path)
    content = first.record.read_bytes()
    first.record.write_bytes(content[:-20])
    shown = show()
    first.record.write_bytes(content)
    assert "is not JSON" in shown
    assert finished(shown) == 71


@pytest.mark.slow
def test_predictions_changed_in_place_with_their_time_set_back_are_read(
    show: Show, runs: list[RunFolder]
) -> None:
    path = runs[0].predictions
    state, content = path.stat(), path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    shown = show()
    path.write_bytes(content)
    assert "it is not what the record says was written" in shown


@pytest.mark.slow
def test_what_is_kept_is_believed_only_if_it_is_this_versions_and_whole(
    show: Show, runs: list[RunFolder], environment: dict[str, str]
) -> None:
    (path,) = Path(environment["XDG_CACHE_HOME"], "eleatt-bench", "records").iterdir()
    false = re.sub(rb'"accuracy": 0\.\d+', b'"accuracy": 0.1', path.read_bytes())
    _, _, lines = false.partition(b"\n")
    older = Cache("records/any", "the code of an older version", 9)
    for damaged in (false, older._sum(lines) + b"\n" + lines):
        path.write_bytes(damaged)
        show()
        assert damaged != path.read_bytes()
    path.unlink()
    (path / "in the way").mkdir(parents=True)  # nothing can be written there
    assert finished(show()) == 72
    shutil.rmtree(path)


@pytest.mark.parametrize(
    "arguments",
    [pytest.param(["runs", "list"], marks=pytest.mark.slow),
     ["runs", "list", "--sort", "test/accuracy", "status=finished"],
     pytest.param(["runs", "list", "model.gate=sigmoid", "--format", "json"],
                  marks=pytest.mark.slow),
     ["reproduce", "digits", SEEDS[:-1] + ",12]", "--dry-run"]],
)  # fmt: skip
@pytest.mark.few(1)
def test_lists_and_plans_are_the_same_too(arguments: list[str], show: Show) -> None:
    show(*arguments)


def test_runs_of_other_folders_do_not_meet(runs: list[RunFolder], tmp_path: Path) -> None:
    assert Summaries(tmp_path).of(runs[0].run_id) is None
