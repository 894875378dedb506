"""What may be concluded from a few seeds and one test set. Differences are in percentage points.

``scipy.special`` is imported where it is needed: that takes as long as showing a table whose
comparisons are kept (`eleatt_bench.tables.claims`).
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.95
LEAST_SEEDS = 3
"""Under so many pairs nothing is decided: an interval from two is wider than any effect."""

_REPLICATES = 2000
_CHUNK = 100  # of them at once: some megabytes

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def mean(values: Sequence[float]) -> float | None:
    """The arithmetic mean, None of nothing."""
    return statistics.fmean(values) if values else None


def std(values: Sequence[float]) -> float | None:
    """The sample standard deviation (n − 1), None for fewer than two values."""
    return statistics.stdev(values) if len(values) > 1 else None


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p of McNemar's test.

    ``only_first`` samples are right by the first classifier alone, ``only_second`` by the second
    alone. If both were equally good, either number would be binomial with p = 1/2.
    """
    from scipy.special import bdtr

    count = only_first + only_second
    if count == 0:
        return 1.0
    return min(1.0, 2 * float(bdtr(min(only_first, only_second), count, 0.5)))


class Bounds(NamedTuple):
    low: float
    high: float


def proportion(right: int, count: int) -> Bounds:
    """The exact 95 % interval (Clopper and Pearson) of a share of which ``right`` of ``count`` are.

    In [0, 1]. It says how far the share would change with other test samples of the same kind, not
    with another seed.
    """
    from scipy.special import betaincinv

    tail = (1 - CONFIDENCE) / 2
    low = float(betaincinv(right, count - right + 1, tail)) if right else 0.0
    high = float(betaincinv(right + 1, count - right, 1 - tail)) if right < count else 1.0
    return Bounds(low, high)


def paired_bootstrap(
    gain: npt.NDArray[np.number], sample: Integers, fold: Integers, *, replicates: int = _REPLICATES
) -> Bounds:
    """A 95 % interval of the difference in accuracy over folds whose test sets may overlap.

    ``gain`` (M,) is 1 where the first classifier alone is right, −1 where the second alone is, else
    0; entry m is of the test sample ``sample[m]`` in fold ``fold[m]``. Test samples are drawn with
    replacement, each with all its entries, and the statistic is the mean over folds of the
    difference in each. The same input always gives the same interval.
    """
    samples, row = np.unique(sample, return_inverse=True)
    folds, column = np.unique(fold, return_inverse=True)
    shape = (len(samples), len(folds))
    gains, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(gains, (row, column), gain)
    np.add.at(counts, (row, column), 1)
    random = np.random.RandomState(0)  # its numbers are frozen across NumPy versions
    found: list[Floats] = []
    for first in range(0, replicates, _CHUNK):
        drawn = _draws(random, min(_CHUNK, replicates - first), len(samples))
        found.append(_mean_over_folds(drawn @ gains, drawn @ counts))
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(100 * np.concatenate(found), [tail, 100 - tail])
    return Bounds(float(low), float(high))


def _draws(random: np.random.RandomState, draws: int, size: int) -> Floats:
    """How often each of ``size`` samples is among so many drawn with replacement: (draws, size)."""
    drawn = random.randint(0, size, (draws, size)) + size * np.arange(draws)[:, None]
    counts: Floats = np.bincount(drawn.ravel(), minlength=draws * size).astype(np.float64)
    return counts.reshape(draws, size)


def _mean_over_folds(gains: Floats, counts: Floats) -> Floats:
    """(draws, folds) to (draws,), over the folds of which any sample was drawn."""
    drawn = counts > 0
    shares = np.divide(gains, counts, out=np.zeros_like(gains), where=drawn)
    means: Floats = shares.sum(axis=1) / drawn.sum(axis=1)
    return means
