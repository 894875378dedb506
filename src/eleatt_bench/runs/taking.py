"""Taking runs of another machine, or of ``results/``, into a folder: whole or not at all."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from errno import EEXIST, ENOTEMPTY
from pathlib import Path

from eleatt_bench.common.errors import HeldElsewhereError, UserError
from eleatt_bench.common.files import naming, replacing, temporary_path
from eleatt_bench.runs.compact import is_compact, same
from eleatt_bench.runs.export import Files, chunks, opened, tested_weights
from eleatt_bench.runs.form import says_finished
from eleatt_bench.runs.record import RunFolder

_NAME = re.compile(r"[a-zA-Z0-9][\w.+-]{0,199}")


class Outcome(StrEnum):
    """What became of a run that should be put into a folder."""

    TAKEN = "taken over"
    SAME = "is here already"
    LESS = "is here already, without weights or exact predictions that are given: that one stays"
    OTHER = "is finished here too, and was trained another time: that one stays"
    BUSY = "is being trained here: left alone"
    DAMAGED = "is here, and damaged: left alone"


@contextmanager
def staging(runs_dir: Path) -> Iterator[Path]:
    """A hidden folder of runs, on the disk of ``runs_dir``; in the end it is removed.

    If this process is killed, `runs gc` removes the folder.
    """
    folder = temporary_path(runs_dir / "taking")
    try:
        with naming(runs_dir, folder):
            folder.mkdir(parents=True)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def put(files: Files, folder: RunFolder) -> int:
    """Write a run's ``files`` into its ``folder``; the number of bytes written."""
    if not _NAME.fullmatch(folder.run_id):
        raise ValueError(f"{folder.run_id!r} is no name of a run")
    size = 0
    for name, file in files.items():
        path = folder.path / name
        with replacing(path) as temporary, opened(file) as source, temporary.open("wb") as target:
            for chunk in chunks(source):
                size += target.write(chunk)
    return size


def take(staged: Sequence[RunFolder], runs_dir: Path) -> dict[str, Outcome]:
    """Move runs that are whole, and known to be sound, into ``runs_dir``; what became of each.

    A run that is finished, being trained or damaged there stays. Any other one makes room, except
    for files that no run wrote.
    """
    return {folder.run_id: _take(folder, RunFolder(runs_dir, folder.run_id)) for folder in staged}


def _take(staged: RunFolder, target: RunFolder) -> Outcome:
    if not target.path.exists() and _moved(staged.path, target.path):
        return Outcome.TAKEN
    if (found := _there(staged, target)) is not None:
        return found
    try:
        with target.held(wait=False):
            if (found := _there(staged, target)) is not None:
                return found
            target.clear()
            _fill(staged, target)
            return Outcome.TAKEN
    except HeldElsewhereError:
        return Outcome.BUSY


def _fill(staged: RunFolder, target: RunFolder) -> None:
    """Move all files of ``staged`` to ``target``; the record last, without which it is no run."""
    files = [path for path in staged.path.rglob("*") if path.is_file()]
    for path in sorted(files, key=lambda path: path == staged.record):
        place = target.path / path.relative_to(staged.path)
        place.parent.mkdir(exist_ok=True)
        path.replace(place)


def _there(staged: RunFolder, target: RunFolder) -> Outcome | None:
    """The outcome if the run at ``target`` stays as it is; None if it may be replaced.

    Raises:
        UserError: ``target`` is a link.
    """
    if target.path.is_symlink():
        raise UserError(
            f"{target.path} is a link to {target.path.readlink()}: nothing is put there"
        )
    if target.damage():
        return Outcome.DAMAGED
    given, found = staged.read() or {}, target.read() or {}
    if not says_finished(found):
        return None
    if not same(given, found):
        return Outcome.OTHER
    weights = (tested_weights(folder, given).is_file() for folder in (staged, target))
    less = [*weights] == [True, False] or (is_compact(found) and not is_compact(given))
    return Outcome.LESS if less else Outcome.SAME


def _moved(source: Path, target: Path) -> bool:
    """Move ``source`` to ``target``; False if something else has appeared there meanwhile."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno not in (ENOTEMPTY, EEXIST):
            raise
        return False
    return True
