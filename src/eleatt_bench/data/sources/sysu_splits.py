"""SYSU's lists of cross-subject splits, as they come with others' code: two ``.npy`` files.

Each file holds 30 splits; a split is a list of ids, from 1 on. Ids may be of subjects, or of
sequences numbered subject by subject or action by action: `read` finds out which. Lists of
different lengths are an object array, which is a pickle. Only whole numbers are taken from a
pickle, and nothing in it is run.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from eleatt_bench.data.folds import RANDOM_FOLDS
from eleatt_bench.data.sources.archive import Member, Source

_SIDES = ("cross_subject_train_splits.npy", "cross_subject_test_splits.npy")
_FILES = re.compile(r"(?:.*/)?cross_subject_(?:train|test)_splits\.npy")
_LARGEST = 1 << 20  # bytes
_MOST = 480 * RANDOM_FOLDS  # ids
_NUMBER = re.compile(r"[iuf][1248]")


def read(path: Path, subjects: int, actions: int) -> list[set[int]]:
    """The subjects, from 1 on, that each fold tests, by the two lists in the folder ``path``.

    Raises:
        UserError: no such path, a list that is missing or no list of 30 splits, or splits that do
            not divide the ``subjects`` with ``actions`` sequences each.
    """
    command = "eleatt-bench data prepare sysu --source PATH --splits PATH"
    source = Source(path, f"the folder with {' and '.join(_SIDES)}", command, _LARGEST)
    members = {member.path.name.lower(): member for member in source.find(_FILES, _SIDES[0])}
    sides = []
    for name in _SIDES:
        if name not in members:
            raise source.wrong(path, f"has no {name}")
        sides.append(_lists(source, members[name]))
    everything = subjects * actions
    of_id: tuple[Callable[[int], int], ...] = (
        (lambda i: i) if max(map(max, sides[0])) <= subjects else lambda i: 1 + (i - 1) // actions,
        lambda i: 1 + (i - 1) % subjects,
    )
    counts = {len(a) + len(b) for a, b in zip(*sides, strict=True)}
    for numbering in of_id:
        split = [[{numbering(i) for i in ids} for ids in side] for side in sides]
        whole = all(
            not train & test and train | test == set(range(1, subjects + 1))
            for train, test in zip(*split, strict=True)
        )
        if whole and counts in ({subjects}, {everything}):
            return split[1]
    raise source.wrong(
        path,
        f"does not divide {subjects} subjects, or their {everything} sequences, so that every "
        "subject is on one side",
    )


def _lists(source: Source, member: Member) -> list[list[int]]:
    """The ids of each split."""
    try:
        rows = _rows(member.load())
        found = [list(_numbers(row)) for row in rows]
        total = sum(map(len, found))
    except Exception as error:  # a damaged pickle raises almost anything
        raise source.wrong(member.where, f"is no list of splits ({error})") from error
    if len(found) != RANDOM_FOLDS or not all(found) or total > _MOST:
        raise source.wrong(
            member.where, f"has {len(found)} splits of {total:,} ids, not {RANDOM_FOLDS} with ids"
        )
    ids = {i for row in found for i in row}
    if min(ids) < 1 or any(len(set(row)) < len(row) for row in found):
        raise source.wrong(member.where, "names an id below 1, or one twice in a split")
    return found


def _rows(content: bytes) -> list[Any]:
    file = io.BytesIO(content)
    read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    shape, _, dtype = read_header[npy.read_magic(file)](file)
    if dtype.hasobject:
        whole = _Unpickler(file, encoding="latin1").load()
        if not isinstance(whole, _Array):
            raise ValueError("it holds no array")
        return whole.rows()
    if math.prod(shape) * dtype.itemsize > len(content):
        raise ValueError("it is cut short")
    values = np.load(io.BytesIO(content), allow_pickle=False)
    rows: list[Any] = values.reshape([n for n in values.shape if n != 1]).tolist()
    return rows


def _numbers(found: Any, depth: int = 0) -> Iterator[int]:
    """The whole numbers in ``found``: a number, or a list or an array of numbers."""
    if isinstance(found, _Array):
        found = found.values()
    if isinstance(found, list | tuple) and depth < 3 and len(found) <= _MOST:
        for inner in found:
            yield from _numbers(inner, depth + 1)
    elif isinstance(found, int | float) and int(found) == found:
        yield int(found)
    else:
        raise ValueError(f"it holds {type(found).__name__}")


class _Type:
    """Stands for a pickled ``numpy.dtype``."""

    def __init__(self, name: str = "", *more: Any) -> None:
        self.name, self.order = name, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]

    def numbers(self, data: bytes | str) -> list[Any]:
        if not _NUMBER.fullmatch(self.name):
            raise ValueError(f"it holds {self.name[:20]!r}")
        raw = data.encode("latin1") if isinstance(data, str) else data
        values: list[Any] = np.frombuffer(raw, self.order.replace("|", "=") + self.name).tolist()
        return values


class _Array:
    """Stands for a pickled ``numpy.ndarray``, of which it keeps shape and values."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self.shape, self.type, _, self.data = state

    def values(self) -> list[Any]:
        return self.data if isinstance(self.data, list) else self.type.numbers(self.data)

    def rows(self) -> list[Any]:
        values, axes = self.values(), [n for n in self.shape if n != 1]
        width = len(values) // max(1, axes[0])
        return [values[i : i + width] for i in range(0, len(values), max(1, width))]


class _Unpickler(pickle.Unpickler):
    """Makes nothing except plain values and the two stand-ins above."""

    def find_class(self, module: str, name: str) -> Any:
        known: dict[str, Any] = {
            "ndarray": _Array,
            "dtype": _Type,
            "_reconstruct": lambda kind, shape, code: _Array(),
            "scalar": lambda kind, data: kind.numbers(data)[0],
        }
        if module.partition(".")[0] == "numpy" and name in known:
            return known[name]
        if (module, name) == ("_codecs", "encode"):
            return lambda text, encoding: text.encode("latin1")
        raise ValueError(f"it would call {module}.{name}")
