"""What doctor says of a cluster's job; the cluster itself is not needed for that."""

from __future__ import annotations

import errno
import fcntl
import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from eleatt_bench.cli import doctor_cluster
from eleatt_bench.cli.doctor_cluster import Finding, _Asked, _findings, _of_slurm
from eleatt_bench.cli.train import compose_checked
from eleatt_bench.launch.process import Job


class Deaf:
    """An engine whose jobs never end, and run or wait as it is told."""

    queues, at_once, pause, has_room = True, 1, 0.01, True

    def __init__(self, why: str | None) -> None:
        self.why, self.stopped = why, False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None: ...

    def __len__(self) -> int:
        return 1

    def fits(self, job: Job) -> bool:
        return True

    def start(self, job: Job) -> None:
        job.log_path.write_text("loading\nmodules\n", encoding="utf-8")

    def waits(self, job: Job) -> str | None:
        return self.why

    def runs_for(self, job: Job) -> float:
        return 0.0

    def stop(self, job: Job) -> None:
        self.stopped = True

    def ended(self) -> Iterator[tuple[Job, int | None]]:
        yield from ()


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Deaf], list[Finding]]:
    """What is found where jobs are given a moment."""
    monkeypatch.setattr(doctor_cluster, "_QUEUED", 0.05)
    monkeypatch.setattr(doctor_cluster, "_RUNNING", 0.05)
    config: dict[str, Any] = {"data_dir": str(tmp_path), "launcher": {"time": None}}

    def find(engine: Deaf) -> list[Finding]:
        asked = _Asked("SLURM", engine, "", 1, 0, lambda reason: f"see why {reason}", "")
        return list(_findings(config, asked, tmp_path))

    return find


def test_a_job_that_waits_is_told_from_one_that_runs_too_long(found) -> None:
    waiting, running = Deaf("Priority"), Deaf(None)
    (queue,) = found(waiting)
    assert (queue.what, queue.good) == ("queue", False)
    assert "did not run within" in queue.told
    assert queue.told.endswith("(Priority): see why Priority")
    queue, program = found(running)
    assert (queue.what, queue.good, program.what, program.good) == ("queue", True, "program", False)
    assert "without an answer (loading; modules)" in program.told
    assert waiting.stopped
    assert running.stopped


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS])
def test_a_file_system_without_locks_is_a_finding(found, monkeypatch, number: int) -> None:
    def fails(descriptor: int, how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", fails)
    (lock,) = found(Deaf(None))
    assert (lock.what, lock.good) == ("lock", False)
    assert "has no locks" in lock.told
    assert "ELEATT_RUNS=FOLDER" in lock.told


def test_what_it_says_to_type_works_in_a_shell(tmp_path: Path) -> None:
    said = ["launcher=slurm", "trainer=cpu", f"runs_dir={tmp_path}"]
    told = _of_slurm(compose_checked(said, "train"), tmp_path).program
    (word,) = (word for word in shlex.split(told) if word.startswith("launcher.setup="))
    setup = compose_checked([*said, word], "train")["launcher"]["setup"]
    assert setup == ["python=/path/on/nodes/bin/python"]
