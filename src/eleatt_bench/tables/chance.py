"""Two sources of chance: other seeds, and other people's sequences.

An interval over seeds says whether other seeds would give the same result on this test set. A
second interval says whether they would on other subjects too (or other samples, if the subjects are
not known). In it, seeds and subjects are crossed random effects: every seed is tested on every
subject, and a difference is μ + seed + subject + what is left.

The variance of the mean difference is V_seeds + V_subjects − V_left, each estimated from the same
matrix. Its degrees of freedom are Satterthwaite's (1946). Subjects with more samples weigh more, so
V_subjects has the degrees of freedom of Bell and McCaffrey (2002) for weighted groups. For groups
of one size these are the number of groups − 1, and the whole is the classical analysis of variance.
"""

from __future__ import annotations

import numpy as np

from eleatt_bench.tables.crossing import Floats, Integers
from eleatt_bench.tables.judgement import NO_SPREAD
from eleatt_bench.tables.statistics import ERROR, LEAST_SEEDS
from eleatt_bench.tables.table import Crossed


def contributions(gain: Floats, group: Integers, fold: Integers) -> tuple[Floats, Floats]:
    """What each group adds to a seed's difference, and the groups' weights: (S, G) and (G,).

    ``gain`` (S, M) is, for each seed, 1 where only the first row is right, −1 where only the second
    is, else 0. A seed's difference is the mean over folds of the mean over the samples of each.
    That gives every entry a weight, and a group the sum of its entries' weights. Entry m belongs to
    a sample of ``group[m]``, tested in ``fold[m]``.
    """
    _, at, sizes = np.unique(fold, return_inverse=True, return_counts=True)
    weight = 1 / (len(sizes) * sizes[at])  # (M,)
    names, column = np.unique(group, return_inverse=True)
    parts = [np.bincount(column, weight * row, len(names)) for row in (*gain, 1)]
    return np.array(parts[:-1], np.float64), np.array(parts[-1], np.float64)


def crossed(parts: Floats, weights: Floats, level: float = ERROR) -> Crossed | None:
    """The mean difference, with its interval over seeds and groups at the two-sided ``level``.

    ``parts`` (S, G) and ``weights`` (G,) are those of `contributions`. None for fewer than
    `LEAST_SEEDS` seeds or two groups, and if nothing varies.

    If groups differ little, the interval may be slightly narrower than the one over seeds alone,
    because it has more degrees of freedom.
    """
    if len(parts) < LEAST_SEEDS or len(weights) < 2:
        return None
    mean, half, degrees = (float(v) for v in intervals(parts, weights, level))
    if not 100 * half > NO_SPREAD:
        return None
    ends = (100 * (mean - half), 100 * (mean + half))
    return Crossed(100 * mean, *ends, parts.shape[1], degrees)


def intervals(parts: Floats, weights: Floats, level: float) -> tuple[Floats, Floats, Floats]:
    """Means, half-widths and degrees of freedom of intervals: (..., S, G) to (...) each."""
    from scipy.special import stdtrit

    variance, degrees = variance_of_mean(parts, weights)
    half = -stdtrit(degrees, level / 2) * np.sqrt(variance)
    return parts.sum(axis=-1).mean(axis=-1), half, degrees


def variance_of_mean(parts: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """The variance of the mean over seeds and its degrees of freedom: (..., S, G) to (...) each."""
    seeds = parts.shape[-2]
    of_seeds = parts.sum(axis=-1)
    means = parts.mean(axis=-2)
    share, df_groups = _weighted(weights)
    by_seeds = of_seeds.var(axis=-1, ddof=1) / seeds
    by_groups = _spread(means, of_seeds.mean(axis=-1), weights) / share
    one_seed = _spread(parts, of_seeds, weights).mean(axis=-1) / share
    left = (one_seed - by_groups) / (seeds - 1)
    left = np.minimum(left, np.minimum(by_seeds, by_groups))  # no component is below 0
    df_seeds = seeds - 1
    total = by_seeds + by_groups - left
    squares = by_seeds**2 / df_seeds + by_groups**2 / df_groups + left**2 / (df_seeds * df_groups)
    return total, total**2 / np.where(total > 0, squares, 1)


def _spread(parts: Floats, total: Floats, weights: Floats) -> Floats:
    """The sum of squares, over groups, of ``parts`` (..., G) less their shares of ``total``."""
    found: Floats = ((parts - weights * total[..., None]) ** 2).sum(axis=-1)
    return found


def _weighted(weights: Floats) -> tuple[float, float]:
    """The ratio of `_spread` to the variance of a weighted mean, and its degrees of freedom.

    Both hold for groups of equal variance. If all ``weights`` are 1/G, they are 1 − 1/G and G − 1.
    """
    second, third, fourth = (float((weights**k).sum()) for k in (2, 3, 4))
    own = 1 - 2 * weights + second
    trace = float((weights**2 * own).sum())
    # The sum of squares of the quadratic form's matrix: ``across`` uses the off-diagonal formula
    # everywhere, by moments of the weights; the first term of ``squared`` corrects the diagonal.
    other = second - 2 * weights
    across = second**4 + 2 * second * fourth - 4 * second**2 * third + 2 * third**2
    squared = float((weights**4 * (own**2 - other**2)).sum()) + across
    return trace / second, trace**2 / squared
