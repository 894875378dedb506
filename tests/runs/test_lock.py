"""Who holds a lock, and locks where the file system has none or several hosts."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from eleatt_bench.common.errors import HeldElsewhereError
from eleatt_bench.runs import lock
from eleatt_bench.runs.record import RunFolder

NOLOCK = """
#include <errno.h>
int flock(int descriptor, int operation) { errno = %s; return -1; }
"""


@pytest.fixture(params=["ENOLCK", "EOPNOTSUPP", "ENOSYS"])
def without_locks(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Environment variables with which `flock` answers as on a file system without locks."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs a C compiler, on Linux")
    source, library = tmp_path / "nolock.c", tmp_path / "nolock.so"
    source.write_text(NOLOCK % request.param)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    return {**os.environ, "LD_PRELOAD": str(library)}


LOOK = """
import sys
from pathlib import Path
from eleatt_bench.cli.runs import runs
from eleatt_bench.runs.record import all_runs
for folder in all_runs(Path(sys.argv[1])):
    print(folder.run_id, folder.status())
for action in ("list", "gc"):
    runs([action])
"""

WRITE = """
import sys
from pathlib import Path
from eleatt_bench.common.errors import UserError
from eleatt_bench.runs.record import RunFolder
for name in ("new", sys.argv[2]):
    for write in (lambda run: run.held().__enter__(), RunFolder.remove):
        try:
            write(RunFolder(Path(sys.argv[1]), name))
        except UserError as error:
            print(error)
"""


def test_who_looks_needs_none_and_who_writes_is_told(
    make_run, record_of, tmp_path: Path, without_locks: dict[str, str]
) -> None:
    finished, begun = make_run(seed=0), make_run(seed=1, status="running")
    for run in (finished, begun):
        with run.held():
            pass

    def python(code: str, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path), *arguments],
            env={**without_locks, "ELEATT_RUNS": str(tmp_path)}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    lines = python(LOOK).splitlines()
    assert f"{finished.run_id} finished" in lines
    assert f"{begun.run_id} unknown" in lines
    assert not (finished.checkpoints / "previous.ckpt").exists(), "gc went on"
    said = python(WRITE, begun.run_id).splitlines()
    assert len(said) == 4
    for line in said:
        assert " is on a file system without locks (" in line
        assert " at /" in line
        assert "Choose a folder on another one with runs_dir=FOLDER or ELEATT_RUNS" in line
    assert not (tmp_path / "new").exists()
    assert begun.record.exists()


def test_a_lock_names_who_holds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"JOB_ID": "9", "ARRAY_JOB_ID": "7", "ARRAY_TASK_ID": "3"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    run = RunFolder(tmp_path, "run")
    path = run.path / ".lock"
    with run.held():
        own = f"process {os.getpid()} on {socket.gethostname()}, user "
        assert lock.holder(path).startswith(own)
        assert lock.holder(path).endswith(", SLURM job 7_3")
        held = pytest.raises(HeldElsewhereError, match=rf"Another process is at run \({own}")
        with held, run.held(wait=False):
            pass
    assert lock.holder(path) == ""


@pytest.fixture
def several_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock file of a file system on which a lock is seen on its own host alone."""
    monkeypatch.setattr(lock, "may_be_shared", lambda path: True)
    monkeypatch.setattr(lock, "SILENT", 1.0)
    monkeypatch.setattr(lock, "_BEAT", 0.1)
    monkeypatch.setattr(lock, "_SETTLE", 0.1)
    monkeypatch.setattr(os, "kill", lambda pid, number: signals.append((pid, number)))
    signals.clear()
    path = tmp_path / "run" / ".lock"
    path.parent.mkdir()
    return path


signals: list[tuple[int, int]] = []
ELSEWHERE = "process 5 on another, user ada, SLURM job 1_2"


def test_who_lives_on_another_host_keeps_what_it_holds(several_hosts: Path) -> None:
    several_hosts.write_text(ELSEWHERE)
    over = threading.Event()

    def live() -> None:
        while not over.wait(0.1):
            os.utime(several_hosts)

    alive = threading.Thread(target=live)
    alive.start()
    assert lock.try_lock(several_hosts, 0.0) is None
    over.set()
    alive.join()
    assert several_hosts.read_text() == ELSEWHERE
    began = time.monotonic()
    held = lock.try_lock(several_hosts, 0.0)  # it is silent now
    assert held is not None
    assert 0.5 < time.monotonic() - began < 5
    assert str(os.getpid()) in several_hosts.read_text()
    lock.unlock(held)


