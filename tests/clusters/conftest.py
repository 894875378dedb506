"""A real SLURM and a real Ray on this host, one each for all tests, and jobs that take no time."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from multiprocessing.connection import Client
from pathlib import Path
from subprocess import Popen

import pytest

from eleatt_bench.launch.journal import Journal
from eleatt_bench.launch.process import Job
from eleatt_bench.launch.ray.cluster import Cluster, Lease
from eleatt_bench.launch.ray.driver import Ray
from eleatt_bench.launch.slurm.engine import Slurm
from eleatt_bench.launch.slurm.script import Request

SCRIPT = Path(__file__).with_name("slurm.sh")
RAY_NODES = Path(__file__).with_name("ray_nodes.py")
ANYTHING = "python=(bash -c 'shift 2; \"$@\"' -)"
"""A line of setup that makes a job run its words as a command, without ``eleatt-bench``."""
WANTED = Request(
    options=("--nodes=1", "--ntasks=1", "--cpus-per-task=1", "--mem=100M", "--time=10",
             "--signal=B:USR1@30", "--requeue", "--kill-on-invalid-dep=yes"),
    setup=(ANYTHING,), gpus=0, threads=1, resubmit=2, parallel=None, poll=0.2,
)  # fmt: skip


def why_not() -> str:
    """Why SLURM cannot be started here; empty if it can."""
    if os.geteuid() != 0:
        return "SLURM's daemons must be started by root"
    lacking = [name for name in ("munged", "slurmctld", "slurmd", "sbatch", "bash")
               if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]  # fmt: skip
    if lacking:
        return (
            f"SLURM is not installed ({', '.join(lacking)}); on Debian: apt-get install "
            "--no-install-recommends slurmctld slurmd slurm-client munge"
        )
    return ""


@pytest.fixture(scope="session")
def slurm(shared: Path) -> Iterator[Callable[..., str]]:
    """The cluster, as a function that runs slurm.sh with words such as ``node-down 1``.

    All workers of a session share the cluster; the last one stops it.
    """
    if reason := why_not():
        pytest.skip(reason)
    users = shared / "slurm-users"
    environment = {**os.environ, "SLURM_LOCAL": str(shared / "slurm"), "SLURM_LOCAL_CPUS": "16"}
    environment.pop("SLURM_CONF", None)

    def answer(*words: str) -> str:
        command = ["sh", str(SCRIPT), *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def counted(step: int) -> int:
        with users.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            count = int(file.read() or 0) + step
            if step > 0:
                answer("start", "2")
            elif count == 0:
                answer("stop")
            file.truncate(0)
            file.write(str(count))
        return count

    counted(+1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(shared / "slurm" / "slurm.conf"))
        yield answer
        counted(-1)


@pytest.fixture
def engine(slurm: object, tmp_path: Path) -> Callable[..., Slurm]:
    """Make an engine for a sweep in the test's own folder."""

    def make(name: str = "sweep", wanted: Request = WANTED) -> Slurm:
        folder = tmp_path / "runs" / "sweeps"
        return Slurm(wanted, folder, name_in(tmp_path, name), at_once=9, most=None, say=print)

    return make


@pytest.fixture
def jobs(tmp_path: Path) -> Callable[..., list[Job]]:
    """Make jobs that run lines of bash; job n is done once the file ``done<n>`` is there."""

    def make(*lines: str, sweep: str = "sweep") -> list[Job]:
        folder = tmp_path / "runs" / "sweeps" / sweep
        return [
            Job(
                ("bash", "-c", line), f"job {number}", folder / f"run{number}.log",
                run_id=f"run{number}", done=(tmp_path / f"done{number}").exists,
            )
            for number, line in enumerate(lines)
        ]  # fmt: skip

    return make


def name_in(folder: Path, name: str = "sweep") -> str:
    """A name for a sweep that no other test uses."""
    return f"{name}-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"


