"""A lock file that one process at a time holds; the kernel frees it when that process dies.

The file names its holder: process, host, user, and the cluster's job. On some file systems of
several hosts, a lock is seen only on the host that holds it. There the holder also touches the file
regularly, and a file that names another host is free if it was not touched for `SILENT` seconds.
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
"""Seconds without a touch after which a holder on another host counts as dead.

Caches may show the times of a file 60 seconds late.
"""

_BEAT = 15.0  # seconds between touches
_SETTLE = 1.0  # seconds after which two hosts see what both have just written
_LONGEST = 500  # bytes of a holder's name
_POLL = 0.02  # seconds between tries
_NO_LOCKS = (*NO_LOCKS, EINVAL)
"""The errors of file systems without locks."""


def try_lock(path: Path, seconds: float) -> int | None:
    """Hold ``path``, made with its folder if needed, and return a descriptor for `unlock`.

    None if another process holds it for all of ``seconds``. The holder of the file may remove the
    folder at any time. A waiting process then locks a file that no longer exists, or makes a new
    one in a folder that was just renamed. Lock libraries take that for success; this tries again.

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
    except FileExistsError:  # pathlib also raises this if the folder vanishes between its steps
        with suppress(FileNotFoundError):
            if not S_ISDIR(folder.stat().st_mode):
                raise


def _is_held_at(path: Path, descriptor: int) -> bool:
    """Whether ``descriptor`` is locked now, and is the file at ``path``; if not, it is closed."""
    held = False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held = os.path.samestat(os.fstat(descriptor), path.stat())
    except BlockingIOError:
        pass
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        with suppress(OSError):  # remove what was made for the lock
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
    """Write this process's name into the file; False if a process on another host holds it."""
    shared = may_be_shared(path)
    before = holder(path)
    if shared and before and not _names(before, _host()) and _is_alive(path):
        return False
    own = _own_name().encode()
    os.pwrite(descriptor, own, 0)  # first: a held file is never empty, as `is_free` expects
    os.ftruncate(descriptor, len(own))
    if shared:
        os.fsync(descriptor)
        time.sleep(_SETTLE)
        return path.read_bytes() == own
    return True


def _is_alive(path: Path) -> bool:
    """Whether the file is touched within `SILENT` seconds; no clocks of two hosts are compared."""
    with tempfile.TemporaryFile(dir=path.parent) as now:  # has the time of that file system
        left = SILENT - (os.fstat(now.fileno()).st_mtime - path.stat().st_mtime)
    before, deadline = path.stat().st_mtime_ns, time.monotonic() + min(left, SILENT)
    while time.monotonic() < deadline:
        time.sleep(min(1.0, SILENT))
        os.close(os.open(path, os.O_RDONLY))  # makes NFS look again
        if path.stat().st_mtime_ns != before:
            return True
    return False


@contextmanager
def kept(path: Path, descriptor: int) -> Iterator[None]:
    """Touch ``path``, which this process holds, if other hosts need that to know that it lives.

    If another process took it over, because this one seemed dead, this process gets SIGTERM.
    """
    if not may_be_shared(path):
        yield
        return
    over = threading.Event()
    own = _own_name().encode()

    def beat() -> None:
        while not over.wait(_BEAT):
            with suppress(OSError):  # the server may be away for a while
                found = path.read_bytes()
                if found and found != own:  # if it is empty, it is being written: look again
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
    """Who holds ``path``, or held it until killed, in words; empty if that is not known."""
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
    """Free the lock whose ``descriptor`` `try_lock` returned."""
    with suppress(OSError):
        if os.pread(descriptor, _LONGEST, 0) == _own_name().encode():  # nobody took it over
            os.ftruncate(descriptor, 0)
    fcntl.flock(descriptor, fcntl.LOCK_UN)  # also for children that have inherited it
    os.close(descriptor)


_shared: dict[int, bool] = {}  # by device, what `may_be_shared` says


def is_free(path: str) -> bool:
    """Whether certainly nobody holds ``path``, judged by its size alone.

    A holder has written into the file. If several hosts may write there, the size known here may be
    old, so an existing file is never certain to be free.
    """
    try:  # for thousands of files: a Path for each takes longer than all the rest
        found = os.stat(path)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    if found.st_dev not in _shared:
        _shared[found.st_dev] = may_be_shared(Path(path))
    return found.st_size == 0 and not _shared[found.st_dev]


def is_locked(path: Path) -> bool | None:
    """Whether a living process holds ``path``; this writes nothing.

    The lock of a process on another host may not be seen here; it shows that it lives by touching
    the file. None if this cannot be found out: the file system has no locks, or the file may not be
    read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: several may look
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
