"""What becomes of a job, by what it left and by the state that SLURM gives."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from eleatt_bench.launch.endings import AGAIN, CANCELLED, CANCELLED_STATUS, ended_file
from eleatt_bench.launch.process import Job
from eleatt_bench.launch.slurm.commands import ACTIVE, RUNNING, QueueEntry
from eleatt_bench.launch.slurm.tasks import Again, Ended, Task, fate

OUT_OF_MEMORY = "out of memory: raise launcher.mem"


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(("train", "seed=0"), "", tmp_path / "job.log")


def seen(state: str | None, reason: str = "None", *, began: bool = True, **more: object) -> Task:
    """A task that SLURM lists in ``state``; None: that it lists no more."""
    task = Task("17", 3, "sweep", **more)  # type: ignore[arg-type]
    for one in [*(["RUNNING"] if began else []), state]:
        entry = None if one is None else QueueEntry("17", 3, "sweep", one, reason, "n1", 9.0)
        task.see(entry)
    return task


@pytest.mark.parametrize("state", sorted(ACTIVE))
@pytest.mark.parametrize("left", ["", "0", "1", AGAIN])
def test_a_task_in_the_queue_has_not_ended(job: Job, state: str, left: str) -> None:
    ended_file(job.log_path).write_text(left)
    task = seen(state)
    task.since = 1.0
    over = state == "COMPLETING" and left == "0"
    assert fate(task, job, is_orphan=True) == (Ended(0) if over else None)
    assert task.since is None, "the time without a task that is listed begins anew"


@pytest.mark.parametrize(
    ("left", "state", "found"),
    [
        ("0", "COMPLETED", Ended(0)),
        ("0", "TIMEOUT", Ended(0)),
        ("0", None, Ended(0)),
        ("3", "FAILED", Ended(3)),
        ("3", "NODE_FAIL", Ended(3)),
        ("1", "OUT_OF_MEMORY", Ended(1, OUT_OF_MEMORY)),
        ("143", "CANCELLED", Ended(143, "cancelled")),
        (AGAIN, "COMPLETED", Again("the time limit is near")),
        (AGAIN, "CANCELLED", Again("the time limit is near")),
        (CANCELLED, None, Ended(CANCELLED_STATUS, "cancelled")),
    ],
)
def test_what_a_job_left_comes_first(
    job: Job, left: str, state: str | None, found: Ended | Again
) -> None:
    ended_file(job.log_path).write_text(left)
    for is_orphan in (False, True):
        assert fate(seen(state), job, is_orphan=is_orphan) == found


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ("OUT_OF_MEMORY", Ended(1, OUT_OF_MEMORY)),
        ("DEADLINE", Ended(1, "its deadline passed")),
        ("CANCELLED", Ended(CANCELLED_STATUS, "cancelled")),
        ("TIMEOUT", Again("time limit")),
        ("NODE_FAIL", Again("node lost")),
        ("PREEMPTED", Again("preempted")),
        ("BOOT_FAIL", Again("its node did not start")),
        ("REVOKED", Again("revoked")),
    ],
)
def test_the_state_decides_where_a_job_left_nothing(
    job: Job, state: str, found: Ended | Again
) -> None:
    assert fate(seen(state), job, is_orphan=False) == found
    if isinstance(found, Again):
        told = fate(seen(state, stopped=True), job, is_orphan=False)
        assert told == Ended(CANCELLED_STATUS), "what was stopped is not begun again"


@pytest.mark.parametrize(
    ("state", "began", "found"),
    [
        ("COMPLETED", True, Again("it left no exit status")),
        ("FAILED", True, Again("it left no exit status")),
        (None, True, Again("SLURM knows it no more")),
        (None, False, Ended(1, "gone from the queue before it began, as a job that is cancelled")),
    ],
)
def test_files_have_time_to_arrive(
    job: Job, state: str | None, began: bool, found: Ended | Again
) -> None:
    task = seen(state, began=began)
    assert fate(task, job, is_orphan=False) is None
    assert task.since is not None
    assert task.since <= time.monotonic()
    assert fate(task, job, is_orphan=False) is None
    task.since -= 60
    assert fate(task, job, is_orphan=False) == found


def test_a_job_that_is_done_needs_no_exit_status(tmp_path: Path) -> None:
    job = Job(("train",), "", tmp_path / "job.log", done=lambda: True)
    for state in ("COMPLETED", "FAILED", "CANCELLED", None):
        assert fate(seen(state), job, is_orphan=True) == Ended(0)


def test_a_job_whose_need_failed_ends_with_it_unless_it_ran(job: Job) -> None:
    for state in ("CANCELLED", None):
        assert fate(seen(state), job, is_orphan=True) == Ended(None)
    assert fate(seen("FAILED"), job, is_orphan=True) is None


def test_a_job_waits_for_what_it_needs_if_that_is_submitted_again(job: Job) -> None:
    task = seen("CANCELLED", "DependencyNeverSatisfied", began=False)
    assert fate(task, job, is_orphan=False) == Again("for what it needs", lost=False)


def test_it_is_told_where_a_task_ran_that_is_queued_again() -> None:
    assert seen("PENDING", "Resources").reason == "Resources; it ran on n1"
    assert seen("PENDING", "Resources", began=False).reason == "Resources"
    assert {state for state in RUNNING if "ran on" in seen(state).reason} == set()
