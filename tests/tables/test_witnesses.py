"""statsmodels, which was written by others, says the same."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eleatt_bench.tables.chance import variance_of_mean
from eleatt_bench.tables.family import holm
from eleatt_bench.tables.judge import Design, judge
from eleatt_bench.tables.power import power, seeds_needed

# Each imports its witness itself: all workers read this file, and few run anything of it.
pytestmark = pytest.mark.skipif(
    find_spec("statsmodels") is None, reason="statsmodels, of the extra dev, is not installed"
)


@settings(deadline=None)  # the first imports the witness
@given(st.floats(0, 10), st.floats(0.1, 5), st.integers(3, 100), st.floats(0.001, 0.2))
def test_power(difference: float, spread: float, count: int, level: float) -> None:
    from statsmodels.stats.power import TTestPower

    found = power(difference, spread, count, level)
    if difference / spread * count**0.5 < 37:
        expected = TTestPower().power(difference / spread, count, level / 2, alternative="larger")
    else:  # which statsmodels leaves to SciPy, and that has no answer for all
        expected = drawn_power(difference / spread, count, level)
    assert found == pytest.approx(expected, abs=1e-6)


def drawn_power(effect: float, count: int, level: float) -> float:
    """P(T > t) of the noncentral t, as an integral over its normal part."""
    from scipy.integrate import quad
    from scipy.stats import chi2, norm, t

    least, freedom = t.ppf(1 - level / 2, count - 1), count - 1
    shift = effect * count**0.5
    found, _ = quad(
        lambda z: norm.pdf(z) * chi2.cdf(freedom * ((shift + z) / least) ** 2, freedom), -12, 12
    )
    return float(found)


@pytest.mark.parametrize("count", [3, 5, 20, 100])
@pytest.mark.parametrize("shift", [30, 36.9])
def test_power_far_out_joins_what_is_near(count: int, shift: float) -> None:
    near = power(shift / count**0.5, 1, count, 0.001)
    assert near == pytest.approx(drawn_power(shift / count**0.5, count, 0.001), abs=1e-9)
    assert power(1e9, 1, count, 0.001) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("effect", [0.3, 0.5, 0.66, 1.0, 1.69, 3.26])
@pytest.mark.parametrize("level", [0.05, 0.0195])
def test_seeds_needed(effect: float, level: float) -> None:
    from statsmodels.stats.power import TTestPower

    expected = TTestPower().solve_power(effect, None, level / 2, 0.8, alternative="larger")
    assert seeds_needed(effect, 1, level) == np.ceil(np.round(expected, 6))


@settings(deadline=None)  # the first imports the witness
@given(st.integers(0, 10_000), st.floats(-1.5, 1.5), st.floats(0.1, 2), st.floats(0.2, 3))
def test_no_difference_that_matters(seed: int, mean: float, std: float, margin: float) -> None:
    from statsmodels.stats.weightstats import ttost_paired

    random = np.random.default_rng(seed)
    better, than = random.normal(70 + mean, std, 8), random.normal(70, std, 8)
    p, _, _ = ttost_paired(better, than, -margin, margin)
    plan = Design(tuple(range(8)), (8,), None, margin)
    found = judge(dict(enumerate(better)), dict(enumerate(than)), plan)
    if not found.verdict.signed and abs(p - 0.05) > 1e-9:
        assert (found.verdict == "no difference that matters") == (p < 0.05)


@settings(max_examples=8, deadline=None)  # theirs takes 70 ms
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
@pytest.mark.slow
def test_holm(p: list[float]) -> None:
    from statsmodels.stats.multitest import multipletests

    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])


def test_crossed_variances_are_of_the_mean_squares() -> None:
    from pandas import DataFrame
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    random = np.random.default_rng(5)
    table = random.normal(size=(5, 7)) + random.normal(size=(5, 1)) + random.normal(size=7)
    seed, group = np.indices(table.shape)
    data = DataFrame({"y": table.ravel(), "seed": seed.ravel(), "group": group.ravel()})
    squares = anova_lm(ols("y ~ C(seed) + C(group)", data).fit())["mean_sq"]
    total = squares["C(seed)"] + squares["C(group)"] - squares["Residual"]
    variance, degrees = variance_of_mean(table / 7, np.full(7, 1 / 7))
    assert variance == pytest.approx(total / 35)
    parts = (
        squares["C(seed)"] ** 2 / 4,
        squares["C(group)"] ** 2 / 6,
        squares["Residual"] ** 2 / 24,
    )
    assert degrees == pytest.approx(total**2 / sum(parts))
