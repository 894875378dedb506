"""One function over many pieces of work, on several processes, in order, in bounded memory."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.runtime import keep_memory

Work = TypeVar("Work")
Result = TypeVar("Result")

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CGROUP = Path("/proc/self/cgroup")
_CGROUPS = Path("/sys/fs/cgroup")
_MOST = 8  # processes; with more, taking their results is slower than they are
_AHEAD = 3  # pieces per process that are begun or done before they are asked for


def cores() -> int:
    """How many processes it makes sense to start here."""
    return min(available_cores(), _MOST)


def available_cores() -> int:
    """How many CPU cores this process may use, by its affinity and, in a container, its quota."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, int(min([cores, *_quotas()])))


def _quotas() -> list[float]:
    """Linux: the CPU quotas, in cores, of this process's control group and those above."""
    quotas = []
    for group in control_groups():
        file = group / "cpu.max"  # "QUOTA PERIOD" in microseconds, or "max PERIOD"
        if file.is_file():
            quota, period = file.read_text(encoding="utf-8").split()
            quotas += [] if quota == "max" else [int(quota) / int(period)]
    return quotas


def control_groups() -> list[Path]:
    """Linux: the folders of this process's control group (version 2) and of those above."""
    try:
        lines = _CGROUP.read_text(encoding="utf-8").splitlines()
    except OSError:  # no Linux
        return []
    path = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    groups = [_CGROUPS / path, *(_CGROUPS / path).parents]
    return [group for group in groups if group.is_relative_to(_CGROUPS)]


def in_order(
    function: Callable[[Work], Result], pieces: Iterable[Work], processes: int
) -> Iterator[Result]:
    """``function`` of each piece, in their order, computed by ``processes`` new processes.

    If ``processes`` is 1, this process computes. ``pieces`` is read only a few pieces ahead. An
    error in ``function`` is raised here. The processes end with the iterator, however it ends.

    Processes are spawned, not forked: a fork of a program with threads (as PyTorch's) may hang.

    Raises:
        UserError: a process was killed, as the system does when memory runs out.
    """
    if processes == 1:
        yield from map(function, pieces)
        return
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=_begin)
    pending: deque[Future[Result]] = deque()
    try:
        for piece in pieces:
            with _uninterrupted():  # `submit` may start a process
                pending.append(pool.submit(function, piece))
            if len(pending) > _AHEAD * processes:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool as error:
        raise UserError(
            f"One of {processes} processes that did this was killed, perhaps for want of memory: "
            "free some, then run the same command again"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold back signals here and in a process that is started: an interrupted start fails."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin() -> None:
    """Prepare a new process: it leaves Ctrl-C to its parent, and ends when its parent is killed."""
    keep_memory()  # a new program does not inherit malloc's settings
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
