"""A bootstrap interval of a difference over folds whose test sets may overlap."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from eleatt_bench.tables.crossing import Floats, Integers
from eleatt_bench.tables.statistics import CONFIDENCE, Bounds

_REPLICATES = 2000
_CHUNK = 100  # replicates at once: some megabytes


def paired_bootstrap(
    gain: npt.NDArray[np.number], sample: Integers, fold: Integers, *, replicates: int = _REPLICATES
) -> Bounds:
    """A 95 % interval of the difference in accuracy, in percentage points.

    ``gain`` (M,) is 1 where only the first classifier is right, −1 where only the second is, else
    0. Entry m belongs to the test sample ``sample[m]`` in fold ``fold[m]``. Test samples are drawn
    with replacement, each with all its entries. The statistic is the mean over folds of the
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
    """How often each of ``size`` samples is in each resample with replacement: (draws, size)."""
    drawn = random.randint(0, size, (draws, size)) + size * np.arange(draws)[:, None]
    counts: Floats = np.bincount(drawn.ravel(), minlength=draws * size).astype(np.float64)
    return counts.reshape(draws, size)


def _mean_over_folds(gains: Floats, counts: Floats) -> Floats:
    """The mean of each draw over the folds with a drawn sample: (draws, folds) to (draws,)."""
    drawn = counts > 0
    shares = np.divide(gains, counts, out=np.zeros_like(gains), where=drawn)
    means: Floats = shares.sum(axis=1) / drawn.sum(axis=1)
    return means
