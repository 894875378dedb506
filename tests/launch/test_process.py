"""Warm jobs: what the server may import, what a job finds there, and how it ends."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from multiprocessing import forkserver
from pathlib import Path

import pytest
from filelock import FileLock

from eleatt_bench.common.locations import PACKAGE
from eleatt_bench.launch.process import PRELOADED, Job, Running, start

from .conftest import wait_for

ROOM = (
    "devices", "guard", "ranks", "settings", "overview", "pool", "process", "engine", "engines",
    "slurm.engine", "slurm.script",
)  # fmt: skip

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="jobs start warm on Linux alone")


def python(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_to_the_end(job: Job, environment: dict[str, str], seconds: float = 60) -> tuple[int, float]:
    """Exit status and duration of a warm job."""
    began = time.monotonic()
    running = start(job, environment, warm=True)
    return wait(running, seconds), time.monotonic() - began


def wait(running: Running, seconds: float) -> int:
    deadline = time.monotonic() + seconds
    while (status := running.poll()) is None:
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return status


def test_the_launcher_knows_no_science() -> None:
    modules = [f"eleatt_bench.launch.{name}" for name in ROOM]
    code = f"""
import importlib, sys
for name in {modules}:
    importlib.import_module(name)
rooms = ("nn", "data", "training", "runs", "tables", "sweeps", "report", "cli")
print([m for m in sys.modules if m in ("torch", "pytorch_lightning", "numpy", "h5py")
       or m.startswith(tuple(f"eleatt_bench.{{room}}" for room in rooms))])
"""
    assert python(code) == "[]\n"


@pytest.mark.slow
@linux_only
def test_what_the_server_imports_leaves_torch_and_cuda_untouched() -> None:
    code = f"""
import importlib, os
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # NumPy's pool is made anew in a forked process
import torch

def threads():
    return len(os.listdir("/proc/self/task"))

def refuse(*arguments, **options):
    raise AssertionError("touches CUDA")

for name in ("is_available", "device_count", "init", "_lazy_init", "current_device"):
    setattr(torch.cuda, name, refuse)
for name in {PRELOADED}:
    importlib.import_module(name)
assert not torch.cuda.is_initialized()
print(threads())
torch.set_num_threads(3)
(torch.ones(2000, 2000) @ torch.ones(2000, 2000)).exp()
print(threads())
"""
    imported, after = map(int, python(code).split())
    assert imported == 1, "a pool of threads would hang every job"
    assert after > 1, "or else this test sees no threads"


@linux_only
@pytest.mark.slow
def test_a_warm_job_starts_at_once_with_torch_in_working_order(tmp_path: Path) -> None:
    job = Job(("--version",), "version", tmp_path / "version.log")
    first, _ = run_to_the_end(job, {})  # waits for the server
    again = [run_to_the_end(job, {}) for _ in range(3)]
    assert [first, *(status for status, _ in again)] == [0] * 4
    assert min(seconds for _, seconds in again) < 1
    assert job.log_path.read_text(encoding="utf-8").startswith("eleatt-bench ")

    code = f"""
import sys
assert all(name in sys.modules for name in {PRELOADED})
import torch
torch.set_num_threads(2)
assert float((torch.ones(300, 300) @ torch.ones(300, 300)).sum()) == 300 ** 3
"""
    in_the_server = multiprocessing.get_context("forkserver").Process(target=exec, args=(code, {}))
    in_the_server.start()
    in_the_server.join(30)
    assert in_the_server.exitcode == 0


@linux_only
@pytest.mark.slow
def test_a_warm_job_has_the_environment_it_is_given(tmp_path: Path) -> None:
    job = Job(("runs", "list"), "list", tmp_path / "list.log")
    place = tmp_path / "elsewhere"
    assert run_to_the_end(job, {"ELEATT_RUNS": str(place)})[0] == 0
    assert f"No runs in {place}" in job.log_path.read_text(encoding="utf-8")


@linux_only
@pytest.mark.slow  # as tests/cli/test_sweep.py sees it from outside
def test_a_failing_warm_job_says_so_in_its_log(tmp_path: Path) -> None:
    job = Job(("train", "+typo=1"), "typo", tmp_path / "new" / "typo.log")
    assert run_to_the_end(job, {})[0] == 1
    assert "Unknown config key 'typo'" in job.log_path.read_text(encoding="utf-8")


TWO_IN_TURN = """
import subprocess, sys, time
from pathlib import Path
from eleatt_bench.launch.process import Job, start

top, commit = Path(sys.argv[1]), sys.argv[2:]
for name in ("first", "second"):
    running = start(Job(("doctor",), name, top / f"{name}.log"), {}, warm=True)
    while (status := running.poll()) is None:
        time.sleep(0.05)
    assert status == 0, (top / f"{name}.log").read_text()
    subprocess.run(commit, cwd=top, check=True)
