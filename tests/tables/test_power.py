"""Power by hand and by drawing; tests/tables/test_witnesses.py has statsmodels' word."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from eleatt_bench.tables.power import (
    MOST_SEEDS,
    POWER,
    detectable,
    power,
    seeds_needed,
    spread_range,
)

spreads, levels = st.floats(0.01, 20), st.sampled_from([0.05, 0.0195, 0.001])


@pytest.mark.parametrize(("count", "found"), [(3, 3.26), (5, 1.68), (10, 1.00), (20, 0.66)])
def test_known_differences_of_one_look(count: int, found: float) -> None:
    assert detectable(1, count, 0.05) == pytest.approx(found, abs=0.005)


@given(spreads, st.integers(3, 200), levels)
def test_what_is_detectable_is_found_in_80_percent(spread: float, count: int, level: float) -> None:
    found = detectable(spread, count, level)
    assert power(found, spread, count, level) == pytest.approx(POWER, abs=1e-6)
    assert power(-found, spread, count, level) == pytest.approx(POWER, abs=1e-6)


@given(st.floats(0.05, 50), spreads, levels)
def test_so_many_seeds_find_it_and_one_fewer_does_not(
    difference: float, spread: float, level: float
) -> None:
    found = seeds_needed(difference, spread, level)
    if found is None:
        assert power(difference, spread, 1000, level) < POWER
    else:
        assert power(difference, spread, found, level) >= POWER
        assert found == 3 or power(difference, spread, found - 1, level) < POWER


@given(st.integers(3, MOST_SEEDS), levels, st.lists(st.floats(0, 60), min_size=1, max_size=20))
@example(38, 0.0195, [36.99])
@example(612, 0.0195, [35.5, 36.0, 36.5])
def test_power_is_a_share_that_grows_with_the_difference(
    count: int, level: float, shifts: list[float]
) -> None:
    found = [power(shift, math.sqrt(count), count, level) for shift in sorted(shifts)]
    assert all(0 <= share <= 1 for share in found)
    assert all(b >= a - 1e-15 for a, b in itertools.pairwise(found))


def test_half_a_standard_deviation_needs_34_seeds() -> None:
    assert seeds_needed(0.5, 1, 0.05) == 34
    assert seeds_needed(0.001, 1, 0.05) is None


def test_power_is_how_often_it_is_found() -> None:
    values = 1 + 2 * np.random.default_rng(0).standard_normal((40_000, 8))
    found = stats.ttest_1samp(values, 0, axis=1, alternative="greater").pvalue < 0.02 / 2
    assert power(1, 2, 8, 0.02) == pytest.approx(found.mean(), abs=4 * np.sqrt(0.25 / 40_000))


def test_the_spread_of_five_seeds_is_known_to_a_factor() -> None:
    assert spread_range(1, 5) == pytest.approx((0.599, 2.874), abs=0.001)


@pytest.mark.parametrize("count", [3, 5, 20])
def test_the_range_holds_the_spread_in_95_percent(count: int) -> None:
    drawn = 3 * np.random.default_rng(1).standard_normal((20_000, count))
    low, high = spread_range(1, count)
    ratio = 3 / drawn.std(axis=1, ddof=1)
    inside = ((low < ratio) & (ratio < high)).mean()
    assert inside == pytest.approx(0.95, abs=4 * np.sqrt(0.05 * 0.95 / 20_000))
