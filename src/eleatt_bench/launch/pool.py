"""Many jobs, a few at a time."""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from rich.console import Console

from eleatt_bench.errors import HeldElsewhereError
from eleatt_bench.launch.devices import DevicePool
from eleatt_bench.launch.guard import Guard, signal_group
from eleatt_bench.launch.journal import Journal
from eleatt_bench.launch.memory import Budget, free_memory
from eleatt_bench.launch.overview import Overview
from eleatt_bench.launch.process import Job, Running, start

GRACE = 10.0
"""Seconds that a job has to end by itself when the sweep is stopped."""

_POLL = 0.05  # seconds between looks at the running jobs


@dataclass(frozen=True)
class JobResult:
    """``returncode`` is None for a job that never started, because the one it needs failed."""

    job: Job
    returncode: int | None
    seconds: float


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
    """Run ``jobs``, at most ``num_jobs`` at once, and wait for all; results in their order.

    Every job is told its share of CPU threads and, with ``devices``, the one device it leases.
    A job waits for the one it needs, which must be among ``jobs``, for whoever else does its work,
    and for memory where it is known to take more than is free, while others go on. What starts and
    ends is written to ``journal``. A failed job does not stop the others, but those that need it
    are not started. On Ctrl-C or SIGTERM (which the command line turns into an exception) all jobs
    are ended before the exception goes on; a second one ends them at once.
    """
    with Guard() as guard, Overview(len(jobs), num_jobs, console or Console()) as overview:
        pool = _Pool(jobs, guard, overview, journal, devices)
        try:
            while pool.waiting or pool.running:
                while len(pool.running) < num_jobs and (job := pool.next()):
                    pool.start(job, threads_per_job, warm)
                pool.collect()
                time.sleep(_POLL)
        finally:
            _end([process for process, _ in pool.running.values()])
    return [pool.results[job] for job in jobs]


class _Pool:
    """The jobs that wait, run, and have ended, and what they share."""

    def __init__(
        self,
        jobs: Sequence[Job],
        guard: Guard,
        overview: Overview,
        journal: Journal | None,
        devices: DevicePool | None,
    ) -> None:
        self.waiting = deque(jobs)
        self.running: dict[Job, tuple[Running, str | None]] = {}
        self.results: dict[Job, JobResult] = {}
        self._guard, self._overview, self._journal = guard, overview, journal
        self._devices, self._memory = devices, Budget(free_memory())

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
            elif not self._fits(job):
                self._overview.waits(job, "beside those that run there is no memory for it")
            else:
                self.waiting.remove(job)
                return job
        return None

    def _fits(self, job: Job) -> bool:
        if self._devices is not None and self._devices.find(job.memory.device) is None:
            return False
        return self._memory.admits(job.memory.host)

    def start(self, job: Job, threads: int, warm: bool) -> None:
        """Start what `next` has found."""
        device = None
        self._memory.promise(job.memory.host)
        if self._devices is not None:
            device = self._devices.find(job.memory.device)
            assert device is not None  # `next` has looked
            self._devices.lease(device, job.memory.device)
        process = start(job, _environment(threads, device), warm=warm)
        self._guard.watch(process.pid)
        self.running[job] = (process, device)
        self._overview.started(job)
        if self._journal is not None:
            self._journal.started(job.label, process.pid, device)

    def collect(self) -> None:
        """See which jobs have ended."""
        for job, (process, device) in list(self.running.items()):
            returncode = process.poll()
            if returncode is None:
                continue
            with suppress(ProcessLookupError, PermissionError):  # nothing was left behind
                os.killpg(process.pid, signal.SIGKILL)
            self._guard.release(process.pid)
            del self.running[job]
            self._memory.give_back(job.memory.host)
            if self._devices is not None and device is not None:
                self._devices.give_back(device, job.memory.device)
            if self._journal is not None:
                self._journal.ended(job.label, process.pid, device, returncode)
            if returncode == HeldElsewhereError.exit_status and job.busy is not None:
                self._overview.put_back(job)
                self.waiting.append(job)
                continue
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
        time.sleep(_POLL)
