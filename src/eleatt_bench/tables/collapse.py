"""Seeds that collapsed: their mean is of two kinds of runs, and no t interval describes it.

A flag changes no verdict, since leaving runs out for what they came to would. Two signs are looked
for. A seed's accuracy lies below an outlier bound of its row: the median less five robust standard
deviations (1.4826 times the median absolute deviation), and by five points at least, as of three or
five close values the robust deviation is often far too small. Of normal values that spread over two
points or less, under 2 % of the rows have such a seed. Or its learning rate fell to half or less
while the accuracy was still below half of what the row's seeds end with, in the median: what a
plateau scheduler does to a run whose start is slow.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from eleatt_bench.tables.crossing import Floats
from eleatt_bench.tables.statistics import LEAST_SEEDS
from eleatt_bench.tables.table import Collapse

DEVIATIONS = 5.0
POINTS = 5.0
FALLEN = RISEN = 0.5

_ROBUST = 1.4826  # makes the median absolute deviation that of a normal distribution


def outlier_bound(accuracies: Floats) -> Floats:
    """Below it a row's accuracies (..., S), in %, are outliers: (..., 1). −∞ under three seeds."""
    if accuracies.shape[-1] < LEAST_SEEDS:
        return np.full((*accuracies.shape[:-1], 1), -np.inf)
    middle = np.median(accuracies, axis=-1, keepdims=True)
    spread = _ROBUST * np.median(abs(accuracies - middle), axis=-1, keepdims=True)
    found: Floats = middle - np.maximum(DEVIATIONS * spread, POINTS)
    return found


def fell_early(learning_rate: Floats, accuracy: Floats, ends_with: float) -> bool:
    """Whether a run's learning rate fell before its accuracy rose, both an array over epochs.

    It fell where it was at most `FALLEN` times its highest so far; accuracy rose where it was at
    least `RISEN` times ``ends_with``.
    """
    fallen = learning_rate <= FALLEN * np.maximum.accumulate(learning_rate)
    if not fallen.any():
        return False
    return bool((accuracy[: fallen.argmax()] < RISEN * ends_with).all())


def collapsed(
    accuracies: Mapping[int, float], curves: Mapping[int, tuple[Floats, Floats]] | None = None
) -> dict[int, Collapse]:
    """The seeds of a row that collapsed.

    ``accuracies`` (%) are those of the test, by seed; ``curves`` have, of as many seeds as are
    known, the learning rate and the training accuracy after each epoch, of the same epochs.
    """
    curves = curves or {}
    found: dict[int, Collapse] = {}
    ends = [accuracy[-1] for _, accuracy in curves.values() if len(accuracy)]
    for seed, (learning_rate, accuracy) in curves.items():
        if len(accuracy) and fell_early(learning_rate, accuracy, float(np.median(ends))):
            found[seed] = Collapse.FELL_EARLY
    bound = outlier_bound(np.array(list(accuracies.values()))).item()
    for seed, value in accuracies.items():
        if value < bound:
            found.setdefault(seed, Collapse.LOW)
    return dict(sorted(found.items()))
