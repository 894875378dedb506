"""Files that a reader sees whole, and reading such that may have been changed by others."""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import ENOLCK, ENOSYS, ENOTSUP, EOPNOTSUPP
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple

from eleatt_bench.common.errors import UserError

NO_LOCKS = frozenset({ENOLCK, ENOSYS, ENOTSUP, EOPNOTSUPP})
"""What a file system answers that knows no locks, or whose lock server does not run."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it is synced and takes its place.

    If the body raises, the temporary file is removed and ``path`` stays as it was.

    Raises:
        OSError: of ``path``, where it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with naming(path, temporary):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            _sync(temporary)
            temporary.replace(path)
            _sync(path.parent)
        finally:
            with suppress(OSError):  # what went wrong before is to be said, not this
                temporary.unlink(missing_ok=True)


@contextmanager
def naming(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Let an OSError that names no file, as of a write to an open one, name ``path``.

    So does one that names ``temporary``, which nobody knows, or what is below it.
    """
    try:
        yield
    except OSError as error:
        named = Path(error.filename or path)
        if temporary is not None and named.is_relative_to(temporary):
            named = path / named.relative_to(temporary)
        if error.errno is not None:
            error.filename, error.filename2 = str(named), None
        raise


def check_writable(folder: Path) -> None:
    """Make ``folder`` and a file in it that goes at once: before the work that is to fill it.

    Raises:
        OSError: it cannot be made, or written to.
    """
    with naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass


def write_text(path: Path, text: str) -> None:
    """Replace the content of ``path`` by ``text``, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def append(path: Path, text: str) -> None:
    """Add ``text`` to the end of ``path`` and sync it; whoever is killed may leave a part of it."""
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
    _sync(path)


class FileState(NamedTuple):
    """What is another after any change of a file, and whether that can be relied upon already.

    The time of modification can be set back; that of the inode's change cannot. But both advance in
    steps, and what is written in the same step as the file was may leave it the same size and
    times: a file that is not ``settled`` yet may change unseen.
    """

    device: int
    inode: int
    size: int
    modified: int  # nanoseconds
    changed: int
    settled: bool

    @classmethod
    def of(cls, found: os.stat_result) -> FileState:
        """As `os.stat` found the file just now."""
        modified, changed = found.st_mtime_ns, found.st_ctime_ns
        # Linux's steps are milliseconds; whole seconds are those of a file system that has no less.
        step = _FINE_STEP if modified % _SECOND or changed % _SECOND else _COARSE_STEP
        settled = time.time_ns() - max(modified, changed) > step
        return cls(found.st_dev, found.st_ino, found.st_size, modified, changed, settled)

    @classmethod
    def at(cls, path: str) -> FileState | None:
        """That of the file at ``path``; None where there is none that can be looked at."""
        try:  # of thousands, where a Path for each takes longer than all the rest
            return cls.of(os.stat(path))  # noqa: PTH116
        except OSError:
            return None

    @property
    def key(self) -> tuple[int, ...]:
        """What is compared."""
        return self[:-1]


_SECOND = 10**9  # all in nanoseconds
_FINE_STEP, _COARSE_STEP = _SECOND // 10, 3 * _SECOND


def read_bounded(path: Path, most: int) -> bytes:
    """The content of ``path``, if that is a file of at most so many bytes.

    A pipe or a device in its place is not waited for.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no file, or a larger one.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        state = os.fstat(descriptor)
        if not S_ISREG(state.st_mode):
            raise ValueError("it is no file")
        if state.st_size > most:
            raise ValueError(f"it has {state.st_size:,} bytes, more than the {most:,} it may have")
        content = os.read(descriptor, state.st_size)
        while more := os.read(descriptor, state.st_size):
            content += more
        return content
    finally:
        os.close(descriptor)


@contextmanager
def alone(path: Path, *, wait: bool = True, variable: str = "ELEATT_DATA") -> Iterator[int]:
    """Hold the lock file ``path``, which stays where it is; the kernel frees it if this one dies.

    A process that is handed the descriptor, which this yields, holds it as well. ``variable`` names
    the folder that ``path`` is in.

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
                f"disk ({variable}=FOLDER), or mount this one with locks (NFS: without nolock; "
                "Lustre: with -o flock)"
            ) from error
        yield descriptor
    finally:
        os.close(descriptor)


def file_system(path: Path) -> str:
    """What ``path`` lies on, in words: ``the file system nfs4 at /home``, as far as it is known."""
    folder, kind = _mount(path)
    return f"the file system {kind} at {folder}" if kind else "its file system"


_OF_ONE_HOST = frozenset(
    ("apfs", "bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "hfs", "jfs", "overlay", "ramfs",
     "reiserfs", "tmpfs", "xfs", "zfs")
)  # fmt: skip


def may_be_shared(path: Path) -> bool:
    """Whether several hosts may write to the file system of ``path``; False where nobody knows."""
    _, kind = _mount(path)
    return bool(kind) and kind not in _OF_ONE_HOST


def _mount(path: Path) -> tuple[str, str]:
    """Where the file system of ``path`` is mounted, and its kind; empty where nobody can say."""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux
        return "", ""
    real = path.resolve()
    named = (line.split(" ")[1:3] for line in mounts.splitlines())
    around = [(_unescaped(folder), kind) for folder, kind in named]
    around = [(folder, kind) for folder, kind in around if real.is_relative_to(folder)]
    return max(reversed(around), key=lambda mount: len(mount[0])) if around else ("", "")


def _unescaped(folder: str) -> str:
    """The kernel writes blanks and the like as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