def ask(*words: str, environment: Mapping[str, str] | None = None) -> str:
    """The output of a SLURM command."""
    return subprocess.run(
        words, env=environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout


def hurry(task: str) -> None:
    """Let a requeued job start now, not after two minutes.

    The first request waits a second: within the same second a node takes the new credential of the
    job for the old, revoked one. The request is repeated as long as the job waits for its begin
    time, because a job gets a new one while it is still being requeued.
    """
    for _ in range(10):
        time.sleep(1.1)
        subprocess.run(["scontrol", "update", f"jobid={task}", "StartTime=now"], check=False)
        soon = time.monotonic() + 3
        while time.monotonic() < soon:
            looked = ["squeue", "-h", "-r", f"--jobs={task}", "--format=%r"]
            if b"BeginTime" not in subprocess.run(looked, capture_output=True, check=False).stdout:
                return
            time.sleep(0.1)


ODD = ["a b", "c'd", 'e"f', "g$HOME`h`", "{i: [j, k]}", "l\nm", "%n\\o", "*", "", "@SETUP@", "ü→"]
"""Words that must reach a job unchanged."""

TypeIt = Callable[..., Popen[str]]


def typed(words: tuple[str, ...], folder: Path, environment: Mapping[str, str]) -> Popen[str]:
    """Start ``eleatt-bench`` with ``words`` in ``folder``, as a person does: Ctrl-C reaches it."""
    return Popen(
        [sys.executable, "-m", "eleatt_bench", *words], cwd=folder, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


def ended(process: Popen[str], status: int = 0, *, seconds: float = 240) -> str:
    """The output of ``process``, which must end with ``status``."""
    said, _ = process.communicate(timeout=seconds)
    assert process.returncode == status, said
    return said


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for ``condition``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


# Ray.

RAY_LEASE = Lease(cpus=1, gpus=0, memory=None, threads=1)
OTHER_PROGRAM = "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"
"""Replaces the program: it runs the words of a job as a command."""


def made_ray(
    folder: Path, lease: Lease = RAY_LEASE, variables: Mapping[str, str] | None = None
) -> Ray:
    """An engine whose jobs are any commands; a job fails when it is lost for the third time."""
    program = folder / "program" / "eleatt_bench"
    program.mkdir(parents=True, exist_ok=True)
    (program / "__init__.py").touch()
    (program / "__main__.py").write_text(OTHER_PROGRAM)
    book = Journal(folder / "runs" / "sweeps" / "sweep" / "jobs.jsonl")
    engine = Ray(
        Cluster("auto"), lease, variables={}, retries=2, most=None, journal=book, say=print
    )
    engine._variables = {"PYTHONPATH": str(program.parent), **(variables or {})}
    return engine


@pytest.fixture(scope="session")
def ray_server(shared: Path) -> Iterator[Path]:
    """The folder of a Ray cluster of two nodes that all workers of a session share."""
    if find_spec("ray") is None:
        pytest.skip("Ray is not installed: make test-clusters, or pip install 'eleatt-bench[ray]'")
    folder = Path(tempfile.gettempdir()) / hashlib.sha256(str(shared).encode()).hexdigest()[:12]
    folder.mkdir(exist_ok=True)  # short, since the path of a socket must be

    servers: list[subprocess.Popen[bytes]] = []

    def counted(step: int) -> None:
        with (folder / "users").open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            count = int(file.read() or 0) + step
            if count == 1 and step > 0:
                started = _start_ray(folder)
                until(lambda: (folder / "socket").exists() or started.poll() is not None, 280)
                assert started.poll() is None, (folder / "log").read_text()
                servers.append(started)
            elif count == 0:
                _ask_ray(folder, "stop")
            file.truncate(0)
            file.write(str(count))
        if count == 0:
            shutil.rmtree(folder, ignore_errors=True)  # the server removes its socket itself

    counted(+1)
    yield folder
    counted(-1)
    for server in servers:
        server.wait(120)  # until the last worker has stopped it


def _start_ray(folder: Path) -> subprocess.Popen[bytes]:
    foreign = {"RANK": "3", "WORLD_SIZE": "4", "SLURM_PROCID": "3"}
    (folder / "token").write_text(secrets.token_hex(32))
    asked = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(folder / "token")}
    with (folder / "log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, str(RAY_NODES), str(folder / "socket")],
            env={**os.environ, **foreign, **asked, "RAY_USAGE_STATS_ENABLED": "0"},
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip


def _ask_ray(folder: Path, word: str) -> str:
    with Client(str(folder / "socket"), "AF_UNIX") as asked:
        asked.send(word)
        return str(asked.recv())


@pytest.fixture
def ray_nodes(ray_server: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """The cluster, for this test alone, as a function that takes ``node-down`` or ``node-up``."""
    with (ray_server / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        monkeypatch.setenv("RAY_ADDRESS", _ask_ray(ray_server, "address").split()[0])
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(ray_server / "token"))
        yield partial(_ask_ray, ray_server)


@pytest.fixture
def ray_engine(ray_nodes: object, tmp_path: Path) -> Callable[..., Ray]:
    """Make an engine for jobs in the test's own folder."""
    return partial(made_ray, tmp_path)
