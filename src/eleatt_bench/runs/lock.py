"""A file that one process at a time holds; the kernel lets go of it when that process dies.

It names who holds it: process, host, user, and the cluster's job. On some file systems of several
hosts a lock is seen on its own host alone. There whoever holds the file also touches it every now
and then, and one that names another host is free when it has not been touched for `SILENT` seconds.
"""

from __future__ import annotations

import fcntl
import getpass
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EINVAL
from pathlib import Path
from stat import S_ISDIR

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.files import NO_LOCKS, file_system, may_be_shared

SILENT = 120.0
"""Seconds after which a holder on another host counts as dead; caches of files last for 60."""

_BEAT = 15.0  # seconds between touches
_SETTLE = 1.0  # seconds after which two hosts see what both have just written
_LONGEST = 500  # bytes of what a file names
_POLL = 0.02  # seconds between tries
_NO_LOCKS = (*NO_LOCKS, EINVAL)
"""What file systems without locks answer."""


def try_lock(path: Path, seconds: float) -> int | None:
    """Hold ``path``, made with its folder if need be; a descriptor for `unlock`.

    None if another process has it for so many ``seconds``. The folder may be removed at any time by
    whoever holds the file. Then whoever waits gets hold of a file that is no more, or makes a new
    one in a folder that has just got another name; file locks of libraries take that for success.

    Raises:
        UserError: the file system has no locks.
    """
    deadline = time.monotonic() + seconds
    while True:
        _make(path.parent)
        with suppress(FileNotFoundError):  # the folder is gone
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            if _is_held_at(path, descriptor):
                if _takes(path, descriptor):
                    return descriptor
                os.close(descriptor)
        if time.monotonic() > deadline:
            return None
        time.sleep(_POLL)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:  # pathlib's answer, too, where the folder vanishes between its steps
        with suppress(FileNotFoundError):
            if not S_ISDIR(folder.stat().st_mode):
                raise


def _is_held_at(path: Path, descriptor: int) -> bool:
    """Whether the file is locked now, and the one at ``path``; if not it is closed."""
    held = False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held = os.path.samestat(os.fstat(descriptor), path.stat())
    except BlockingIOError:
        pass
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        with suppress(OSError):  # what was made to be locked
            path.unlink()
            path.parent.rmdir()
        raise UserError(
            f"{path.parent} is on a file system without locks ({file_system(path.parent)}: "
            f"{error.strerror}), where two processes could train the same run at once. Choose a "
            "folder on another one with runs_dir=FOLDER or ELEATT_RUNS, or have it mounted with "
            "locks (NFS: without nolock, Lustre: with flock)"
        ) from error
    finally:
        if not held:
            os.close(descriptor)
    return held


def _takes(path: Path, descriptor: int) -> bool:
    """Write into the file that it is this process's; False if it is one's on another host."""
    shared = may_be_shared(path)
    before = holder(path)
    if shared and before and not _names(before, _host()) and _is_alive(path):
        return False
    own = _own_name().encode()
    os.pwrite(descriptor, own, 0)  # first: what is held is never empty, as `is_free` takes it
    os.ftruncate(descriptor, len(own))
    if shared:
        os.fsync(descriptor)
        time.sleep(_SETTLE)
        return path.read_bytes() == own
    return True


def _is_alive(path: Path) -> bool:
    """Whether the file is touched within `SILENT` seconds; no clocks of two hosts are compared."""
    with tempfile.TemporaryFile(dir=path.parent) as now:  # by the clock that dates all files there
        left = SILENT - (os.fstat(now.fileno()).st_mtime - path.stat().st_mtime)
    before, deadline = path.stat().st_mtime_ns, time.monotonic() + min(left, SILENT)
    while time.monotonic() < deadline:
        time.sleep(min(1.0, SILENT))
        os.close(os.open(path, os.O_RDONLY))  # lets NFS look again
        if path.stat().st_mtime_ns != before:
            return True
    return False


@contextmanager
def kept(path: Path, descriptor: int) -> Iterator[None]:
    """Show, where it takes that, that this process lives which holds ``path``.

    If another took it meanwhile, thinking this one dead, this one ends as by SIGTERM.
    """
    if not may_be_shared(path):
        yield
        return
    over = threading.Event()
    own = _own_name().encode()

    def beat() -> None:
        while not over.wait(_BEAT):
            with suppress(OSError):  # a server that is away for a while
                found = path.read_bytes()
                if found and found != own:  # an empty one is being written: the next look tells
                    other = found.decode("utf-8", errors="replace")
                    print(f"{path} was taken over: {other}", file=sys.stderr, flush=True)
                    os.kill(os.getpid(), signal.SIGTERM)
                    return
                os.utime(descriptor)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def holder(path: Path) -> str:
    """Who holds ``path``, or died with it, in words; empty where that is not known."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would wait for ever
    except OSError:
        return ""
    try:
        return os.read(descriptor, _LONGEST).decode("utf-8", errors="replace")
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def _own_name() -> str:
    array, index = (os.environ.get(f"SLURM_ARRAY_{part}") for part in ("JOB_ID", "TASK_ID"))
    job = f"{array}_{index}" if array and index else os.environ.get("SLURM_JOB_ID")
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container that knows no names
        user = str(os.getuid())
    of_slurm = f", SLURM job {job}" if job else ""
    return f"process {os.getpid()} on {_host()}, user {user}{of_slurm}"


def _host() -> str:
    return socket.gethostname()


def _names(text: str, host: str) -> bool:
    return f" on {host}," in text


def unlock(descriptor: int) -> None:
    """Let go of what `try_lock` returned."""
    with suppress(OSError):
        if os.pread(descriptor, _LONGEST, 0) == _own_name().encode():  # none took it over
            os.ftruncate(descriptor, 0)
    fcntl.flock(descriptor, fcntl.LOCK_UN)  # also for children that have inherited it
    os.close(descriptor)


_shared: dict[int, bool] = {}  # by device, what `may_be_shared` says


def is_free(path: str) -> bool:
    """Whether nobody holds ``path`` for sure, found out by a look at it alone.

    Whoever holds it has written into it. Where several hosts may write, and what one knows of a
    file may be old, nothing is sure.
    """
    try:  # of thousands, where a Path for each takes longer than all the rest
        found = os.stat(path)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    if found.st_dev not in _shared:
        _shared[found.st_dev] = may_be_shared(Path(path))
    return found.st_size == 0 and not _shared[found.st_dev]


def is_locked(path: Path) -> bool | None:
    """Whether a living process holds ``path``; nothing is written to find out.

    One on another host, whose lock is not seen here, shows by touching the file that it lives. None
    where that cannot be asked: the file system has no locks, or the file may not be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: lookers do not collide
        touched = os.fstat(descriptor).st_mtime
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    named = holder(path)
    if not named or _names(named, _host()) or not may_be_shared(path):
        return False
    return time.time() - touched < SILENT
