"""What goes and what stays."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eleatt_bench.runs.cleaning import size, waste

DEAD = 2**22 + 1  # above the largest process id that Linux gives


def test_finished_runs_keep_what_they_were_tested_with(make_run, tmp_path: Path) -> None:
    best = make_run(seed=0)
    last = make_run(seed=1, trainer__selection="last")
    failed = make_run(seed=2, status="failed")
    held = make_run(seed=3)
    with held.held():
        found = waste(tmp_path)
    for one in found:
        assert one.reason == "checkpoint of a finished run"
        one.remove()

    def left(folder) -> set[str]:
        return {path.stem for path in folder.checkpoints.iterdir()}

    assert left(best) == {"best"}
    assert left(last) == {"best", "last"}
    assert left(failed) == {"best", "last", "previous"}
    assert left(held) == {"best", "last", "previous"}
    with held.held():
        assert waste(tmp_path) == []


def test_a_second_name_of_a_file_that_stays_frees_nothing(make_run, tmp_path: Path) -> None:
    folder = make_run()
    freed = {one.path.stem: one.bytes for one in waste(tmp_path)}
    assert freed["last"] == 0, "best.ckpt is the same file"
    assert freed["previous"] == (folder.checkpoints / "previous.ckpt").stat().st_blocks * 512 > 0
    every = [p for p in folder.path.rglob("*") if p.is_file() and p.name != "last.ckpt"]
    assert size([folder.path]) == sum(path.stat().st_blocks * 512 for path in every)


@pytest.fixture
def living() -> int:
    """The id of some process that lives."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.kill()


def test_what_killed_processes_left_goes_and_what_is_being_written_stays(
    make_run, tmp_path: Path, living: int
) -> None:
    run, busy = make_run(seed=0, status="failed"), make_run(seed=1, status="failed")
    tables = tmp_path / "tables"
    (removed := tmp_path / f".digits.{DEAD}.tmp").mkdir()
    tables.mkdir()
    gone = [
        run.path / f".record.json.{DEAD}.tmp", tables / f".t.md.{DEAD}.tmp",
        removed / "record.json", removed / f".record.json.{DEAD}.tmp",
        abandoned := tables / f".t.csv.{living}.tmp",
    ]  # fmt: skip
    kept = [
        run.path / f".record.json.{living}.tmp", busy.path / f".record.json.{DEAD}.tmp",
        tables / ".hidden.tmp", tables / f"t.md.{DEAD}.tmp", tables / "t.md",
    ]  # fmt: skip
    for path in gone + kept:
        path.write_bytes(b"x" * 5000)
    two_days_ago = time.time() - 48 * 3600
    os.utime(abandoned, (two_days_ago, two_days_ago))
    with busy.held():
        found = waste(tmp_path)
        assert {one.path for one in found} == {*gone[:2], removed, abandoned}
        for one in found:
            assert one.bytes >= 5000
            one.remove()
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in kept)


def test_nothing_is_no_waste(tmp_path: Path) -> None:
    assert waste(tmp_path / "none") == []
