"""Levels against known values, against bounds that hold for any looks, and against plain draws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from eleatt_bench.tables.crossing import crossing, of_one_more, quantile
from eleatt_bench.tables.looks import ERROR, nominal_level, overall_level
from eleatt_bench.tables.statistics import deciding

looks_of_any_table = st.lists(st.integers(3, 60), min_size=1, max_size=4, unique=True).map(
    lambda counts: tuple(sorted(counts))
)


def drawn(looks: tuple[int, ...], level: float, sides: int, draws: int, seed: int) -> float:
    """How often any of ``looks`` rejects in so many draws, by its definition."""
    random = np.random.default_rng(seed)
    values = random.standard_normal((draws, looks[-1]))
    rejected = np.zeros(draws, bool)
    for count in looks:
        first = values[:, :count]
        t = first.mean(axis=1) / (first.std(axis=1, ddof=1) / np.sqrt(count))
        statistic = abs(t) if sides == 2 else t
        rejected |= statistic > stats.t.isf(level / sides, count - 1)
    return float(rejected.mean())


@given(st.integers(2, 2000), st.floats(1e-6, 0.9), st.sampled_from([1, 2]))
def test_the_quantile_is_scipys(count: int, level: float, sides: int) -> None:
    assert quantile(count, level, sides) == pytest.approx(
        stats.t.isf(level / sides, count - 1), rel=1e-6, abs=1e-9
    )


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("count", [3, 5, 20, 500])
def test_one_look_has_the_whole_error(count: int, sides: int) -> None:
    assert nominal_level((count,), sides) == pytest.approx(ERROR, rel=1e-9)
    assert crossing((count,), 0.01, sides) == 0.01


@pytest.mark.parametrize(
    ("looks", "sides", "level"),
    [  # each the middle of three runs of `drawn` with 40 million draws
        ((5, 10, 20), 2, 0.0195),
        ((3, 6, 12), 2, 0.0189),
        ((5, 10, 20), 1, 0.0207),
        ((3, 6, 12), 1, 0.0199),
    ],
)
def test_known_levels(looks: tuple[int, ...], sides: int, level: float) -> None:
    assert nominal_level(looks, sides) == pytest.approx(level, abs=0.00006)


def test_many_looks_at_many_seeds_are_those_of_normal_values() -> None:
    """Pocock's constants for 2, 3 and 5 equally spaced looks."""
    for count, constant in ((2, 2.178), (3, 2.289), (5, 2.413)):
        looks = tuple(3000 * k for k in range(1, count + 1))
        assert nominal_level(looks) == pytest.approx(2 * stats.norm.sf(constant), rel=0.006)


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize(
    "looks", [(5, 10, 20), (3, 6, 12), (3, 4), (3, 5), (4, 5, 6, 7, 8), (3, 40), (10, 12, 40, 41)]
)
def test_as_many_cross_as_are_drawn(looks: tuple[int, ...], sides: int) -> None:
    draws, level = 20_000, 0.03
    found = drawn(looks, level, sides, draws, seed=1)
    expected = crossing(looks, level, sides)
    assert found == pytest.approx(expected, abs=4 * np.sqrt(expected / draws))


@pytest.mark.parametrize("looks", [(5, 10, 20), (3, 6, 12), (3, 4), (3, 40), (4, 5, 6, 7)])
def test_one_more_value_is_outside_as_often_as_is_drawn(looks: tuple[int, ...]) -> None:
    draws, level = 20_000, 0.03
    random = np.random.default_rng(2)
    values, more = random.standard_normal((draws, looks[-1])), random.standard_normal(draws)
    outside = np.zeros(draws, bool)
    for count in looks:
        first = values[:, :count]
        error = first.std(axis=1, ddof=1) * np.sqrt(1 + 1 / count)
        outside |= abs(more - first.mean(axis=1)) > stats.t.isf(level / 2, count - 1) * error
    expected = crossing(looks, level, squared=of_one_more)
    assert outside.mean() == pytest.approx(expected, abs=4 * np.sqrt(expected / draws))
    assert level < expected < crossing(looks, level)


@pytest.mark.slow
@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("looks", [(5, 10, 20), (3, 6, 12), (3, 4, 5), (3, 5, 7, 50)])
def test_levels_have_three_digits(looks: tuple[int, ...], sides: int) -> None:
    level = nominal_level(looks, sides)
    found = [drawn(looks, level, sides, 250_000, seed) for seed in range(40)]
    error = np.std(found) / np.sqrt(len(found))
    assert error < 1e-4
    assert np.mean(found) == pytest.approx(ERROR, abs=4 * error)


@settings(max_examples=4, deadline=None)
@given(looks_of_any_table, st.sampled_from([1, 2]), st.floats(0.001, 0.2))
def test_levels_are_between_those_of_one_look_and_of_looks_that_know_nothing_of_each_other(
    looks: tuple[int, ...], sides: int, error: float
) -> None:
    level = nominal_level(looks, sides, error=error)
    assert error / len(looks) - 1e-9 <= level <= error + 1e-9
    assert crossing(looks, level, sides) == pytest.approx(error, rel=1e-5)


@settings(max_examples=10, deadline=None)
@given(st.sampled_from([(5, 10, 20), (3, 4), (3, 7, 8)]), st.lists(st.floats(1e-3, 1), min_size=1))
def test_the_overall_level_is_how_often_they_cross(
    looks: tuple[int, ...], levels: list[float]
) -> None:
    found = overall_level(looks, np.array(levels))
    for level, overall in zip(levels, found, strict=True):
        assert level - 1e-9 <= overall <= min(1, len(looks) * level) + 1e-9
        if level < 0.99:
            assert overall == pytest.approx(crossing(looks, level), rel=1e-2)


def test_the_overall_level_of_nothing_and_of_everything() -> None:
    assert overall_level((5, 10, 20), np.array([0.0, 1.0])).tolist() == pytest.approx([0, 1])
    assert overall_level((5,), np.array([0.3])).tolist() == [0.3]


def test_a_look_of_two_seeds_decides_nothing_and_costs_nothing() -> None:
    assert deciding([1, 2, 5, 10]) == (5, 10)
    assert deciding([2]) == ()
