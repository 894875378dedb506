"""Many jobs, a few at a time."""

from __future__ import annotations

import math
import os
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eleatt_bench.common.errors import HeldElsewhereError
from eleatt_bench.common.text import plain_console
from eleatt_bench.launch.devices import Budget, DevicePool, free_memory
from eleatt_bench.launch.guard import Guard, signal_group
from eleatt_bench.launch.journal import Journal
from eleatt_bench.launch.overview import Overview
from eleatt_bench.launch.process import Job, Running, start

if TYPE_CHECKING:
    from rich.console import Console

GRACE = 10.0
"""Seconds that a job has to end by itself when the sweep is stopped."""

POLL = 0.05
"""Seconds between looks at the running jobs."""


@dataclass(frozen=True)
class JobResult:
    """``returncode`` is None for a job that never started, because the one it needs failed."""

    job: Job
    returncode: int | None
    seconds: float


class Pool:
    """Jobs that run side by side, at most ``num_jobs`` of them; a context manager around them.

    Every job is told its share of CPU threads and, with ``devices``, the one device it leases.
    What starts and ends is written to ``journal``. What still runs when the context is left, on
    Ctrl-C for one, is ended; on Ctrl-Z the jobs stop with this process.
    """

    def __init__(
        self,
        *,
        num_jobs: int,
        threads_per_job: int,
        devices: DevicePool | None = None,
        warm: bool = True,
        journal: Journal | None = None,
    ) -> None:
        self._num_jobs, self._threads, self._warm = num_jobs, threads_per_job, warm
        self._devices, self._journal = devices, journal
        self._memory = Budget(free_memory())
        self._running: dict[Job, tuple[Running, str | None]] = {}
        self._stopped: dict[Job, float] = {}  # when those told to end will be killed

    def __enter__(self) -> Pool:
        self._guard = Guard().__enter__()
        if (usual := signal.getsignal(signal.SIGTSTP)) is signal.SIG_DFL:
            signal.signal(signal.SIGTSTP, self._suspend)
        self._usual = usual
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            _end([process for process, _ in self._running.values()])
        finally:
            signal.signal(signal.SIGTSTP, self._usual)
            self._guard.__exit__(*exception)

    def _suspend(self, number: int, frame: object) -> None:
        """Stop on Ctrl-Z with all jobs, which their terminal knows nothing of; go on with them."""
        stopped = [process.pid for process, _ in self._running.values()]
        for pid in stopped:
            signal_group(pid, signal.SIGSTOP)
        signal.signal(number, signal.SIG_DFL)
        try:
            os.kill(os.getpid(), number)  # returns when the shell says `fg`
        finally:
            signal.signal(number, self._suspend)
            for pid in stopped:
                signal_group(pid, signal.SIGCONT)

    def __len__(self) -> int:
        return len(self._running)

    @property
    def has_room(self) -> bool:
        """Whether one more job may start."""
        return len(self._running) < self._num_jobs

    def fits(self, job: Job) -> bool:
        """Whether there is memory for ``job`` beside those that run."""
        if self._devices is not None and self._devices.find(job.memory.device) is None:
            return False
        return self._memory.admits(job.memory.host)

    def start(self, job: Job) -> None:
        """Start ``job``; there must be room, and it must fit."""
        device = None
        self._memory.promise(job.memory.host)
        if self._devices is not None:
            device = self._devices.find(job.memory.device)
            assert device is not None  # it fits
            self._devices.lease(device, job.memory.device)
        process = start(job, _environment(self._threads, device), warm=self._warm)
        self._guard.watch(process.pid)
        self._running[job] = (process, device)
        if self._journal is not None:
            self._journal.started(job.label, process.pid, device)

    def stop(self, job: Job) -> None:
        """Ask ``job`` to end by itself; after `GRACE` seconds `ended` kills it."""
        if job not in self._stopped:
            self._stopped[job] = time.monotonic() + GRACE
            signal_group(self._running[job][0].pid, signal.SIGTERM)

    def ended(self) -> Iterator[tuple[Job, int]]:
        """The jobs that have ended since the last look, with their exit statuses."""
        for job, (process, device) in list(self._running.items()):
            returncode = process.poll()
            if returncode is None:
                if time.monotonic() > self._stopped.get(job, math.inf):
                    signal_group(process.pid, signal.SIGKILL)
                continue
            with suppress(ProcessLookupError, PermissionError):  # nothing was left behind
                os.killpg(process.pid, signal.SIGKILL)
            self._guard.release(process.pid)
            del self._running[job]
            self._stopped.pop(job, None)
            self._memory.give_back(job.memory.host)
            if self._devices is not None and device is not None:
                self._devices.give_back(device, job.memory.device)
            if self._journal is not None:
                self._journal.ended(job.label, process.pid, device, returncode)
            yield job, returncode


