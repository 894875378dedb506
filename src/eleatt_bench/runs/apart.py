"""Finding out in another process, which may hang or die, whether a file can be read at all.

On some damaged HDF5 files the library loops for ever, and Python cannot interrupt it.
"""

from __future__ import annotations

import atexit
import os
import resource
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

SECONDS = 3.0  # of CPU time, which a busy machine does not use up; no sound file takes 1 s

_MEMORY = 4 << 30  # bytes of address space
_LENGTH = struct.Struct("<Q")


class Apart:
    """Another process that calls ``parse``, a module's function, with the contents of files.

    It is started when it is needed, and again after it has ended. Threads take turns. After a fork
    the child starts a process of its own.
    """

    def __init__(self, parse: Callable[[bytes], object]) -> None:
        self._code = (
            f"from {__name__} import serve; "
            f"from {parse.__module__} import {parse.__name__} as parse; serve(parse)"
        )
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._parents: list[subprocess.Popen[bytes] | None] = []
        atexit.register(self.end)
        os.register_at_fork(after_in_child=self._forget)

    def check(self, content: bytes) -> None:
        """Call ``parse`` with ``content`` in the other process.

        Raises:
            ValueError: ``parse`` raised it, took too long, or ended the process.
        """
        with self._lock:
            problem = self._ask(content)
        if problem:
            raise ValueError(problem)

    def _ask(self, content: bytes) -> str:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", self._code, str(SECONDS)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.write(_LENGTH.pack(len(content)) + content)
            process.stdin.flush()
        answer = process.stdout.readline()
        if answer.endswith(b"\n"):
            return answer.decode().strip()
        self.end()
        if process.returncode == -signal.SIGPROF:
            return f"reading it does not end, in {SECONDS:g} s of computing"
        return f"reading it ends a process with status {process.returncode}"

    def end(self) -> None:
        """End the other process, if there is one."""
        if self._process is not None:
            with suppress(BrokenPipeError):
                self._process.communicate()
            self._process = None

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._parents.append(self._process)
        self._process = None


def serve(parse: Callable[[bytes], object]) -> None:
    """Parse contents from standard input; answer each with a line: what is wrong, or nothing."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while head := sys.stdin.buffer.read(_LENGTH.size):
        content = sys.stdin.buffer.read(*_LENGTH.unpack(head))
        signal.setitimer(signal.ITIMER_PROF, float(sys.argv[1]))  # not handled: it kills
        try:
            parse(content)
            problem = ""
        except ValueError as error:
            problem = str(error)
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.buffer.write(problem.encode(errors="replace") + b"\n")
        sys.stdout.buffer.flush()
