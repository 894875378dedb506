"""The guard, which kills what is left of the jobs when their launcher ends, however it ends.

``kill -9`` leaves a launcher no time to end its jobs, and the warm server's children and the ranks
of a distributed run would not notice. So a small process, the guard, reads the jobs' process
groups from a pipe. Only the launcher holds the other end; when that closes, the guard kills the
groups still listed. It is nobody's child, because Ray ends a worker together with its children.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress


class Guard:
    """The launcher's side of the guard; a context manager around all jobs."""

    def __enter__(self) -> Guard:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],  # only the standard library: it starts fast
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in the terminal is not for the guard
            bufsize=0,
        )
        assert self._process.stdout is not None
        self.pid = int(self._process.stdout.readline())
        self._process.wait()
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.read()  # returns when the guard has ended
        self._process.stdout.close()

    def watch(self, pid: int) -> None:
        """Let the group of ``pid`` end with this process."""
        self._tell(pid)

    def release(self, pid: int) -> None:
        """Forget the group of ``pid``, which has ended."""
        self._tell(-pid)

    def _tell(self, number: int) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # someone killed the guard: no reason to stop the jobs
            self._process.stdin.write(f"{number}\n".encode())


def signal_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to ``pid`` and all that it started; nothing happens if all have ended."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:  # not yet a group of its own, or gone
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    except PermissionError:  # macOS: all have ended, but nobody has waited for them yet
        pass


def guard(lines: Iterable[str]) -> None:
    """Keep a list of groups as ``lines`` say, and kill the groups on it when the lines end."""
    groups: set[int] = set()
    for line in lines:
        pid = int(line)
        if pid > 0:
            groups.add(pid)
        else:
            groups.discard(-pid)
    for pid in groups:
        signal_group(pid, signal.SIGKILL)


if __name__ == "__main__":
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, signal.SIG_IGN)
    if pid := os.fork():
        print(pid)
    else:
        guard(sys.stdin)