def run_jobs(
    jobs: Sequence[Job],
    *,
    num_jobs: int,
    threads_per_job: int,
    devices: DevicePool | None = None,
    warm: bool = True,
    console: Console | None = None,
    journal: Journal | None = None,
) -> list[JobResult]:
    """Run ``jobs`` in a `Pool`, and wait for all; results in their order.

    A job waits for the one it needs, which must be among ``jobs``, for whoever else does its work,
    and for memory where it is known to take more than is free, while others go on. A failed job
    does not stop the others, but those that need it are not started. On Ctrl-C or SIGTERM (which
    the command line turns into an exception) all jobs are ended before the exception goes on; a
    second one ends them at once.
    """
    pool = Pool(
        num_jobs=num_jobs,
        threads_per_job=threads_per_job,
        devices=devices,
        warm=warm,
        journal=journal,
    )
    with Overview(len(jobs), num_jobs, console or plain_console()) as overview, pool:
        queue = _Queue(jobs, pool, overview)
        while queue.waiting or len(pool):
            while pool.has_room and (job := queue.next()):
                pool.start(job)
                overview.started(job)
            for job, returncode in pool.ended():
                queue.ended(job, returncode)
            time.sleep(POLL)
    return [queue.results[job] for job in jobs]


class _Queue:
    """The jobs that wait and those that have ended."""

    def __init__(self, jobs: Sequence[Job], pool: Pool, overview: Overview) -> None:
        self.waiting = deque(jobs)
        self.results: dict[Job, JobResult] = {}
        self._pool, self._overview = pool, overview

    def next(self) -> Job | None:
        """Take the first job that may start now, and out of the queue those that never may."""
        for job in list(self.waiting):
            needed = self.results.get(job.needs) if job.needs else None
            if needed is not None and needed.returncode != 0:
                self.waiting.remove(job)
                self.results[job] = JobResult(job, None, 0.0)
                self._overview.left_out(job)
            elif job.needs is not None and needed is None:
                continue
            elif job.busy is not None and job.busy():
                self._overview.waits(job, "another process is at it")
            elif not self._pool.fits(job):
                self._overview.waits(job, "beside those that run there is no memory for it")
            else:
                self.waiting.remove(job)
                return job
        return None

    def ended(self, job: Job, returncode: int) -> None:
        """Keep how ``job`` ended, or put it back where another process was at its work."""
        if returncode == HeldElsewhereError.exit_status and job.busy is not None:
            self._overview.put_back(job)
            self.waiting.append(job)
            return
        seconds = self._overview.ended(job, returncode)
        self.results[job] = JobResult(job, returncode, seconds)


def _environment(threads: int, device: str | None) -> dict[str, str]:
    # A warm job has its libraries loaded already: there ELEATT_NUM_THREADS alone has an effect.
    environment = dict.fromkeys(
        ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "ELEATT_NUM_THREADS"), str(threads)
    )
    environment["ELEATT_IN_SWEEP"] = "1"
    if device is not None:
        environment["CUDA_VISIBLE_DEVICES"] = device
    return environment


def _end(processes: Sequence[Running]) -> None:
    """Ask ``processes`` to end and wait for `GRACE` seconds; the guard kills what is left then.

    So it does when a second Ctrl-C cuts the waiting short.
    """
    for process in processes:
        signal_group(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while time.monotonic() < deadline and any(process.poll() is None for process in processes):
        time.sleep(POLL)
