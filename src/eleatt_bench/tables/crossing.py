"""How often any of several looks rejects by chance: an integral.

Let the paired differences be normal with mean 0, and let t(n) be the t statistic of the first n.
Given t(n), the way in which the sum of squares divides into parts is independent of its size. So
t(m), for m < n, depends on t(n) alone: backwards in n, t is a Markov chain. Let r = n − m, and let
φ in ±π/2 and θ in [0, π/2] be independent angles with densities proportional to cos(φ)^(n − 3) and
sin(θ)^(m − 2) · cos(θ)^(r − 2). Then

    t(m) / √(m − 1) = (ρ · t(n) / √(n − 1) + √(1 − ρ²) · sin φ) / (cos φ · sin θ),

where θ is π/2 if r is 1, and ρ² = m / n is the squared correlation of the two means. The same holds
for the distance of one more value from the mean, over its standard error √(1 + 1/n) · s, with ρ² =
(1 + 1/n) / (1 + 1/m). Between the bounds of a look everything is smooth, so few nodes are enough.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
from numpy.polynomial import Chebyshev

from eleatt_bench.tables.statistics import Looks, quantile

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Squared = Callable[[int, int], float]
"""The squared correlation of what two looks test, given their numbers of seeds m < n."""

_NODES, _DEGREE = 32, 20
_STEP_NODES = 64  # where only one seed was added: the functions then have corners
_TAIL = 9.0  # standard deviations; the tails beyond weigh less than 1e-15


def of_mean(before: int, count: int) -> float:
    """`Squared` for the mean."""
    return before / count


def of_one_more(before: int, count: int) -> float:
    """`Squared` for the distance from the mean of one more value, the same at both looks."""
    return (1 + 1 / count) / (1 + 1 / before)


def crossing(looks: Looks, level: float, sides: int = 2, squared: Squared = of_mean) -> float:
    """How often any of ``looks``, each at the nominal ``level``, rejects by chance.

    With two ``sides``, a look rejects if its t statistic is far from 0; with one, if it is high.
    """
    if len(looks) == 1 or level >= 1:
        return level
    kept: Kept = np.ones_like
    edges = _edges(looks[0], level, sides)
    for before, count in itertools.pairwise(looks):
        above = partial(_kept_before, before, count, squared(before, count), edges, kept)
        edges = _edges(count, level, sides)
        degree = _DEGREE if count - before > 1 else _STEP_NODES
        kept = Chebyshev.interpolate(above, degree, domain=edges)
    # The density of ψ (see `Kept`) is proportional to cos(ψ)^(n − 2).
    nodes, weights = _gauss(*edges, _STEP_NODES)
    norm = math.lgamma(count / 2) - math.lgamma((count - 1) / 2) - math.log(math.pi) / 2
    return 1 - float((weights * np.cos(nodes) ** (count - 2) * kept(nodes)).sum()) * math.exp(norm)


Kept = Callable[[Floats], Floats]
"""The probability that no earlier look rejected, given ψ = atan(t / √(n − 1)) at a look."""
Edges = tuple[float, float]
"""The bounds of ψ between which a look does not reject."""


def _edges(count: int, level: float, sides: int) -> Edges:
    high = math.atan(quantile(count, level, sides) / math.sqrt(count - 1))
    return (-high if sides == 2 else -min(math.pi / 2, _TAIL / math.sqrt(count)), high)


def _kept_before(
    before: int, count: int, squared: float, edges: Edges, kept: Kept, angles: Floats
) -> Floats:
    """`Kept` of the look at ``count`` seeds, at its ``angles`` ψ (U,).

    ``edges`` and ``kept`` are those of the look before it, at ``before`` seeds.
    """
    low, high = (math.tan(edge) for edge in edges)
    above = _same_sign(before, count, squared, high, kept, np.tan(angles))
    below = _same_sign(before, count, squared, -low, lambda psi: kept(-psi), -np.tan(angles))
    return above + below


def _same_sign(
    before: int, count: int, squared: float, bound: float, kept: Kept, a: Floats
) -> Floats:
    """The part of `_kept_before` where t is positive at the look before; ``a`` (U,) is tan ψ."""
    added = count - before
    limit = min(_TAIL / math.sqrt(count), math.pi / 2)
    least, most = _thetas(before, added)
    alike, other = math.sqrt(squared), math.sqrt(1 - squared)

    def last(sine: float) -> Floats:
        """The largest φ that keeps t within ``bound`` if sin θ is ``sine``: (U, 1)."""
        reach = bound * sine
        at = alike * a / math.hypot(other, reach)
        phase = math.atan(reach / other)
        return np.clip(phase - np.arcsin(np.clip(at, -1, 1)), -limit, limit)[:, None]

    # The first part goes from t = 0 to where t leaves the bound for some θ, the second on to where
    # it does for every θ. With many seeds θ hardly varies, so the second part is steep.
    first = np.clip(np.arcsin(np.clip(-alike / other * a, -1, 1)), -limit, limit)
    corners = [first[:, None], *(last(math.sin(theta)) for theta in dict.fromkeys((least, most)))]
    found = np.zeros_like(a)
    for low, high in itertools.pairwise(corners):
        phi, weights = _gauss(low, np.maximum(low, high), _NODES if added > 1 else _STEP_NODES)
        top = alike * a[:, None] + other * np.sin(phi)
        side = np.maximum(top, 0) / np.cos(phi)  # t(m) / √(m − 1) where θ is π/2
        weights = weights * np.cos(phi) ** (count - 3) * math.exp(_log_norm(0, count - 3) - _LOG_2)
        if added > 1:
            inside = _over_theta(before, added, bound, kept, side)
        else:
            inside = np.where(side <= bound, kept(np.arctan(np.minimum(side, bound))), 0.0)
        found += (weights * inside).sum(axis=1)
    return found


def _thetas(before: int, added: int) -> tuple[float, float]:
    """The least and the largest θ of any weight."""
    if added == 1:
        return math.pi / 2, math.pi / 2
    mode = math.atan(math.sqrt((before - 2) / added))
    width = _TAIL / math.sqrt(2 * (before + added))
    return max(mode - width, 0.0), min(mode + width, math.pi / 2)


def _over_theta(before: int, added: int, bound: float, kept: Kept, side: Floats) -> Floats:
    """The mean over θ of `Kept`, which counts as 0 where ``side`` / sin θ is beyond ``bound``."""
    least, most = _thetas(before, added)
    low = np.maximum(np.arcsin(np.minimum(side / bound, 1)), least)[..., None]
    theta, weights = _gauss(low, np.maximum(low, most))
    log_density = (before - 2) * np.log(np.sin(theta)) + (added - 2) * np.log(np.cos(theta))
    density = np.exp(log_density + _log_norm(before - 2, added - 2))
    inside = kept(np.arctan2(side[..., None], np.sin(theta)))
    found: Floats = (weights * density * inside).sum(axis=-1)
    return found


_LOG_2 = math.log(2)


def _log_norm(sines: float, cosines: float) -> float:
    """− log of the integral of sin^sines · cos^cosines over [0, π/2]."""
    p, q = (sines + 1) / 2, (cosines + 1) / 2
    return _LOG_2 + math.lgamma(p + q) - math.lgamma(p) - math.lgamma(q)


_RULES = {size: np.polynomial.legendre.leggauss(size) for size in (_NODES, _STEP_NODES)}


def _gauss(low: Floats | float, high: Floats | float, size: int = _NODES) -> tuple[Floats, Floats]:
    """Nodes and weights (..., size) of integrals from ``low`` to ``high`` (..., 1)."""
    points, weights = _RULES[size]
    half = (np.asarray(high) - low) / 2
    return low + half * (1 + points), half * weights
