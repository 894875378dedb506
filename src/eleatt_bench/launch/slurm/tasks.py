"""One task of an array: what SLURM says of it, and what becomes of its job."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple

from eleatt_bench.launch.endings import AGAIN, CANCELLED, CANCELLED_STATUS, exit_status
from eleatt_bench.launch.process import Job
from eleatt_bench.launch.slurm.commands import ACTIVE, RUNNING, QueueEntry, task_id

_PATIENCE = 40.0  # seconds that a file may take to be seen from another machine
_GONE = "GONE"
"""Our own state, for a job that SLURM does not list."""
_LOST = {"TIMEOUT": "time limit", "NODE_FAIL": "node lost", "PREEMPTED": "preempted",
         "BOOT_FAIL": "its node did not start", "REVOKED": "revoked",
         _GONE: "SLURM knows it no more"}  # fmt: skip
"""States after which a job is submitted again, in words."""
_FAILED = {"OUT_OF_MEMORY": "out of memory: raise launcher.mem", "CANCELLED": "cancelled",
           "DEADLINE": "its deadline passed",
           _GONE: "gone from the queue before it began, as a job that is cancelled"}  # fmt: skip
_TELLING = frozenset(("OUT_OF_MEMORY", "CANCELLED", "DEADLINE"))
"""States that say why a job failed, whatever it said itself."""


@dataclass
class Task:
    """A job that SLURM has."""

    array: str  # its id
    index: int
    array_name: str
    state: str = "PENDING"
    reason: str = "submitted"
    since: float | None = None  # when it was first seen to have ended without an exit status
    began: bool = False  # whether it was ever seen to run
    nodes: str = ""  # where it was last seen to run
    seconds: float = 0.0  # how long it has run, as SLURM says
    foreign: bool = False  # whether another sweep has submitted it
    stopped: bool = False

    @property
    def name(self) -> str:
        return task_id(self.array, self.index)

    def see(self, entry: QueueEntry | None) -> None:
        """Take over what SLURM says of the task; None: it does not list the task any more."""
        if entry is None:
            self.state, self.reason = _GONE, ""
            return
        self.state, self.reason, self.seconds = entry.state, entry.reason, entry.seconds
        if self.state in RUNNING:
            self.began, self.nodes = True, entry.nodes
        elif self.began and self.state in ACTIVE:
            self.reason += f"; it ran on {self.nodes}"


class Ended(NamedTuple):
    """A job has ended; with status None, since the job that it needs has failed."""

    status: int | None
    told: str | None = None  # what SLURM says of a failure


class Again(NamedTuple):
    """A job is to be submitted once more; ``lost``: after a start that may have been in vain."""

    why: str
    lost: bool = True


def fate(task: Task, job: Job, *, is_orphan: bool) -> Ended | Again | None:
    """What becomes of ``job``, as its ``task`` was seen last; None: it is too early to say.

    What the job has left in its files comes before the state that SLURM gives, which may be of
    the end of a job that had finished; ``is_orphan``: the job that it needs has failed.
    """
    if task.state in ACTIVE:
        task.since = None
        # Its node may never come to the end of cleaning up.
        is_over = task.state == "COMPLETING" and exit_status(job.log_path) == "0"
        return Ended(0) if is_over else None
    said = exit_status(job.log_path)
    if said == AGAIN:
        return Again("the time limit is near")
    if said == CANCELLED:
        return Ended(CANCELLED_STATUS, _FAILED["CANCELLED"])
    if said is not None:
        return Ended(int(said), _FAILED[task.state] if task.state in _TELLING else None)
    if job.done is not None and job.done():
        return Ended(0)
    if task.state in ("CANCELLED", _GONE) and is_orphan:
        return Ended(None)
    return _fate_by_state(task)


def _fate_by_state(task: Task) -> Ended | Again | None:
    """What becomes of a job that left nothing in its files."""
    if task.state == "CANCELLED" and task.reason == "DependencyNeverSatisfied":
        return Again("for what it needs", lost=False)  # that was submitted again, or has ended
    if task.stopped or task.state == "CANCELLED":
        return Ended(CANCELLED_STATUS, _FAILED.get(task.state))
    if task.state in _TELLING:
        return Ended(1, _FAILED[task.state])
    if task.state in _LOST and task.state != _GONE:
        return Again(_LOST[task.state])
    task.since = task.since or time.monotonic()  # the exit status may not be seen here yet
    if time.monotonic() - task.since < _PATIENCE:
        return None
    if task.state == _GONE and not task.began:
        return Ended(1, _FAILED[_GONE])
    return Again(_LOST.get(task.state, "it left no exit status"))
