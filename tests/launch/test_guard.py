"""The guard ends what is still listed when its pipe closes, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from eleatt_bench.launch.guard import Guard, signal_group

Sleeper = subprocess.Popen[bytes]


@pytest.fixture
def sleepers() -> Iterator[list[Sleeper]]:
    """Three processes, each first of a group of its own."""
    started = [
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                         start_new_session=True) for _ in range(3)
    ]  # fmt: skip
    yield started
    for one in started:
        one.kill()
        one.wait()


def test_the_groups_listed_at_the_end_are_killed_and_no_other(sleepers: list[Sleeper]) -> None:
    kept, released, never = sleepers
    with Guard() as guard:
        guard.watch(kept.pid)
        guard.watch(released.pid)
        guard.release(released.pid)
        time.sleep(0.2)
        assert [one.poll() for one in sleepers] == [None] * 3, "not before the end"
    assert kept.wait(timeout=5) == -signal.SIGKILL
    assert released.poll() is None
    assert never.poll() is None


def test_signals_do_not_end_the_guard(sleepers: list[Sleeper]) -> None:
    with Guard() as guard:
        guard.watch(sleepers[0].pid)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(guard.pid, number)
        time.sleep(0.2)
        os.kill(guard.pid, 0)  # it is there
    assert sleepers[0].wait(timeout=5) == -signal.SIGKILL


def test_a_dead_guard_does_not_stop_the_launcher(sleepers: list[Sleeper]) -> None:
    with Guard() as guard:
        os.kill(guard.pid, signal.SIGKILL)
        guard.watch(sleepers[0].pid)
        guard.release(sleepers[0].pid)
    assert sleepers[0].poll() is None


def test_the_guard_is_no_child_of_whom_it_guards() -> None:
    with Guard() as guard, pytest.raises(ChildProcessError):
        os.waitpid(guard.pid, os.WNOHANG)


def test_a_signal_to_what_has_ended_is_no_error() -> None:
    ended = subprocess.Popen([sys.executable, "-c", "pass"], start_new_session=True)
    ended.wait()
    signal_group(ended.pid, signal.SIGKILL)