def test_who_died_long_ago_or_here_is_not_waited_for(several_hosts: Path) -> None:
    for name, age in ((ELSEWHERE, 60.0), (f"process 5 on {socket.gethostname()}, user ada", 0.0)):
        several_hosts.write_text(name)
        os.utime(several_hosts, (time.time() - age,) * 2)
        began = time.monotonic()
        held = lock.try_lock(several_hosts, 0.0)
        assert held is not None
        assert time.monotonic() - began < 0.9
        lock.unlock(held)


@pytest.mark.parametrize(
    ("name", "age", "locked"),
    [(ELSEWHERE, 0.0, True), (ELSEWHERE, -5.0, True), (ELSEWHERE, 3.0, False), ("", 0.0, False),
     (f"process 5 on {socket.gethostname()}, user ada", 0.0, False)],
)  # fmt: skip
def test_who_looks_sees_whether_another_host_is_at_it(
    several_hosts: Path, monkeypatch, name: str, age: float, locked: bool
) -> None:
    several_hosts.write_text(name)
    before = time.time() - age
    os.utime(several_hosts, (before, before))
    assert lock.is_locked(several_hosts) is locked
    assert several_hosts.stat().st_mtime == pytest.approx(before), "looking leaves no trace"
    monkeypatch.setattr(lock, "may_be_shared", lambda path: False)
    assert lock.is_locked(several_hosts) is False, "here the kernel knows"


def test_who_was_taken_for_dead_ends(several_hosts: Path, capsys) -> None:
    held = lock.try_lock(several_hosts, 0.0)
    assert held is not None
    with lock.kept(several_hosts, held):
        time.sleep(0.3)
        assert not signals
        several_hosts.write_text(ELSEWHERE)  # by a host that does not see this one's lock
        time.sleep(0.5)
    assert signals == [(os.getpid(), signal.SIGTERM)]
    assert f"was taken over: {ELSEWHERE}" in capsys.readouterr().err
    lock.unlock(held)
    assert several_hosts.read_text() == ELSEWHERE


def test_of_two_hosts_that_take_it_at_once_one_has_it(several_hosts: Path, monkeypatch) -> None:
    def sleep(seconds: float) -> None:
        several_hosts.write_text(ELSEWHERE)

    monkeypatch.setattr(lock, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
    assert lock.try_lock(several_hosts, 0.0) is None
    assert several_hosts.read_text() == ELSEWHERE


TAKE = """
import sys, time
from pathlib import Path
from eleatt_bench.runs.lock import try_lock, unlock
path, flag = Path(sys.argv[1]), Path(sys.argv[2])
while not flag.exists():
    held = try_lock(path, 5.0)
    print("held", flush=True)
    sys.stdin.readline()
    unlock(held)
    print("free", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("before", ["", "process 5 on a host with a long name, user " + "ada" * 40])
def test_what_is_held_is_never_taken_for_free(tmp_path: Path, before: str) -> None:
    path = tmp_path / "run" / ".lock"
    assert lock.is_free(str(path))
    path.parent.mkdir()
    path.write_text(before)
    assert lock.is_free(str(path)) is (before == ""), "who died with it is asked for"
    command = [sys.executable, "-c", TAKE, str(path), str(tmp_path / "over")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        for _ in range(20):
            assert other.stdout.readline() == "held\n"
            assert not lock.is_free(str(path))
            assert lock.is_locked(path)
            assert lock.holder(path).startswith(f"process {other.pid} on ")
            assert "long name" not in lock.holder(path)
            print(file=other.stdin)
            assert other.stdout.readline() == "free\n"
            assert lock.is_free(str(path))
            assert lock.is_locked(path) is False
            print(file=other.stdin)
        other.stdout.readline()
        other.kill()
    assert not lock.is_free(str(path)), "it does not know"
    assert lock.is_locked(path) is False, "the kernel does"


def test_where_several_hosts_may_write_a_look_is_not_enough(
    several_hosts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_shared", {})
    several_hosts.write_text("")
    assert not lock.is_free(str(several_hosts))
    assert lock.is_locked(several_hosts) is False


def test_a_run_that_has_ended_is_running_again_as_soon_as_it_is_held(make_run) -> None:
    run = make_run()
    known = run.read()
    assert run.status(known) == "finished"
    with run.held():
        assert run.status(known) == "running"
    assert run.status(known) == "finished"
    run.path.chmod(0)
    try:
        assert run.status(known) == "finished"
    finally:
        run.path.chmod(0o755)
