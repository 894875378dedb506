"""Files that are replaced as a whole, read with a limit, watched for changes, and locked."""

from __future__ import annotations

import fcntl
import glob
import os
import re
import shutil
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
"""The errors of a file system that has no locks, or whose lock server does not run."""

TEMPORARY = re.compile(r"\.(?P<name>[^/]+)\.(?P<pid>\d+)\.tmp")
"""The names of what process ``pid`` writes before it becomes ``name``; a killed one leaves it."""


def temporary_path(path: Path) -> Path:
    """The hidden path beside ``path`` under which this process writes what will replace it."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def temporaries(path: Path) -> Iterator[tuple[Path, int]]:
    """What processes write to replace ``path``, or left when they were killed; and their ids."""
    for found in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        match = TEMPORARY.fullmatch(found.name)
        if match is not None and match["name"] == path.name:
            yield found, int(match["pid"])


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it is synced and replaces ``path``.

    If the body raises, the temporary file is removed and ``path`` stays as it was.

    Raises:
        OSError: ``path`` cannot be written; the error names it.
    """
    temporary = temporary_path(path)
    with naming(path, temporary):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            _sync(temporary)
            temporary.replace(path)
            _sync(path.parent)
        finally:
            with suppress(OSError):  # an earlier error matters more than this one
                temporary.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """As `replacing`, for a ``path`` that a person named.

    Where it is a link, what it leads to is replaced. A pipe or a device stays, and is written to;
    so does what a shell has opened, such as /dev/stdout.

    Raises:
        OSError: ``path`` cannot be written; the error names it.
    """
    if is_replaceable(path):
        with replacing(Path(os.path.realpath(path))) as temporary:
            yield temporary
        return
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder, "content")
        yield temporary
        # To append is the same for a pipe, and right for a file that a shell has opened by >>.
        with naming(path), temporary.open("rb") as content, path.open("ab") as target:
            shutil.copyfileobj(content, target)


def is_replaceable(path: Path) -> bool:
    """Whether ``path``, or what it leads to, is a regular file, or is not there yet.

    It is not if the path is one of /dev or /proc, though a shell may have led that to a file.

    Raises:
        OSError: ``path`` cannot be looked at.
    """
    parts = path.absolute().parts
    if parts[1:2] in (("dev",), ("proc",)) and parts[2:3] != ("shm",):
        return False
    try:
        return S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return True


@contextmanager
def naming(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Let an OSError that names no file, e.g. of a write to an open file, name ``path``.

    In an OSError that names ``temporary`` or a path below it, ``path`` replaces ``temporary``.
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
    """Make ``folder`` and check that it can be written to, before the work that will fill it.

    Raises:
        OSError: ``folder`` cannot be made, or written to.
    """
    with naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass


def write_text(path: Path, text: str) -> None:
    """Replace the content of ``path`` by ``text``, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Replace the content of ``path`` by ``content``, atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def append(path: Path, text: str) -> None:
    """Add ``text`` to the end of ``path`` and sync; a killed process may leave a part of it."""
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
    _sync(path)


class FileState(NamedTuple):
    """The state of a file, which differs after any change once the file is ``settled``.

    The time of modification can be set back; the time of the inode's change cannot. But both
    advance in steps, and a second write within the same step may leave size and times as they were.
    So a file that is not ``settled`` yet may change unseen.
    """

    device: int
    inode: int
    size: int
    modified: int  # nanoseconds
    changed: int
    settled: bool

    @classmethod
    def of(cls, found: os.stat_result) -> FileState:
        """The state of a file that `os.stat` has just looked at."""
        modified, changed = found.st_mtime_ns, found.st_ctime_ns
        # Linux's steps are milliseconds; whole seconds mean a file system that has no smaller ones.
        step = _FINE_STEP if modified % _SECOND or changed % _SECOND else _COARSE_STEP
        settled = time.time_ns() - max(modified, changed) > step
        return cls(found.st_dev, found.st_ino, found.st_size, modified, changed, settled)

    @classmethod
    def at(cls, path: str) -> FileState | None:
        """The state of the file at ``path``; None if it is missing or cannot be looked at."""
        try:  # for thousands of files: a Path for each takes longer than all the rest
            return cls.of(os.stat(path))  # noqa: PTH116
        except OSError:
            return None

    @property
    def key(self) -> tuple[int, ...]:
        """What is compared: all except ``settled``."""
        return self[:-1]


_SECOND = 10**9  # all in nanoseconds
_FINE_STEP, _COARSE_STEP = _SECOND // 10, 3 * _SECOND


def read_bounded(path: Path, most: int) -> bytes:
    """The content of ``path``, if it is a file of at most ``most`` bytes.

    This does not wait for a pipe or a device at ``path``.

    Raises:
        OSError: ``path`` cannot be read.
        ValueError: ``path`` is no regular file, or is larger.
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
    """Hold the lock file ``path``; the kernel frees the lock if this process dies.

    The file is not removed. Yields its descriptor; a process that gets the descriptor holds the
    lock as well. ``variable`` is the environment variable that names the folder of ``path``.

    Raises:
        BlockingIOError: another process holds the lock, and ``wait`` is false.
        UserError: the file system has no locks.
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
    """The file system of ``path`` in words, as far as known: ``the file system nfs4 at /home``."""
    folder, kind = _mount(path)
    return f"the file system {kind} at {folder}" if kind else "its file system"


_OF_ONE_HOST = frozenset(
    ("apfs", "bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "hfs", "jfs", "overlay", "ramfs",
     "reiserfs", "tmpfs", "xfs", "zfs")
)  # fmt: skip


def may_be_shared(path: Path) -> bool:
    """Whether several hosts may write to the file system of ``path``; False if it is unknown."""
    _, kind = _mount(path)
    return bool(kind) and kind not in _OF_ONE_HOST


def _mount(path: Path) -> tuple[str, str]:
    """Where the file system of ``path`` is mounted, and its kind; both empty if unknown."""
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
    """``folder`` with its octal numbers decoded, as which the kernel writes blanks and the like."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
