"""How large a difference a number of seeds finds, and how many seeds find a difference.

A two-sided t test of the paired differences finds a difference if it rejects in the difference's
direction. How often it does follows from the noncentral t distribution. A spread is a sample
deviation, which a few seeds tell only up to a factor, so whatever follows from it is a range.
"""

from __future__ import annotations

import math
from bisect import bisect_left

from eleatt_bench.tables.statistics import CONFIDENCE, LEAST_SEEDS, Bounds, quantile

POWER = 0.8
_FAR = 20.0  # standard errors; from there on both formulas agree
MOST_SEEDS = 1000
"""More than anyone will train."""


def spread_range(spread: float, count: int) -> Bounds:
    """The 95 % interval of a standard deviation that is ``spread`` in a sample of ``count`` values.

    It follows from the chi-square distribution of the sample variance of normal values.
    """
    from scipy.special import chdtri

    tail = (1 - CONFIDENCE) / 2
    low, high = (float(chdtri(count - 1, p)) for p in (tail, 1 - tail))  # of the upper tail
    return Bounds(spread * math.sqrt((count - 1) / low), spread * math.sqrt((count - 1) / high))


def power(difference: float, spread: float, count: int, level: float) -> float:
    """How often ``count`` seeds at that two-sided ``level`` find ``difference``."""
    import numpy as np
    from scipy.special import gammainc, nctdtr

    freedom, least = count - 1, quantile(count, level)
    shift = abs(difference) / spread * math.sqrt(count)
    if shift < _FAR:
        return 1 - float(nctdtr(freedom, shift, least))
    # SciPy gives NaN in places, from about 35 on. So this is the mean, over the normal part of t,
    # of how often the χ² part is small enough.
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    found = gammainc(freedom / 2, freedom / 2 * ((shift + nodes) / least) ** 2)
    return float(weights @ found / weights.sum())


def detectable(spread: float, count: int, level: float) -> float:
    """The difference that ``count`` seeds at that two-sided ``level`` find with power `POWER`."""
    from scipy.special import nctdtrinc

    shift = float(nctdtrinc(count - 1, 1 - POWER, quantile(count, level)))
    return shift * spread / math.sqrt(count)


def seeds_needed(difference: float, spread: float, level: float) -> int | None:
    """The least number of seeds that find ``difference`` with power `POWER`.

    None where that is more than `MOST_SEEDS`.
    """
    counts = range(LEAST_SEEDS, MOST_SEEDS + 1)
    at = bisect_left(counts, POWER, key=lambda n: power(difference, spread, n, level))
    return counts[at] if at < len(counts) else None
