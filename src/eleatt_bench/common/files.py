"""Files that a reader sees whole, and reading such that may have been changed by others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISREG


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


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
