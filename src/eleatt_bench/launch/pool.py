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
    A job waits for the one it needs, which must be among ``jobs``, and for whoever else does its
    work, while others go on. What starts and ends is written to ``journal``. A failed job does not
    stop the others, but those that need it are not started. On Ctrl-C or SIGTERM (which the command
    line turns into an exception) all jobs are ended before the exception goes on; a second one ends
    them at once.
    """
    waiting, running = deque(jobs), dict[Job, tuple[Running, str | None]]()
    results: dict[Job, JobResult] = {}
    with Guard() as guard, Overview(len(jobs), num_jobs, console or Console()) as overview:
        try:
            while waiting or running:
                while len(running) < num_jobs and (job := _next(waiting, results, overview)):
                    device = devices.lease() if devices else None
                    environment = _environment(threads_per_job, device)
                    process = start(job, environment, warm=warm)
                    guard.watch(process.pid)
                    running[job] = (process, device)
                    overview.started(job)
                    if journal is not None:
                        journal.started(job.label, process.pid, device)
                for job, (process, device) in list(running.items()):
                    returncode = process.poll()
                    if returncode is None:
                        continue
                    with suppress(ProcessLookupError, PermissionError):  # nothing was left behind
                        os.killpg(process.pid, signal.SIGKILL)
                    guard.release(process.pid)
                    del running[job]
                    if journal is not None:
                        journal.ended(job.label, process.pid, device, returncode)
                    if devices and device is not None:
                        devices.give_back(device)
                    if returncode == HeldElsewhereError.exit_status and job.busy is not None:
                        overview.put_back(job)
                        waiting.append(job)
                        continue
                    results[job] = JobResult(job, returncode, overview.ended(job, returncode))
                time.sleep(_POLL)
        finally:
            _end([process for process, _ in running.values()])
    return [results[job] for job in jobs]


def _next(waiting: deque[Job], results: dict[Job, JobResult], overview: Overview) -> Job | None:
    """Take the first job that may start now, and out of the queue those that never may."""
    for job in list(waiting):
        needed = results.get(job.needs) if job.needs else None
        if needed is not None and needed.returncode != 0:
            waiting.remove(job)
            results[job] = JobResult(job, None, 0.0)
            overview.left_out(job)
        elif job.needs is not None and needed is None:
            continue
        elif job.busy is not None and job.busy():
            overview.elsewhere(job)
        else:
            waiting.remove(job)
            return job
    return None


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
