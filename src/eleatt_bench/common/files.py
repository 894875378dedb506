"""Writing files so that a reader sees the old content or the new, never half of either."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENOLCK, ENOSYS, ENOTSUP, EOPNOTSUPP
from pathlib import Path

from eleatt_bench.common.errors import UserError

NO_LOCKS = frozenset({ENOLCK, ENOSYS, ENOTSUP, EOPNOTSUPP})
"""What a file system answers that knows no locks, or whose lock server does not run."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it is synced and takes its place.

    If the body raises, the temporary file is removed and ``path`` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace the content of ``path`` by ``text``, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def alone(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock file ``path``, which stays where it is; the kernel frees it if this one dies.

    Raises:
        BlockingIOError: another process has it, and this one is not to ``wait`` for that.
        UserError: its file system has no locks.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            raise UserError(
                f"{path} cannot be locked ({error.strerror}): {file_system(path)} has no locks, "
                "so two processes could write the same file at once. Choose a folder on another "
                "disk (ELEATT_DATA=FOLDER), or mount this one with locks (NFS: without nolock; "
                "Lustre: with -o flock)"
            ) from error
        yield
    finally:
        os.close(descriptor)


def file_system(path: Path) -> str:
    """What ``path`` lies on, in words: ``the file system nfs4 at /home``, as far as it is known."""
    try:
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:  # not Linux
        return "its file system"
    real = path.resolve()
    around = [m for m in mounts if real.is_relative_to(m[1].replace("\\040", " "))]
    if not around:
        return "its file system"
    _, folder, kind, *_ = max(around, key=lambda mount: len(mount[1]))
    return f"the file system {kind} at {folder}"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
