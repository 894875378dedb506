"""What may be concluded from a few seeds and one test set. Differences are in percentage points.

``scipy.special`` is imported only where it is needed: the import takes as long as showing a table
whose comparisons are cached (`eleatt_bench.tables.claims`).
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

CONFIDENCE = 0.95
LEAST_SEEDS = 3
"""Under so many pairs nothing is decided: an interval from two pairs is wider than any effect."""

ERROR = 0.05
"""How often a claim may be decided falsely, over all of its looks."""

Looks = tuple[int, ...]
"""Rising numbers of seeds; those that can decide are `LEAST_SEEDS` or more."""


def mean(values: Sequence[float]) -> float | None:
    """The arithmetic mean; None if there are no values."""
    return statistics.fmean(values) if values else None


def std(values: Sequence[float]) -> float | None:
    """The sample standard deviation (n − 1); None for fewer than two values."""
    return statistics.stdev(values) if len(values) > 1 else None


def deciding(looks: Sequence[int]) -> Looks:
    """The ``looks`` that have enough seeds to decide anything."""
    return tuple(count for count in looks if count >= LEAST_SEEDS)


def quantile(count: int, level: float, sides: int = 2) -> float:
    """The value that t of ``count`` values exceeds with probability ``level``, by chance.

    With two ``sides``, the value that the absolute t exceeds.
    """
    from scipy.special import stdtrit

    return -float(stdtrit(count - 1, level / sides))


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
    """The exact 95 % interval (Clopper and Pearson) of the share ``right`` / ``count``, in [0, 1].

    It says how far the share would change with other test samples of the same kind, not with
    another seed.
    """
    from scipy.special import betaincinv

    tail = (1 - CONFIDENCE) / 2
    low = float(betaincinv(right, count - right + 1, tail)) if right else 0.0
    high = float(betaincinv(right + 1, count - right, 1 - tail)) if right < count else 1.0
    return Bounds(low, high)
