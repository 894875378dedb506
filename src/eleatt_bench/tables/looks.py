"""The level of declared looks, at which all of them together err in 5 % of the cases.

Looking at a 95 % interval after 5, 10 and 20 seeds errs in more than 5 % of the cases without a
difference. So all looks are taken at one nominal level below 5 % (Pocock 1977; here for t tests,
whose spread is estimated anew at every look).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.polynomial import Chebyshev

from eleatt_bench.tables.crossing import Floats, Squared, crossing, of_mean
from eleatt_bench.tables.statistics import ERROR, Looks

_SMALLEST = 1e-9  # nominal level: below it the overall one is proportional to it


@lru_cache(maxsize=256)
def nominal_level(
    looks: Looks, sides: int = 2, squared: Squared = of_mean, error: float = ERROR
) -> float:
    """The level of each of ``looks`` at which any of them rejects with probability ``error``.

    ``sides`` and ``squared`` are those of `crossing`.
    """
    low, high = math.log(error / len(looks)), math.log(error)
    guess = low if len(looks) == 1 else (low + high) / 2
    for _ in range(60):
        off = math.log(crossing(looks, math.exp(guess), sides, squared) / error)
        if abs(off) < 1e-7 or high - low < 1e-9:
            break
        low, high = (guess, high) if off < 0 else (low, guess)
        guess -= off  # the probability is nearly proportional to the level
        if not low < guess < high:
            guess = (low + high) / 2
    return math.exp(guess)


def overall_level(looks: Looks, nominal: Floats) -> Floats:
    """How often any of ``looks`` rejects by chance, at each of the two-sided ``nominal`` levels."""
    from scipy.special import ndtri

    if len(looks) == 1:
        return nominal
    ratio = _ratio(looks)(-ndtri(np.clip(nominal, _SMALLEST, 1) / 2))
    found: Floats = np.clip(nominal * ratio, nominal, 1)
    return found


@lru_cache(maxsize=64)
def _ratio(looks: Looks) -> Chebyshev:
    """The overall over the nominal two-sided level, by the nominal level's normal quantile."""
    from scipy.special import ndtr, ndtri

    def ratio(quantiles: Floats) -> Floats:
        levels = 2 * ndtr(-quantiles)
        return np.array([crossing(looks, float(level)) / level for level in levels])

    return Chebyshev.interpolate(ratio, 24, domain=[0, -float(ndtri(_SMALLEST / 2))])
