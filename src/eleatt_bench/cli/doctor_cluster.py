"""``eleatt-bench doctor launcher=slurm`` or ``ray``: a test job reports what jobs find there."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from eleatt_bench import __version__
from eleatt_bench.cli.train import compose_checked
from eleatt_bench.common.errors import UserError
from eleatt_bench.common.files import alone, file_system, write_text
from eleatt_bench.common.locations import folder_at
from eleatt_bench.common.text import printable
from eleatt_bench.launch.endings import NO_FOLDER, NO_LOG
from eleatt_bench.launch.engine import Engine
from eleatt_bench.launch.engines import is_local
from eleatt_bench.launch.overview import last_lines
from eleatt_bench.launch.process import Job
from eleatt_bench.launch.settings import SWEEPS
from eleatt_bench.training.environment import git_commit

_QUEUED = 30.0  # seconds that the job may wait for a node
_RUNNING = 120.0  # seconds that it may run: torch may come from a slow disk
_ANSWER = "answer.json"
_LOCK = "lock"
_DATA = "data"  # a file with the path of the folder of data


@runtime_checkable
class _Limited(Protocol):
    """An engine whose jobs have a time limit."""

    def time_limit(self, job: Job) -> str: ...


class Finding(NamedTuple):
    """What was checked, whether it is good for a sweep, and what was found or mends it."""

    what: str
    good: bool
    told: str


def ask_cluster(overrides: Sequence[str]) -> bool:
    """Print what a test job with the settings ``overrides`` finds there; whether all is well.

    Raises:
        UserError: the launcher is not one of a cluster, or the cluster does not take such a job.
    """
    config = compose_checked(overrides, "train")
    if is_local(config):
        raise UserError("doctor takes settings only for a cluster: launcher=slurm or launcher=ray")
    sweeps = folder_at(config["runs_dir"]).absolute() / SWEEPS
    sweeps.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="probe-", dir=sweeps))
    folder.chmod(0o755)
    try:
        asked = (
            _of_ray(config) if config["launcher"]["name"] == "ray" else _of_slurm(config, folder)
        )
        print(asked.title)
        print(f"  {'asked for':<12} {asked.told}", flush=True)
        findings = list(_findings(config, asked, folder))
    finally:
        for path in sweeps.glob(f"{folder.name}.*"):
            path.unlink()
        shutil.rmtree(folder, ignore_errors=True)
    for one in findings:
        print(f"  {one.what:<12} {'' if one.good else 'NO: '}{printable(one.told)}")
    return all(one.good for one in findings)


class _Asked(NamedTuple):
    """The engine of the test job, what the job asks for, and remedies for what it lacks."""

    title: str
    engine: Engine
    told: str
    threads: int
    gpus: float
    queue: Callable[[str], str]  # the remedy for the reason why the job does not run
    program: str


def _of_slurm(config: Mapping[str, Any], folder: Path) -> _Asked:
    from eleatt_bench.launch.slurm.engine import Slurm
    from eleatt_bench.launch.slurm.script import request

    wanted = request(config)
    engine = Slurm(wanted, folder.parent, folder.name, at_once=1, most=None, say=lambda said: None)
    return _Asked(
        "SLURM", engine, " ".join(wanted.options), wanted.threads, wanted.gpus,
        partial(_slurms_remedy, config),
        "say how with launcher.setup, e.g. 'launcher.setup=[\"python=/path/on/nodes/bin/python\"]'",
    )  # fmt: skip


def _of_ray(config: Mapping[str, Any]) -> _Asked:
    from eleatt_bench.launch.ray.driver import Ray

    engine = Ray.of(config, most=1, journal=None, say=lambda said: None)
    return _Asked(
        "Ray", engine, str(engine.lease), engine.lease.threads, engine.lease.gpus,
        lambda reason: "see ray status; launcher.cpus, gpus and memory say what a job leases",
        "jobs run by the Python that Ray was started with on each node. Install eleatt-bench "
        "there, or name its folder with +launcher.env.PYTHONPATH=FOLDER",
    )  # fmt: skip


def _findings(config: Mapping[str, Any], asked: _Asked, folder: Path) -> Iterator[Finding]:
    job = Job(("doctor", "--probe", str(folder)), "probe", folder / "probe.log")
    data = folder_at(config["data_dir"]).absolute()
    write_text(folder / _DATA, str(data))
    with ExitStack() as stack:
        engine = stack.enter_context(asked.engine)
        try:
            stack.enter_context(alone(folder / _LOCK, variable="ELEATT_RUNS"))
        except UserError as error:
            yield Finding("lock", False, str(error))
            return
        status, reason, limit = _outcome(engine, job)
    if reason:
        told = f"the job did not run within {_QUEUED:.0f} seconds ({reason})"
        yield Finding("queue", False, f"{told}: {asked.queue(reason)}")
        return
    yield Finding("queue", True, "the job ran at once")
    if status is None:
        said = "; ".join(last_lines(job.log_path, 3)) or "it said nothing"
        told = (
            f"the job ran for {_RUNNING:.0f} seconds without an answer ({said}): Python and torch "
            "may come from a slow disk, so try once more; or what runs before them waits"
        )
        yield Finding("program", False, told)
        return
    yield from _judged(status, job, folder, data, asked)
    if config["launcher"]["time"] is not None or limit:
        yield _time(limit, config)


def _outcome(engine: Engine, job: Job) -> tuple[int | None, str, str]:
    """The exit status of ``job``, why it did not start in time, and its time limit.

    The status is None if the job did not end in time; the reason is empty if it started.
    """
    ended: dict[Job, int | None] = {}
    limit, runs, deadline = "", False, time.monotonic() + _QUEUED
    engine.start(job)
    while True:
        ended.update(engine.ended())
        if job in ended:
            return ended[job], "", limit
        waits = engine.waits(job)
        if waits is None and not runs:
            runs = True
            deadline = time.monotonic() + _RUNNING
        if not limit and isinstance(engine, _Limited):
            limit = engine.time_limit(job)
        if time.monotonic() > deadline:
            engine.stop(job)
            return None, waits or "", limit
        time.sleep(engine.pause)


def _slurms_remedy(config: Mapping[str, Any], reason: str) -> str:
    if "TimeLimit" in reason:
        return f"launcher.time={config['launcher']['time']} is more than the partition lets"
    if reason in ("Priority", "Resources", "None", "BeginTime"):
        return "the cluster is busy, or has no node with so much: see sinfo, and try again"
    return "see man squeue, JOB REASON CODES; launcher.partition, account and qos say where"


def _judged(
    status: int | None, job: Job, folder: Path, data: Path, asked: _Asked
) -> Iterator[Finding]:
    log = "; ".join(last_lines(job.log_path, 3))
    try:
        answer = json.loads((folder / _ANSWER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        if not job.log_path.exists() or status == NO_LOG:
            told = (
                f"the job wrote nothing to {folder}: the folder of runs must be there, at this "
                "path, on every node. Choose another with runs_dir=FOLDER"
            )
            yield Finding("folder", False, told)
        elif status == NO_FOLDER:
            yield Finding("folder", False, f"{Path.cwd()} is not on the node: go to a shared one")
        else:
            told = f"the program did not run there ({log or f'exit status {status}'})"
            yield Finding("program", False, f"{told}: {asked.program}")
        return
    yield Finding("folder", True, f"{folder.parent.parent} is on {answer['host']} as well")
    yield _data(answer, data)
    here = [__version__, git_commit()]
    same = answer["version"] == here
    told = f"{answer['version'][0]}, commit {answer['version'][1] or 'none'}, by {answer['python']}"
    mend = f"; here it is {here[0]}, commit {here[1] or 'none'}: {asked.program}"
    yield Finding("version", same, told + ("" if same else mend))
    yield _lock(answer, folder)
    yield _cores(answer, asked)
    yield _gpus(answer, asked)


def _data(answer: Mapping[str, Any], data: Path) -> Finding:
    if answer["data"]:
        return Finding("data", True, f"{data} is on {answer['host']} as well")
    if data.exists():
        return Finding("data", False, f"{data} is not on the node: choose another with data_dir")
    return Finding("data", True, f"{data} is not made yet, neither here nor there")


def _lock(answer: Mapping[str, Any], folder: Path) -> Finding:
    if answer["lock"]:
        where = "" if answer["hostname"] != socket.gethostname() else " (it is the same host)"
        return Finding("lock", True, f"what is locked here is locked on {answer['host']}{where}")
    return Finding(
        "lock",
        False,
        f"what is locked here is free on {answer['host']}, so two machines could be at the same "
        f"run: {file_system(folder)} should be mounted with locks (NFS: without nolock, Lustre: "
        "with flock). Or choose another folder with runs_dir=FOLDER",
    )


def _cores(answer: Mapping[str, Any], asked: _Asked) -> Finding:
    good = answer["cores"] >= asked.threads
    told = f"{answer['cores']} cores, of which each process uses {asked.threads}"
    return Finding("cpus", good, told + ("" if good else ": give launcher.cpus what there is"))


def _gpus(answer: Mapping[str, Any], asked: _Asked) -> Finding:
    found = answer["gpus"]
    if len(found) >= asked.gpus:
        return Finding("gpu", True, ", ".join(found) or "none asked for, none used")
    if answer["devices"]:
        told = (
            f"{asked.title} gave {answer['devices']}, and torch finds {len(found)} of "
            f"{asked.gpus:g}: install torch's CUDA build there, or see nvidia-smi on that node"
        )
    else:
        told = f"torch finds {len(found)} of {asked.gpus:g}: choose nodes that have GPUs"
    return Finding("gpu", False, told)


def _time(limit: str, config: Mapping[str, Any]) -> Finding:
    notice, asked = config["launcher"]["notice"], config["launcher"]["time"]
    told = f"{limit or 'unknown'}; {notice or 0} seconds before, a job goes back into the queue"
    if limit in ("UNLIMITED", "INVALID") or asked is None or notice:
        return Finding("time limit", True, told)
    return Finding("time limit", False, "launcher.notice=0: a job that outruns it is killed")


def answer(folder: Path) -> None:
    """Write what this process, the test job, finds into ``folder``."""
    import torch

    from eleatt_bench.common.parallel import available_cores

    with (folder / _LOCK).open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            locked = False
        except BlockingIOError:
            locked = True
        except OSError:
            locked = False
    found = {
        "host": os.environ.get("SLURMD_NODENAME") or socket.gethostname(),
        "hostname": socket.gethostname(),
        "version": [__version__, git_commit()],
        "python": sys.executable,
        "data": Path((folder / _DATA).read_text(encoding="utf-8")).exists(),
        "lock": locked,
        "cores": available_cores(),
        "devices": os.environ.get("CUDA_VISIBLE_DEVICES", ""),
        "gpus": [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())],
    }
    write_text(folder / _ANSWER, json.dumps(found))
