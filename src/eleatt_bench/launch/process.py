"""One job as a process of its own: a command line, started cold or forked from a warm server."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from eleatt_bench.launch.devices import UNKNOWN, Memory
from eleatt_bench.launch.ranks import without_ranks
from eleatt_bench.launch.settings import begins_anew

PRELOADED = (
    "eleatt_bench.training.warm",
    "torch",
    "pytorch_lightning",
    "eleatt_bench.cli.train",
    "eleatt_bench.training.fit",
    "eleatt_bench.training.run",
)
"""What the warm server imports; none of it runs a torch operation or touches CUDA."""

PLANNED = "ELEATT_PLANNED_RUN"
"""The environment variable that tells a job which run it was planned as."""

IN_SWEEP = "ELEATT_IN_SWEEP"
"""The environment variable that tells a job that a sweep's launcher started it."""

NUM_THREADS = "ELEATT_NUM_THREADS"
"""The environment variable that tells a job how many CPU threads it leases."""

BUSY = "another process is at it"
"""Why a job waits while it is `Job.busy`."""

SAFE_PATH = {"PYTHONSAFEPATH": "1"}
"""A Python with this variable imports nothing from the working folder, which may hold anything.

The processes that it starts, such as the ranks of a job, do not either.
"""


@dataclass(frozen=True)
class Job:
    """One command line, ``eleatt-bench`` and ``arguments``; its output goes to ``log_path``.

    It starts after the job that it ``needs`` has ended well, and while no other process is ``busy``
    with its work. A job that ends with `HeldElsewhereError` came too late and has to wait again. A
    job is told the ``run_id`` that it was planned as, and refuses to do another run. ``done`` tells
    whether its work is done, by any process. The job writes the file ``grows`` when it gets on.
    """

    arguments: tuple[str, ...]
    label: str
    log_path: Path
    warm_ok: bool = True
    needs: Job | None = None
    busy: Callable[[], bool] | None = None
    memory: Memory = UNKNOWN
    run_id: str | None = None
    done: Callable[[], bool] | None = None
    grows: Path | None = None

    @property
    def key(self) -> str:
        """A name that is the same for two jobs that do the same work."""
        digest = hashlib.sha256("\0".join(self.arguments).encode()).hexdigest()
        return self.run_id or f"{self.arguments[0]}-{digest[:16]}"


def of_job(threads: int, devices: str | None) -> dict[str, str]:
    """The variables that tell a job what it leases; ``devices`` None: all that there are."""
    # A warm job has its libraries loaded already: there NUM_THREADS alone has an effect.
    environment = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", NUM_THREADS), str(threads))
    environment[IN_SWEEP] = "1"
    environment |= SAFE_PATH
    if devices is not None:
        environment["CUDA_VISIBLE_DEVICES"] = devices
    return environment


class Running(Protocol):
    """A job's process, the first of a group of its own."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""


def start(job: Job, environment: dict[str, str], *, warm: bool) -> Running:
    """Start ``job`` with ``environment`` added to this process's, without the rank variables."""
    job.log_path.parent.mkdir(parents=True, exist_ok=True)
    everything = without_ranks(os.environ) | environment
    if job.run_id is not None:
        everything[PLANNED] = job.run_id
    if warm and job.warm_ok and sys.platform == "linux":
        with suppress(OSError, EOFError):  # the server has no room for a socket, or was killed
            return _Warm(job, everything)
    return cold(job.arguments, job.log_path, everything)


def command(arguments: Sequence[str]) -> list[str]:
    """The command line of a job that starts cold."""
    return [sys.executable, "-m", "eleatt_bench", *arguments]


def cold(
    arguments: Sequence[str],
    log: Path,
    environment: Mapping[str, str],
    *,
    mode: str = "wb",
    folder: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a job's command line in ``folder`` as a group of its own that writes to ``log``."""
    with log.open(mode) as file:
        return subprocess.Popen(
            command(arguments),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=folder,
            start_new_session=True,
        )


class _Warm:
    def __init__(self, job: Job, environment: Mapping[str, str]) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(PRELOADED))
        os.environ |= SAFE_PATH  # for the server, which this process starts with its first job
        self._process = context.Process(
            target=_run_warm, args=(job.arguments, str(job.log_path), dict(environment))
        )
        self._process.start()
        assert self._process.pid is not None  # started
        self.pid, self._job = self._process.pid, job

    def poll(self) -> int | None:
        status = self._process.exitcode
        if status != _UNTOLD:
            return status
        if _lives(self.pid):
            return None
        # The run of a job that begins anew may have been finished before the job.
        done = None if begins_anew(self._job.arguments) else self._job.done
        return 0 if done is not None and done() else status


_UNTOLD = 255
"""The status that multiprocessing gives a job whose server has died.

A signal to all processes of a terminal or a service may kill the server, while the job, which is a
session of its own, goes on.
"""


def _lives(pid: int) -> bool:
    """Whether the process ``pid`` has not ended yet; a zombie has."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] not in ("Z", "X")


def _run_warm(arguments: Sequence[str], log_path: str, environment: dict[str, str]) -> None:
    """In the forked process: become the command line ``eleatt-bench arguments``."""
    os.setsid()
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["eleatt-bench", *arguments]
    runpy.run_module("eleatt_bench", run_name="__main__")
