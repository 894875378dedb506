"""Engines, which run jobs, and the loop that runs many jobs by one engine."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from eleatt_bench.common.errors import HeldElsewhereError
from eleatt_bench.common.text import plain_console
from eleatt_bench.launch.overview import Overview
from eleatt_bench.launch.process import BUSY, Job

if TYPE_CHECKING:
    from rich.console import Console


class Engine(Protocol):
    """Where jobs run, such as `pool.Pool` or `slurm.engine.Slurm`; a context manager around them.

    An engine that ``queues`` also takes jobs that cannot run yet: jobs that need another job, and
    jobs that another process is at. About ``at_once`` jobs run at the same time. A caller that
    waits for jobs looks again after ``pause`` seconds.
    """

    queues: bool
    at_once: int
    pause: float

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    def __len__(self) -> int:
        """How many jobs are started and have not ended."""

    @property
    def has_room(self) -> bool:
        """Whether one more job may start."""

    def fits(self, job: Job) -> bool:
        """Whether ``job`` may start beside those that run."""

    def start(self, job: Job) -> None:
        """Start ``job``; there must be room, and it must fit."""

    def waits(self, job: Job) -> str | None:
        """Why ``job``, which was started, does not run now; None if it does."""

    def runs_for(self, job: Job) -> float:
        """The seconds for which ``job``, which does not wait, has run already."""

    def stop(self, job: Job) -> None:
        """Ask ``job`` to end, or end it before it begins."""

    def ended(self) -> Iterator[tuple[Job, int | None]]:
        """The jobs that have ended since the last look, with their exit statuses.

        The status is None for a job that never ran, because the job it needs failed.
        """


@dataclass(frozen=True)
class JobResult:
    """How a job ended; ``returncode`` is None if it never started, as the job it needs failed."""

    job: Job
    returncode: int | None
    seconds: float


def run_jobs(
    jobs: Sequence[Job], engine: Engine, *, console: Console | None = None
) -> list[JobResult]:
    """Run ``jobs`` by ``engine``, and wait for all; their results in the same order.

    A job waits for the job it needs, which must be among ``jobs``, and for any other process that
    does its work. On this machine it also waits for memory if it is known to take more than is
    free. Other jobs go on meanwhile. A failed job does not stop the others, except jobs that need
    it, which are not started. On Ctrl-C or SIGTERM, which the command line turns into an exception,
    the context of the engine is left before the exception goes on.
    """
    with Overview(len(jobs), engine.at_once, console or plain_console()) as overview, engine:
        queue = _Queue(jobs, engine, overview)
        while queue.waiting or len(engine):
            while engine.has_room and (job := queue.next()):
                engine.start(job)
                queue.started(job)
            for job, returncode in engine.ended():
                queue.ended(job, returncode)
            queue.look()
            time.sleep(engine.pause)
    return [queue.results[job] for job in jobs]


class _Queue:
    """The jobs that wait, those that were started, and those that have ended."""

    def __init__(self, jobs: Sequence[Job], engine: Engine, overview: Overview) -> None:
        self.waiting = deque(jobs)
        self.results: dict[Job, JobResult] = {}
        self._started: dict[Job, str | None] = {}  # why each does not run yet
        self._engine, self._overview = engine, overview

    def next(self) -> Job | None:
        """Take the first job that may start now from the queue, and drop jobs that never may."""
        for job in list(self.waiting):
            needed = self.results.get(job.needs) if job.needs else None
            if needed is not None and needed.returncode != 0:
                self.waiting.remove(job)
                self._leave_out(job)
            elif self._engine.queues:
                self.waiting.remove(job)
                return job
            elif job.needs is not None and needed is None:
                continue
            elif job.busy is not None and job.busy():
                self._overview.waits(job, BUSY)
            elif not self._engine.fits(job):
                self._overview.waits(job, "beside those that run there is no memory for it")
            else:
                self.waiting.remove(job)
                return job
        return None

    def started(self, job: Job) -> None:
        """Note that the engine has ``job`` now, running or waiting."""
        self._started[job] = why = self._engine.waits(job)
        if why is None:
            self._overview.started(job, self._engine.runs_for(job))
        else:
            self._overview.queued(job, why)

    def look(self) -> None:
        """Tell which jobs have begun to run, and which have to wait again."""
        for job, before in self._started.items():
            if self._engine.waits(job) != before:
                self.started(job)

    def ended(self, job: Job, returncode: int | None) -> None:
        """Keep how ``job`` ended, or put it back if another process was at its work."""
        if self._started.pop(job) is not None and returncode is not None:
            self._overview.started(job)  # it began after the last look
        if returncode is None:
            self._leave_out(job)
        elif returncode == HeldElsewhereError.exit_status and job.busy is not None:
            self._overview.put_back(job)
            self.waiting.append(job)
        else:
            seconds = self._overview.ended(job, returncode)
            self.results[job] = JobResult(job, returncode, seconds)

    def _leave_out(self, job: Job) -> None:
        self.results[job] = JobResult(job, None, 0.0)
        self._overview.left_out(job)
