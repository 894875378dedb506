"""The book of a sweep, ``<runs_dir>/sweeps/<name>.json``: which task of which array is which job.

SLURM tells the array's name and the index of a queued task; the book, which is written before jobs
are submitted, tells which job that is. So each process that works on a folder of runs knows what is
queued for it, even after a submitting process was killed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.files import read_bounded, write_text

_MOST = 1 << 26  # bytes


@dataclass
class Book:
    """The jobs of the sweep ``name``, numbered as they came: their keys and logs.

    Jobs with numbers of ``array_size`` or more are in further arrays, which have other names.
    """

    path: Path
    array_size: int
    logs: dict[str, str] = field(default_factory=dict)  # by key, relative to the book's folder

    @property
    def name(self) -> str:
        return self.path.stem

    def log(self, key: str) -> Path:
        """The log of the job ``key``."""
        return self.path.parent / self.logs[key]

    def places(self) -> dict[str, tuple[str, int]]:
        """For each key the name of its array, and its index there."""
        return {
            key: (self._array(number // self.array_size), number % self.array_size)
            for number, key in enumerate(self.logs)
        }

    def arrays(self) -> list[str]:
        """The names of all arrays of the sweep."""
        return [self._array(part) for part in range(-(-len(self.logs) // self.array_size))]

    def _array(self, part: int) -> str:
        return f"{self.name}.{part}" if part else self.name

    def write(self) -> None:
        """Write the book, atomically."""
        content = {"array_size": self.array_size, "logs": self.logs}
        write_text(self.path, json.dumps(content, indent=0) + "\n")


def read_book(path: Path) -> Book | None:
    """The book at ``path``; None where there is none.

    Raises:
        ValueError: it is damaged.
    """
    try:
        content = json.loads(read_bounded(path, _MOST))
    except FileNotFoundError:
        return None
    except (OSError, RecursionError) as error:
        raise ValueError(str(error)) from error
    match content:
        case {"array_size": int(size), "logs": dict(logs)} if size > 0 and all(
            isinstance(log, str) for log in logs.values()
        ):
            return Book(path, size, logs)
    raise ValueError("it is no list of jobs")


def own_book(path: Path, array_size: int) -> Book:
    """The book at ``path``, new if there is none.

    Raises:
        UserError: it is damaged.
    """
    try:
        return read_book(path) or Book(path, array_size)
    except ValueError as error:
        raise UserError(
            f"{path} is damaged ({error}), so which jobs of this sweep are queued is not known. "
            f"See whether any are: squeue --name={path.stem}; end them with scancel "
            f"--name={path.stem}, and remove the file"
        ) from error


def books_of(folder: Path, keys: Sequence[str]) -> list[Book]:
    """The books in ``folder`` that know one of ``keys``.

    A damaged book is left out: the locks of runs see to it that no run is trained twice.
    """
    wanted, found = set(keys), []
    for path in sorted(folder.glob("*.json")):
        try:
            book = read_book(path)
        except ValueError:
            continue
        if book is not None and not wanted.isdisjoint(book.logs):
            found.append(book)
    return found
