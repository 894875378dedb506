"""Seeds that collapsed: their row is a mix of two kinds of runs, which no t interval describes.

They are flagged and change no verdict, since leaving out runs for their results would bias it. A
seed is flagged for one of two signs:

- Its accuracy is below its row's median by more than five robust standard deviations (1.4826 times
  the median absolute deviation), and by more than five points. The points are needed because the
  robust deviation of three or five close values is often far too small. With normal values whose
  spread is two points or less, under 2 % of the rows have such a seed.
- Its learning rate fell to half or less while its training accuracy was still below half of what
  the row's seeds end with, in the median. A plateau scheduler does this to a run with a slow start.
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

_ROBUST = 1.4826  # standard over median absolute deviation of a normal distribution


def outlier_bound(accuracies: Floats) -> Floats:
    """The bound below which a row's accuracies (..., S), in %, are outliers: (..., 1).

    −∞ for fewer than three seeds.
    """
    if accuracies.shape[-1] < LEAST_SEEDS:
        return np.full((*accuracies.shape[:-1], 1), -np.inf)
    middle = np.median(accuracies, axis=-1, keepdims=True)
    spread = _ROBUST * np.median(abs(accuracies - middle), axis=-1, keepdims=True)
    found: Floats = middle - np.maximum(DEVIATIONS * spread, POINTS)
    return found


def fell_early(learning_rate: Floats, accuracy: Floats, ends_with: float) -> bool:
    """Whether a run's learning rate fell before its accuracy rose, each (E,) over epochs.

    The rate has fallen when it is at most `FALLEN` times its highest value so far. The accuracy has
    risen when it is at least `RISEN` times ``ends_with``.
    """
    fallen = learning_rate <= FALLEN * np.maximum.accumulate(learning_rate)
    if not fallen.any():
        return False
    return bool((accuracy[: fallen.argmax()] < RISEN * ends_with).all())


def collapsed(
    accuracies: Mapping[int, float], curves: Mapping[int, tuple[Floats, Floats]] | None = None
) -> dict[int, Collapse]:
    """The seeds of a row that collapsed, and how.

    ``accuracies`` are test accuracies in %, by seed. ``curves`` have the learning rate and the
    training accuracy of the same epochs, (E,) each, for the seeds for which both are known.
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
