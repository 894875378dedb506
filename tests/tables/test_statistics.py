"""Every number against another implementation: scipy's, or one that tries all cases."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from eleatt_bench.tables.statistics import (
    LEAST_SEEDS,
    half_width,
    mcnemar,
    mean,
    paired_bootstrap,
    paired_difference,
    proportion,
    seeds_to_decide,
    std,
)

accuracies = st.floats(0, 100, allow_subnormal=False)


@given(st.lists(accuracies, max_size=10))
def test_mean_and_deviation_are_numpys(values: list[float]) -> None:
    assert mean(values) == (pytest.approx(np.mean(values)) if values else None)
    expected = pytest.approx(np.std(values, ddof=1), abs=1e-9) if len(values) > 1 else None
    assert std(values) == expected


def test_by_hand() -> None:
    assert std([60.0, 62.0, 64.0]) == 2.0
    # differences 1, 2, 3: mean 2, std 1, t(0.975, 2) = 4.302653, half the width 2.4841
    found = paired_difference({0: 61.0, 1: 64.0, 2: 67.0}, {0: 60.0, 1: 62.0, 2: 64.0})
    assert (found.count, found.mean, found.std) == (3, 2.0, 1.0)
    assert (found.low, found.high) == pytest.approx((-0.484138, 4.484138), abs=1e-6)
    # t(0.975, 3) = 3.182446 / 2 = 1.591 < 2
    assert (found.verdict, found.seeds_to_decide) == ("undecided", 4)


@given(st.lists(st.tuples(accuracies, accuracies), min_size=2, max_size=12))
def test_the_interval_is_scipys(pairs: list[tuple[float, float]]) -> None:
    better, than = ({seed: pair[i] for seed, pair in enumerate(pairs)} for i in (0, 1))
    differences = np.array([a - b for a, b in pairs])
    found = paired_difference(better, than)
    assert found.mean == pytest.approx(differences.mean(), abs=1e-9)
    if differences.std() > 1e-6:  # scipy warns of almost equal values
        interval = stats.ttest_rel(*np.array(pairs).T).confidence_interval(0.95)
        assert (found.low, found.high) == pytest.approx(tuple(interval), rel=1e-6, abs=1e-6)


@given(st.lists(st.tuples(accuracies, accuracies), min_size=3, max_size=8))
def test_the_verdict_is_the_two_sided_t_tests(pairs: list[tuple[float, float]]) -> None:
    found = paired_difference(*({s: pair[i] for s, pair in enumerate(pairs)} for i in (0, 1)))
    if np.std([a - b for a, b in pairs]) < 1e-6:
        return
    test = stats.ttest_rel(*np.array(pairs).T)
    if abs(test.pvalue - 0.05) > 1e-9:
        side = "reproduced" if test.statistic > 0 else "not reproduced"
        assert found.verdict == (side if test.pvalue < 0.05 else "undecided")


def test_pairs_are_of_the_same_seed_and_the_others_are_left_out() -> None:
    found = paired_difference({3: 70.0, 0: 60.0, 9: 1.0}, {0: 50.0, 3: 65.0, 4: 99.0})
    assert (found.count, found.mean) == (2, 7.5)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_under_three_seeds_nothing_is_decided(count: int) -> None:
    better = {seed: 90.0 + seed / 100 for seed in range(count)}
    found = paired_difference(better, dict.fromkeys(range(count), 10.0))
    assert found.count == count < LEAST_SEEDS
    assert found.verdict == "undecided"
    assert (found.low is None) == (count < 2)
    assert found.seeds_to_decide == (3 if count == 2 else None)


@given(st.floats(0.01, 50), st.floats(0.001, 20), st.integers(2, 20))
def test_so_many_seeds_would_decide_and_one_fewer_would_not(
    center: float, spread: float, count: int
) -> None:
    found = seeds_to_decide(center, spread)

    def decides(n: int) -> bool:
        return bool(stats.t.ppf(0.975, n - 1) * spread / math.sqrt(n) < center)

    if found is None:
        assert not decides(1000)
    else:
        assert decides(found)
        assert found == LEAST_SEEDS or not decides(found - 1)


def test_a_difference_of_nothing_is_not_decided_by_more_seeds() -> None:
    assert seeds_to_decide(0.0, 1.0) is None
    same = paired_difference({0: 5.0, 1: 5.0, 2: 5.0}, {0: 5.0, 1: 5.0, 2: 5.0})
    assert (same.verdict, same.seeds_to_decide) == ("undecided", None)


@pytest.mark.parametrize("count", [2, 3, 30])
def test_half_the_width_is_that_of_students_t(count: int) -> None:
    expected = stats.t.interval(0.95, count - 1, loc=0, scale=3 / math.sqrt(count))[1]
    assert half_width(3.0, count) == pytest.approx(expected)


@pytest.mark.parametrize("first", range(8))
@pytest.mark.parametrize("second", range(8))
def test_mcnemar_counts_every_way_the_coins_can_fall(first: int, second: int) -> None:
    count = first + second
    heads = [bin(outcome).count("1") for outcome in range(2**count)]
    distance = abs(first - count / 2)
    extreme = sum(abs(n - count / 2) >= distance for n in heads) / 2**count
    assert mcnemar(first, second) == pytest.approx(extreme, rel=1e-12)


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_mcnemar_is_scipys_binomial_test(first: int, second: int) -> None:
    expected = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar(first, second) == pytest.approx(expected, rel=1e-9)


def test_the_bootstrap_of_one_fold_is_that_of_every_possible_draw() -> None:
    gain = np.array([1, 0, -1, 1, 1, 0])
    every = [np.mean(drawn) for drawn in itertools.product(gain, repeat=6)]  # 46,656 draws
    index = np.arange(6)
    found = paired_bootstrap(gain, index, np.zeros(6, dtype=np.int64), replicates=20_000)
    assert found == pytest.approx(100 * np.percentile(every, [2.5, 97.5]), abs=1e-9)


def test_a_sample_is_drawn_with_all_its_folds() -> None:
    # Two folds test the same eight samples with opposite outcomes: whatever is drawn, the folds
    # cancel. Drawn apart, they would not.
    gain = np.array([1, 1, 1, 1, 0, 0, 0, 0])
    sample, fold = np.tile(np.arange(8), 2), np.repeat([0, 1], 8)
    assert paired_bootstrap(np.concatenate([gain, -gain]), sample, fold) == (0.0, 0.0)
    low, high = paired_bootstrap(np.concatenate([gain, gain]), sample, fold)
    assert low < 50 < high


def test_folds_weigh_the_same_whatever_their_size() -> None:
    # Every sample of the large fold gains nothing, every one of the small fold everything.
    gain = np.array([0] * 30 + [1] * 5)
    fold = np.array([0] * 30 + [1] * 5)
    assert paired_bootstrap(gain, np.arange(35), fold, replicates=200) == (50.0, 50.0)
    assert paired_bootstrap(gain, np.arange(35), fold) == paired_bootstrap(
        gain, np.arange(35), fold
    )


def test_the_bootstrap_agrees_with_one_that_builds_every_draw_in_full() -> None:
    random = np.random.default_rng(3)
    fold = np.repeat([0, 1, 2], 40)
    sample = np.concatenate([random.permutation(60)[:40] for _ in range(3)])
    gain = random.integers(-1, 2, 120)
    names = np.unique(sample)
    entries = {name: np.flatnonzero(sample == name) for name in names}
    found = []
    for _ in range(1500):
        chosen = np.concatenate([entries[n] for n in random.choice(names, len(names))])
        by_fold = [gain[chosen][fold[chosen] == f] for f in range(3)]
        found.append(100 * np.mean([np.mean(values) for values in by_fold if len(values)]))
    expected = np.percentile(found, [2.5, 97.5])
    assert paired_bootstrap(gain, sample, fold) == pytest.approx(expected, abs=1.2)


@given(st.data())
def test_the_interval_of_a_share_is_scipys_exact_one(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 20_000))
    right = data.draw(st.integers(0, count))
    expected = stats.binomtest(right, count).proportion_ci(0.95, "exact")
    assert proportion(right, count) == pytest.approx((expected.low, expected.high), abs=1e-12)