"""


@linux_only
@pytest.mark.slow
def test_warm_jobs_have_the_commit_of_the_code_that_was_imported(tmp_path: Path) -> None:
    top = PACKAGE.parents[1]
    for folder in ("src", "configs"):
        shutil.copytree(top / folder, tmp_path / folder)
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b")
    for words in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "one")):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    ask = ("git", "-C", str(tmp_path), "rev-parse", "HEAD")
    before = subprocess.check_output(ask, text=True).strip()
    meanwhile = (*git, "commit", "-q", "--allow-empty", "-m", "two")
    subprocess.run(
        [sys.executable, "-c", TWO_IN_TURN, str(tmp_path), *meanwhile],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "src")}, check=True,
    )  # fmt: skip
    assert subprocess.check_output(ask, text=True).strip() != before
    for name in ("first", "second"):
        told = (tmp_path / f"{name}.log").read_text(encoding="utf-8").splitlines()
        assert f"  {'commit':<18} {before}" in told


TELL_THE_VERSION = """
import sys, time
from pathlib import Path
from eleatt_bench.launch.process import Job, of_job, start
if __name__ == "__main__":
    job = Job(("--version",), "", Path(sys.argv[1]))
    running = start(job, of_job(1, ""), warm=sys.argv[2] == "warm")
    while (status := running.poll()) is None:
        time.sleep(0.02)
    sys.exit(status)
"""


@linux_only
@pytest.mark.parametrize("how", ["cold", pytest.param("warm", marks=pytest.mark.slow)])
def test_a_job_imports_nothing_from_the_working_folder(tmp_path: Path, how: str) -> None:
    caller, log = tmp_path / "caller.py", tmp_path / "version.log"
    caller.write_text(TELL_THE_VERSION, encoding="utf-8")
    (folder := tmp_path / "folder").mkdir()
    for name in ("selectors", "eleatt_bench"):
        (folder / f"{name}.py").write_text("raise SystemExit('imported from the working folder')\n")
    done = subprocess.run(
        [sys.executable, str(caller), str(log), how], cwd=folder, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert log.read_text(encoding="utf-8").startswith("eleatt-bench ")


@linux_only
def test_without_room_for_the_servers_socket_a_job_starts_cold(tmp_path: Path) -> None:
    (long := tmp_path / ("n" * 100)).mkdir()
    code = """
import sys, time
from pathlib import Path
from eleatt_bench.launch.process import Job, start
running = start(Job(("--version",), "", Path(sys.argv[1])), {}, warm=True)
while (status := running.poll()) is None:
    time.sleep(0.02)
sys.exit(status)
"""
    log = tmp_path / "version.log"
    done = subprocess.run(
        [sys.executable, "-c", code, str(log)], env={**os.environ, "TMPDIR": str(long)}
    )
    assert done.returncode == 0
    assert log.read_text(encoding="utf-8").startswith("eleatt-bench ")


@linux_only
@pytest.mark.slow
def test_a_job_that_outlives_its_server_is_waited_for(tmp_path: Path) -> None:
    words = ("train", *ENDLESS, f"data_dir={tmp_path}", f"runs_dir={tmp_path / 'runs'}")
    done: list[bool] = []
    job = Job(words, "long", tmp_path / "long.log", done=lambda: bool(done))
    running = start(job, {}, warm=True)
    try:
        wait_for_epochs(job.log_path)
        server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
        os.kill(server, signal.SIGTERM)  # as a signal to all processes of a terminal or service
        time.sleep(0.5)
        assert running.poll() is None
        version = Job(("--version",), "version", tmp_path / "version.log")
        assert run_to_the_end(version, {})[0] == 0, "by another server"
        assert running.poll() is None
    finally:
        os.killpg(running.pid, signal.SIGKILL)
    assert wait(running, 10) == 255
    done.append(True)
    assert running.poll() == 0, "nobody knows its status, but it has done its work"


def wait_for_epochs(log: Path) -> None:
    wait_for(lambda: log.exists() and "epoch" in log.read_text(encoding="utf-8"), 60)


ENDLESS = ("experiment=digits", "model.hidden_size=4", "trainer.max_epochs=100000")

WARM_DRIVER = f"""
import sys, time
from pathlib import Path
from eleatt_bench.launch.engine import run_jobs
from eleatt_bench.launch.pool import Pool
from eleatt_bench.launch.process import Job

folder = Path(sys.argv[1])
arguments = ("train", *{ENDLESS}, f"data_dir={{folder}}", f"runs_dir={{folder / 'runs'}}")
run_jobs([Job(arguments, "long", folder / "long.log")], Pool(num_jobs=1, threads_per_job=1))
"""


@linux_only
@pytest.mark.slow
def test_a_warm_job_dies_with_a_killed_launcher(tmp_path: Path) -> None:
    driving = subprocess.Popen(
        [sys.executable, "-c", WARM_DRIVER, str(tmp_path)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    log = tmp_path / "long.log"
    try:
        wait_for_epochs(log)
    finally:
        driving.kill()
        driving.wait()
    (lock,) = tmp_path.glob("runs/*/.lock")
    with FileLock(lock, timeout=10):  # free: whoever trained is gone
        written = log.read_bytes()
        time.sleep(0.3)
        assert log.read_bytes() == written
