"""What is said when an engine is left whose jobs go on: SLURM is not needed for that."""

from __future__ import annotations

from pathlib import Path

import pytest

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
