"""What the engine does that needs no SLURM, or one that is not well."""

from __future__ import annotations

from pathlib import Path

import pytest

from eleatt_bench.launch.endings import AGAIN, CANCELLED_STATUS, ended_file
from eleatt_bench.launch.process import Job
from eleatt_bench.launch.slurm.engine import Slurm, _Task
from eleatt_bench.launch.slurm.script import Request

WANTED = Request((), (), 0, 2, 3, None, 1.0)


@pytest.mark.parametrize(
    ("most", "ends"), [(None, "they are ended with --cancel"), (4, "by scancel 17_3 9_0")]
)
def test_it_says_how_the_jobs_and_no_others_are_ended(
    tmp_path: Path, most: int | None, ends: str
) -> None:
    said: list[str] = []
    with Slurm(WANTED, tmp_path, "sweep", at_once=2, most=most, say=said.append) as engine:
        for number, task in enumerate((_Task("17", 3, "sweep"), _Task("9", 0, "another"))):
            engine._tasks[Job(("train", f"seed={number}"), "", tmp_path / "job.log")] = task
    (told,) = said
    assert told.startswith("2 jobs stay in SLURM's queue or go on (squeue --jobs=9,17): ")
    assert told.endswith(ends)


@pytest.mark.parametrize("left", ["", "no exit status", "AGAIN"])
def test_a_job_is_stopped_also_if_slurm_does_not_answer_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    asked, state = tmp_path / "asked.txt", tmp_path / "state.txt"
    state.write_text("RUNNING")
    ends = "TIMEOUT" if left else "CANCELLED"
    (tmp_path / "scancel").write_text(
        f"#!/bin/sh\necho $@ >>{asked}\n[ $(wc -l <{asked}) -gt 1 ] || exit 1\n"
        f"printf {ends} >{state}\n"
    )
    (tmp_path / "squeue").write_text(f'#!/bin/sh\necho "17|3|sweep|$(cat {state})|None|n1|0:09"\n')
    for name in ("scancel", "squeue"):
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    job = Job(("train", "seed=0"), "", tmp_path / "job.log")
    engine = Slurm(WANTED, tmp_path, "sweep", at_once=2, most=4, say=print)
    engine._tasks[job] = _Task("17", 3, "sweep", state="RUNNING")
    if left == "AGAIN":
        ended_file(job.log_path).write_text(AGAIN)
    engine.stop(job)
    assert list(engine.ended()) == []  # scancel failed
    engine._next = 0.0
    assert list(engine.ended()) == [(job, CANCELLED_STATUS)]
    assert asked.read_text().splitlines() == ["--quiet 17_3"] * 2
