"""Seeds crossed with subjects: by the classical analysis, by matrices, and by drawing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from eleatt_bench.tables.chance import (
    contributions,
    crossed,
    intervals,
    variance_of_mean,
)


def drawn(
    seeds: int, sizes: tuple[int, ...], of_seed: float, of_group: float, draws: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """`contributions` of so many matrices of normal values whose mean is 0."""
    random = np.random.default_rng(seed)
    group = np.repeat(np.arange(len(sizes)), sizes)
    values = random.normal(0, of_seed, (draws, seeds, 1))
    values = values + random.normal(0, of_group, (draws, 1, len(sizes)))[..., group]
    values += random.normal(0, 0.3, values.shape)
    flat = values.reshape(-1, len(group))
    parts, weights = contributions(flat, group, np.zeros_like(group))
    return parts.reshape(draws, seeds, -1), weights


def test_of_groups_of_one_size_it_is_the_classical_analysis() -> None:
    table = np.random.default_rng(0).normal(0, 1, (6, 9))
    table += np.arange(6)[:, None] + 2 * np.arange(9)
    rows, columns = table.mean(axis=1), table.mean(axis=0)
    left = table - rows[:, None] - columns + table.mean()
    ms = (
        9 * ((rows - table.mean()) ** 2).sum() / 5,
        6 * ((columns - table.mean()) ** 2).sum() / 8,
        (left**2).sum() / 40,
    )
    total = ms[0] + ms[1] - ms[2]
    degrees = total**2 / (ms[0] ** 2 / 5 + ms[1] ** 2 / 8 + ms[2] ** 2 / 40)
    found = crossed(table / 9, np.full(9, 1 / 9), 0.02)
    assert found is not None
    half = stats.t.isf(0.01, degrees) * np.sqrt(total / 54)
    assert found.mean == pytest.approx(100 * table.mean())
    assert (found.low, found.high) == pytest.approx(
        (100 * (table.mean() - half), 100 * (table.mean() + half))
    )
    assert (found.groups, found.degrees) == (9, pytest.approx(degrees))


@given(st.lists(st.integers(1, 60), min_size=2, max_size=12))
def test_the_degrees_of_weighted_groups_are_those_of_their_matrix(sizes: list[int]) -> None:
    """Where seeds do not vary all is a matter of groups: Bell and McCaffrey's by definition."""
    weights = np.array(sizes) / sum(sizes)
    residual = np.eye(len(sizes)) - np.outer(np.ones(len(sizes)), weights)
    matrix = residual.T @ np.diag(weights**2) @ residual
    degrees = np.trace(matrix) ** 2 / np.trace(matrix @ matrix)
    values = np.random.default_rng(1).normal(size=len(sizes))
    parts = np.tile(weights * values, (4, 1))
    variance, found = variance_of_mean(parts, weights)
    assert found == pytest.approx(degrees, rel=1e-6)
    unbiased = (weights**2).sum() * (values @ matrix @ values) / np.trace(matrix)
    assert variance == pytest.approx(unbiased, rel=1e-6)


def test_the_variance_is_unbiased_for_unequal_groups() -> None:
    sizes = (60, 50, 40, 30, 20, 10, 10, 5)
    parts, weights = drawn(8, sizes, 0.2, 0.4, draws=6000)
    variance, _ = variance_of_mean(parts, weights)
    expected = parts.sum(axis=-1).mean(axis=-1).var()
    assert variance.mean() == pytest.approx(expected, rel=0.06)


@pytest.mark.parametrize("spreads", [(0.3, 0.0), (0.0, 0.3), (0.1, 0.2), (0.0, 0.0)])
@pytest.mark.parametrize("sizes", [(10,) * 8, (40, 20, 10, 10, 5, 5), (1,) * 60])
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_it_errs_in_no_more_than_6_percent(
    seeds: int, sizes: tuple[int, ...], spreads: tuple[float, float]
) -> None:
    draws = 1000
    parts, weights = drawn(seeds, sizes, *spreads, draws)
    mean, half, _ = intervals(parts, weights, 0.05)
    error = (abs(mean) > half).mean()
    assert error <= 0.06 + 3 * np.sqrt(0.06 * 0.94 / draws)


def test_seeds_alone_would_err_where_subjects_vary() -> None:
    parts, weights = drawn(10, (20,) * 6, 0.1, 0.3, draws=1000)
    p = stats.ttest_1samp(parts.sum(axis=-1), 0, axis=1).pvalue
    assert (p < 0.05).mean() > 0.3
    mean, half, _ = intervals(parts, weights, 0.05)
    assert (abs(mean) > half).mean() < 0.08


@given(st.integers(2, 6), st.integers(2, 6), st.integers(0, 1000))
def test_its_variance_is_no_less_than_that_of_either_source(
    seeds: int, groups: int, seed: int
) -> None:
    table = np.random.default_rng(seed).normal(size=(seeds, groups))
    variance, _ = variance_of_mean(table / groups, np.full(groups, 1 / groups))
    alone = [table.mean(axis=axis).var(ddof=1) / n for axis, n in ((1, seeds), (0, groups))]
    assert variance >= max(alone) * (1 - 1e-9)


def test_a_difference_is_the_mean_over_folds() -> None:
    group = np.array([0, 0, 1, 0, 1, 2])
    fold = np.array([0, 0, 0, 0, 7, 7])
    gain = np.array([[1.0, 0, -1, 1, 1, 1], [0, 0, 0, 0, 0, -1]])
    parts, weights = contributions(gain, group, fold)
    assert weights.tolist() == pytest.approx([3 / 8, 1 / 8 + 1 / 4, 1 / 4])
    assert parts[0].tolist() == pytest.approx([2 / 8, -1 / 8 + 1 / 4, 1 / 4])
    by_fold = [gain[:, fold == f].mean(axis=1) for f in (0, 7)]
    assert parts.sum(axis=1) == pytest.approx(np.mean(by_fold, axis=0))


def test_predictions_of_two_rows() -> None:
    random = np.random.default_rng(3)
    group = np.repeat(np.arange(10), 20)
    fold = np.zeros_like(group)
    better, than = ((random.random((6, 200)) < share).astype(float) for share in (0.9, 0.6))
    found = crossed(*contributions(better - than, group, fold))
    assert found is not None
    assert found.mean == pytest.approx(100 * (better.mean() - than.mean()))
    assert found.direction == 1
    turned = crossed(*contributions(than - better, group, fold))
    assert turned is not None
    assert turned.direction == -1
    assert turned.low == pytest.approx(-found.high)
    unsure = crossed(*contributions(better - better[::-1], group, fold))
    assert unsure is not None
    assert unsure.direction == 0


def test_names_and_order_of_groups_do_not_matter() -> None:
    random = np.random.default_rng(4)
    gain = random.integers(-1, 2, (5, 60)).astype(float)
    group, fold = random.integers(0, 7, 60), random.integers(0, 3, 60)
    order = random.permutation(60)
    found = crossed(*contributions(gain, group, fold))
    other = crossed(*contributions(gain[:, order], 90 - 5 * group[order], 4 * fold[order]))
    assert found is not None
    assert other is not None
    assert other == pytest.approx(found)


def test_of_two_seeds_one_group_or_no_variation_it_says_nothing() -> None:
    weights = np.full(4, 0.25)
    several = np.random.default_rng(0).normal(size=(3, 4))
    assert crossed(several, weights) is not None
    assert crossed(several[:2], weights) is None
    assert crossed(np.ones((4, 1)), np.ones(1)) is None
    assert crossed(np.tile(weights, (3, 1)), weights) is None
    assert crossed(np.zeros((3, 4)), weights) is None
