"""What is in a store, counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eleatt_bench.data.store import SequenceStore

_FRAMES_AT_ONCE = 200_000  # of a store that may be larger than the memory
_BINS = 10


@dataclass(frozen=True)
class Range:
    """The range of one axis, or of all values, without zeros that stand for absent joints."""

    name: str
    lowest: float
    mean: float
    highest: float


@dataclass(frozen=True)
class Summary:
    """Counts of sequences, their lengths in frames, the range of values in the store's units."""

    per_class: dict[str, int]
    per_column: dict[str, dict[int, int]]  # metadata column: value: sequences
    lengths: dict[str, float]  # min, median, mean, max
    histogram: list[tuple[int, int, int]]  # of lengths: from, to (inclusive), sequences
    ranges: list[Range]


def summary(store: SequenceStore) -> Summary:
    """Count what is in ``store``; its frames are read once, piece by piece."""
    counts = np.bincount(store.labels, minlength=store.num_classes).tolist()
    columns = {
        name: dict(zip(*(a.tolist() for a in np.unique(column, return_counts=True)), strict=True))
        for name, column in store.metadata.items()
    }
    lengths = store.lengths
    return Summary(
        per_class=dict(zip(store.class_names, counts, strict=True)),
        per_column=columns,
        lengths={
            "min": int(lengths.min()),
            "median": float(np.median(lengths)),
            "mean": float(lengths.mean()),
            "max": int(lengths.max()),
        },
        histogram=_histogram(lengths),
        ranges=_ranges(store),
    )


def _histogram(lengths: np.ndarray) -> list[tuple[int, int, int]]:
    low, high = int(lengths.min()), int(lengths.max())
    edges = np.unique(np.linspace(low, high + 1, _BINS + 1).round().astype(int))
    counts, _ = np.histogram(lengths, bins=edges)
    pairs = zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
    return [(a, b - 1, n) for a, b, n in pairs]


def _ranges(store: SequenceStore) -> list[Range]:
    skeleton = store.layout["kind"] == "skeleton"
    names = ("x", "y", "z") if skeleton else ("all values",)
    low, high = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    total, count = np.zeros(len(names)), 0
    for first in range(0, len(store.frames), _FRAMES_AT_ONCE):
        values = store.rows(slice(first, first + _FRAMES_AT_ONCE)).reshape(-1, len(names))
        if skeleton:
            values = values[values.any(axis=1)]
        if len(values):
            low, high = np.minimum(low, values.min(axis=0)), np.maximum(high, values.max(axis=0))
            total += values.sum(axis=0, dtype=np.float64)
            count += len(values)
    if not count:
        return []
    return [Range(*row) for row in zip(names, low, total / count, high, strict=True)]
