"""Every number against another implementation: scipy's, or one that tries all cases."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from eleatt_bench.tables.bootstrap import paired_bootstrap
from eleatt_bench.tables.statistics import mcnemar, mean, proportion, std

accuracies = st.floats(0, 100, allow_subnormal=False)


@given(st.lists(accuracies, max_size=10))
def test_mean_and_deviation_are_numpys(values: list[float]) -> None:
    assert mean(values) == (pytest.approx(np.mean(values)) if values else None)
    expected = pytest.approx(np.std(values, ddof=1), abs=1e-9) if len(values) > 1 else None
    assert std(values) == expected


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
