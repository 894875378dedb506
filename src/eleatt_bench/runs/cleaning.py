"""What can be removed from a folder of runs without loss, and how much space that frees."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from eleatt_bench.common.files import TEMPORARY, may_be_shared
from eleatt_bench.runs.record import CONTINUED, RunFolder, all_runs

_ABANDONED = 24 * 3600.0  # seconds; no writer is silent for so long


@dataclass(frozen=True)
class Waste:
    """A file or folder that can be removed, and the bytes on disk that this frees."""

    path: Path
    bytes: int
    reason: str

    def remove(self) -> None:
        if self.path.is_dir() and not self.path.is_symlink():
            shutil.rmtree(self.path)
        else:
            self.path.unlink(missing_ok=True)


def waste(runs_dir: Path) -> list[Waste]:
    """The checkpoints that finished runs no longer need, and what killed writers left.

    A finished run keeps best.ckpt, unless it was tested with last.ckpt: then it keeps both. Links
    are not followed, because somebody put there what they lead to.
    """
    doomed = [*_checkpoints(runs_dir), *_leftovers(Path(runs_dir))]
    freed = _freed(path for path, _ in doomed)
    return [Waste(path, freed[path], reason) for path, reason in doomed]


def _checkpoints(runs_dir: Path) -> Iterator[tuple[Path, str]]:
    for folder in all_runs(runs_dir):
        if folder.path.is_symlink() or folder.checkpoints.is_symlink():
            continue
        record = folder.read()
        if record is None or folder.status() != "finished":
            continue
        for name in CONTINUED:
            path = folder.checkpoints / name
            if path.stem != record.get("selection") and path.is_file() and not path.is_symlink():
                yield path, "checkpoint of a finished run"


def _leftovers(runs_dir: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(runs_dir.rglob(".*.tmp")):
        match = TEMPORARY.fullmatch(path.name)
        inside = any(map(TEMPORARY.fullmatch, path.relative_to(runs_dir).parts[:-1]))
        if match is None or inside or path.is_symlink():
            continue
        if not _is_being_written(path, int(match["pid"]), runs_dir):
            yield path, f"left by process {match['pid']}, which ended"


def _is_being_written(path: Path, pid: int, runs_dir: Path) -> bool:
    """Whether the writer may be alive: on this machine, or on another that works on the run."""
    folder = path.relative_to(runs_dir).parts[0]
    if not folder.startswith(".") and RunFolder(runs_dir, folder).is_locked() is not False:
        return True
    return may_live(path, pid)


def may_live(path: Path, pid: int) -> bool:
    """Whether process ``pid``, here or on a machine that shares the disk, may still write ``path``.

    The writer of an old file has ended, even if another process has its number now.
    """
    try:
        if time.time() - path.lstat().st_mtime >= _ABANDONED:
            return False
    except FileNotFoundError:
        return True
    return lives(pid) or may_be_shared(path.parent)


def lives(pid: int) -> bool:
    """Whether there is a process ``pid`` on this machine."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True


def size(paths: Iterable[Path]) -> int:
    """The bytes that removing ``paths``, files or folders, would free."""
    return sum(_freed(paths).values())


def _freed(paths: Iterable[Path]) -> dict[Path, int]:
    """The bytes that each of ``paths`` frees.

    A file with several names counts once, and only if all of its names are removed.
    """
    names: dict[tuple[int, int], int] = {}
    freed: dict[Path, int] = {}
    for path in paths:
        freed[path] = 0
        files = [path, *path.rglob("*")] if path.is_dir() and not path.is_symlink() else [path]
        for file in files:
            if file.is_dir() and not file.is_symlink():
                continue
            stat = file.lstat()
            left = names.get((stat.st_dev, stat.st_ino), stat.st_nlink) - 1
            names[stat.st_dev, stat.st_ino] = left
            if left == 0:
                freed[path] += stat.st_blocks * 512
    return freed
