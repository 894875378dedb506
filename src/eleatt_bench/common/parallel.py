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
_MOST = 8  # processes; with more, what takes their results is the slowest
_AHEAD = 3  # pieces of work per process that are begun or done, but not asked for


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
    """Linux: the cores' worth of time granted to this process's control group and those above."""
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

    With one process it is this one. ``pieces`` is read a few pieces ahead and no further. What
    ``function`` raises is raised here; the processes end with the iterator, however that ends.

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
            with _uninterrupted():  # it may start a process
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
    """Let signals wait, here and in a process that is started: half a start ends in a traceback."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin() -> None:
    """Ctrl-C is for the parent alone to handle; a parent that was killed takes this one along."""
    keep_memory()  # malloc's switches are not handed on to a new program
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
