"""What a worker of Ray's does on its node: run a job as a process group that ends with it."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path

from eleatt_bench.common.errors import HeldElsewhereError
from eleatt_bench.common.files import write_text
from eleatt_bench.launch.endings import NO_FOLDER, NO_LOG, ended_file, started_file
from eleatt_bench.launch.guard import Guard, signal_group
from eleatt_bench.launch.pool import GRACE, POLL
from eleatt_bench.launch.process import PLANNED, cold, of_job
from eleatt_bench.launch.ranks import without_ranks


@dataclass(frozen=True)
class Work:
    """A job as it is sent to a node; paths are the same on all of them."""

    arguments: tuple[str, ...]
    log: Path
    folder: Path
    run_id: str | None
    threads: int
    variables: Mapping[str, str]


@dataclass(frozen=True)
class Place:
    """Where a job runs; ``device`` has the GPUs that it leases, if any, as CUDA names them."""

    pid: int
    host: str
    device: str | None


@dataclass(frozen=True)
class Ending:
    """How a job ended; if it did not begin, ``place`` is None and ``told`` says why."""

    status: int
    place: Place | None
    told: str = ""


def run(work: Work) -> Ending:
    """Do ``work``; Ray cancels it by SIGINT, and the job then has `GRACE` seconds to end."""
    stops: list[float] = []
    usual = signal.signal(signal.SIGINT, lambda *_: stops.append(time.monotonic()))
    try:
        return _run(work, stops)
    finally:
        signal.signal(signal.SIGINT, usual)


def _run(work: Work, stops: list[float]) -> Ending:
    host = socket.gethostname()
    for path, status in ((work.folder, NO_FOLDER), (work.log.parent, NO_LOG)):
        if not path.is_dir():
            return Ending(status, None, f"{path} is not on {host}")
    devices = _devices()
    # Variables for this program that Ray was started with are not meant for this sweep.
    here = {k: v for k, v in without_ranks(os.environ).items() if not k.startswith("ELEATT_")}
    variables = {
        **here,
        **work.variables,
        **of_job(work.threads, devices),
    }
    if work.run_id is not None:
        variables[PLANNED] = work.run_id
    with Guard() as guard:  # ends the group also when this process is killed
        job = cold(work.arguments, work.log, variables, mode="ab", folder=work.folder)
        guard.watch(job.pid)
        place = Place(job.pid, host, devices or None)
        write_text(started_file(work.log), json.dumps(asdict(place)))
        told, deadline = False, inf
        while job.poll() is None:
            if stops and not told:
                told, deadline = True, time.monotonic() + GRACE
                signal_group(job.pid, signal.SIGTERM)
            elif time.monotonic() > deadline:
                signal_group(job.pid, signal.SIGKILL)
            time.sleep(POLL)
        with suppress(ProcessLookupError, PermissionError):  # nothing was left behind
            os.killpg(job.pid, signal.SIGKILL)
        guard.release(job.pid)
    status = job.returncode
    if not stops and status != HeldElsewhereError.exit_status:
        write_text(ended_file(work.log), f"{status if status >= 0 else 128 - status}\n")
    return Ending(status, place)


def _devices() -> str:
    """The GPUs of this task, as CUDA_VISIBLE_DEVICES names them; empty if it has none."""
    import ray

    leased = ray.get_runtime_context().get_accelerator_ids()["GPU"]
    return ",".join(map(str, leased))
