"""The engine `local`: jobs as processes on this machine, a few at a time."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.signals import interrupted_afterwards
from eleatt_bench.launch.devices import Budget, DevicePool, free_memory
from eleatt_bench.launch.guard import Guard, signal_group
from eleatt_bench.launch.journal import Journal
from eleatt_bench.launch.process import Job, Running, of_job, start

GRACE = 10.0
"""Seconds that a job has to end by itself when the sweep is stopped."""

POLL = 0.05
"""Seconds between looks at the running jobs."""


class Pool:
    """Jobs that run side by side, at most ``num_jobs`` of them; a context manager around them.

    Every job is told its share of CPU threads and, with ``devices``, the one device it leases. The
    ``journal`` notes each start and end. Jobs that still run when the context is left, e.g. on
    Ctrl-C, are ended. On Ctrl-Z the jobs stop together with this process.
    """

    queues = False
    pause = POLL

    def __init__(
        self,
        *,
        num_jobs: int,
        threads_per_job: int,
        devices: DevicePool | None = None,
        warm: bool = True,
        journal: Journal | None = None,
    ) -> None:
        self.at_once, self._threads, self._warm = num_jobs, threads_per_job, warm
        self._devices, self._journal = devices, journal
        self._memory = Budget(free_memory())
        self._running: dict[Job, tuple[Running, str | None]] = {}
        self._stopped: dict[Job, float] = {}  # when jobs that were told to end will be killed

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
            self._note_ends()

    def _note_ends(self) -> None:
        """Tell the journal how the last jobs ended; the guard has killed those that did not."""
        with suppress(UserError):  # which would hide why the pool is left
            for job, (process, device) in self._running.items():
                status = process.poll()
                self._note_end(job, process, device, -signal.SIGKILL if status is None else status)

    def _note_end(self, job: Job, process: Running, device: str | None, status: int) -> None:
        if self._journal is not None:
            self._journal.ended(job.label, process.pid, device, status)

    def _suspend(self, number: int, frame: object) -> None:
        """Stop and go on, by Ctrl-Z and `fg`, together with all jobs, which have no terminal."""
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
        return len(self._running) < self.at_once

    def waits(self, job: Job) -> str | None:
        """None: a job that was started here runs."""
        return None

    def runs_for(self, job: Job) -> float:
        """Zero: a job is seen from its start."""
        return 0.0

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
        with interrupted_afterwards():  # otherwise nobody might know the process just started
            process = start(job, of_job(self._threads, device), warm=self._warm)
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
            self._note_end(job, process, device, returncode)
            yield job, returncode


def _end(processes: Sequence[Running]) -> None:
    """Ask ``processes`` to end and wait for `GRACE` seconds; the guard kills what is left then.

    The guard does so too when a second Ctrl-C cuts the waiting short.
    """
    for process in processes:
        signal_group(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while time.monotonic() < deadline and any(process.poll() is None for process in processes):
        time.sleep(POLL)
