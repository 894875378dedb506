"""A file that one process at a time holds; the kernel lets go of it when that process dies."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from errno import EINVAL
from pathlib import Path
from stat import S_ISDIR

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.files import NO_LOCKS, file_system

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
                return descriptor
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


def unlock(descriptor: int) -> None:
    """Let go of what `try_lock` returned."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)  # also for children that have inherited it
    os.close(descriptor)


def is_locked(path: Path) -> bool | None:
    """Whether a living process holds ``path``; nothing is written to find out.

    None where that cannot be asked: the file system has no locks, or the file may not be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: lookers do not collide
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False
