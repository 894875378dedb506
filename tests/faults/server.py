"""Starts command lines by forking a process that has imported everything: a start takes 0.1 s.

Reads one JSON object per line, ``{"arguments": [...], "folder": PATH, "kill_at": n or null,
"powerless": bool, "environment": {...}}``, and answers with the id of a process that leads a group
of its own, works in the folder and writes to ``output.txt`` there. ``"wait"`` is answered with its
exit status, as `subprocess` has it. With ``kill_at`` the process kills itself with SIGKILL right
before the n-th of its calls that change what files are called or force them to disk: the moments at
which a crash could leave something half done. The output ends with how many there were.
``powerless`` takes root's privileges away, so that permissions count.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import eleatt_bench.training.fit  # noqa: F401  (torch and Lightning, imported once for all)
from eleatt_bench import cli

CALLS = ("fsync", "replace", "rename", "link", "unlink")


def counted(call: Callable[..., Any], counter: itertools.count[int], kill_at: int | None) -> Any:
    def before_it(*arguments: Any, **options: Any) -> Any:
        if next(counter) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **options)

    return before_it


def drop_privileges() -> None:
    """Root stays the owner of its files, and may do what any owner may (capset(2))."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None, use_errno=True).capset(header, nothing):
        raise OSError(ctypes.get_errno(), "capset")


def become(job: dict[str, Any]) -> int:
    """In the forked process: be the command line."""
    os.setsid()
    os.chdir(job["folder"])
    os.environ.update(job["environment"])
    for descriptor, name in ((0, os.devnull), (1, "output.txt"), (2, "output.txt")):
        opened = os.open(name, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, descriptor)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if job["powerless"]:
        drop_privileges()
    counter = itertools.count(1)
    for name in CALLS:
        setattr(os, name, counted(getattr(os, name), counter, job["kill_at"]))
    sys.argv = ["eleatt-bench", *job["arguments"]]
    handle_stops = cli._handle_stops

    def begun() -> list[int]:
        stops = handle_stops()
        with suppress(OSError):  # where the job may not write
            Path(f"{job['folder']}.begun").touch()  # a signal is the program's to answer now
        return stops

    cli._handle_stops = begun
    status = cli.main(job["arguments"])
    print(f"calls: {next(counter) - 1}", flush=True)
    return status


def start(job: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 99
    try:
        status = become(job)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


for line in sys.stdin:
    request = json.loads(line)
    answer = os.waitstatus_to_exitcode(os.wait()[1]) if request == "wait" else start(request)
    print(answer, flush=True)
