"""The words, of moments that are given and of differences that are drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from eleatt_bench.tables.crossing import of_one_more
from eleatt_bench.tables.judgement import margin_of
from eleatt_bench.tables.looks import ERROR, nominal_level
from eleatt_bench.tables.verdicts import (
    WORDS,
    Levels,
    Verdict,
    first_decided,
    levels_of,
    moments,
    one_pair,
    p_values,
    words,
)

NOT_IN_PAPER = math.nan


def word(
    mean: float, std: float, count: int = 5, paper: float = NOT_IN_PAPER, margin: float = 1.0
) -> Verdict:
    """Of one look at that many seeds."""
    at = (np.array([value]) for value in (mean, std))
    codes = words(*at, (count,), levels_of([count]), np.array(paper), np.array(margin))
    return WORDS[codes[0]]


def half(count: int, level: float = ERROR) -> float:
    """Of the t interval of the mean of values with a deviation of 1."""
    return float(stats.t.isf(level / 2, count - 1) / math.sqrt(count))


@pytest.mark.parametrize(
    ("mean", "std", "paper", "expected"),
    [  # 5 seeds: the interval is ± 1.24 s, one pair ± 3.04 s
        (4.0, 1.0, 4.7, "reproduced"),
        (1.3, 1.0, 4.3, "reproduced"),
        (1.3, 1.0, 4.4, "smaller than the paper's"),
        (0.1, 0.05, 4.7, "smaller than the paper's"),
        (15.4, 3.0, 1.7, "larger than the paper's"),
        (1.3, 1.0, -1.7, "contradicted"),
        (-1.3, 1.0, 4.7, "contradicted"),
        (-1.3, 1.0, -0.2, "reproduced"),  # the paper's own difference is below 0
        (-4.0, 0.5, -0.2, "larger than the paper's"),
        (-0.3, 0.1, -4.7, "smaller than the paper's"),
        (15.4, 3.0, NOT_IN_PAPER, "better"),
        (-1.3, 1.0, NOT_IN_PAPER, "worse"),
        (1.3, 1.0, 0.0, "better"),  # a paper without a difference has none to reproduce
        (1.2, 1.0, 4.7, "undecided"),
        (0.0, 1.0, 4.7, "no difference that matters"),  # ± 0.95
        (0.1, 1.0, 4.7, "undecided"),
        (-0.4, 0.5, 4.7, "no difference that matters"),
    ],
)
def test_the_words(mean: float, std: float, paper: float, expected: str) -> None:
    assert word(mean, std, paper=paper) == expected


@given(
    st.floats(-20, 20), st.floats(0.01, 10), st.integers(3, 40),
    st.floats(-10, 10), st.floats(0.05, 3),
)  # fmt: skip
def test_what_is_said_follows_from_intervals(
    mean: float, std: float, count: int, paper: float, margin: float
) -> None:
    said = word(mean, std, count, paper, margin)
    reach = half(count) * std
    if min(abs(abs(mean) - reach), abs(paper)) < 1e-6:
        return
    if abs(mean) > reach:
        agrees = mean * paper > 0
        pair = stats.t.isf(ERROR / 2, count - 1) * std * math.sqrt(1 + 1 / count)
        if not agrees:
            assert said == "contradicted"
        elif abs(mean - paper) < pair:
            assert said == "reproduced"
        else:
            assert said == f"{'smaller' if abs(mean) < abs(paper) else 'larger'} than the paper's"
    else:
        narrow = stats.t.isf(ERROR, count - 1) * std / math.sqrt(count)
        inside = -margin < mean - narrow and mean + narrow < margin
        assert said == ("no difference that matters" if inside else "undecided")


@given(st.floats(-5, 5), st.floats(0.05, 5), st.floats(0.1, 10))
def test_turned_round_a_claim_reads_turned_round(mean: float, std: float, paper: float) -> None:
    assert word(mean, std, paper=paper) == word(-mean, std, paper=-paper)
    turned = {"better": "worse", "worse": "better"}
    said = word(mean, std)
    assert word(-mean, std) == turned.get(said, said)


@pytest.mark.parametrize("mean", [0.0, 0.3, -7.0])
def test_differences_without_spread_decide_nothing(mean: float) -> None:
    assert word(mean, 0.0, paper=4.7) == word(mean, 1e-13) == "undecided"


@pytest.mark.parametrize("mean", [0.0, 50.0])
def test_two_seeds_decide_nothing(mean: float) -> None:
    assert word(mean, 1e-3, count=2) == "undecided"


def test_each_look_has_its_levels() -> None:
    levels = levels_of((5, 10, 20))
    looks = (5, 10, 20)
    assert levels == Levels(
        nominal_level(looks),
        nominal_level(looks, sides=1),
        nominal_level(looks, squared=of_one_more),
    )
    reach = half(10, levels.sign)
    for mean, expected in ((reach * 1.001, "better"), (reach * 0.999, "undecided")):
        at = (np.full(3, value) for value in (mean, 1.0))
        codes = words(*at, (5, 10, 20), levels, np.array(math.nan), np.array(0.1))
        assert [WORDS[code] for code in codes] == ["undecided", expected, "better"]
    assert levels_of([2]) == levels_of([1, 2]) == Levels(ERROR, ERROR, ERROR)
    assert levels_of([2, 5]) == levels_of([5])


@pytest.mark.parametrize(
    ("paper", "margin"), [(None, 1), (0.0, 1), (4.7, 1), (1.0, 0.5), (-0.2, 0.1), (-4.0, 1)]
)
def test_the_margin(paper: float | None, margin: float) -> None:
    assert margin_of(paper) == pytest.approx(margin)


def test_the_first_look_that_decides_stays() -> None:
    names = [
        ["undecided", "better", "worse"],
        ["no difference that matters", "better", "better"],
        ["undecided", "undecided", "undecided"],
        ["undecided", "undecided", "contradicted"],
    ]
    codes = np.array([[WORDS.index(Verdict(name)) for name in row] for row in names], np.int8)
    found, at = first_decided(codes)
    assert [WORDS[code] for code in found] == [
        "better", "no difference that matters", "undecided", "contradicted",
    ]  # fmt: skip
    assert at.tolist() == [1, 0, 2, 2]


def test_moments_and_p_are_those_of_the_first_seeds() -> None:
    values = 0.5 + np.random.default_rng(0).standard_normal((7, 4, 20))
    mean, std = moments(values, (5, 10, 20))
    p = p_values(mean, std, (5, 10, 20))
    assert mean.shape == std.shape == p.shape == (7, 4, 3)
    for k, count in enumerate((5, 10, 20)):
        test = stats.ttest_1samp(values[..., :count], 0, axis=-1)
        assert p[..., k] == pytest.approx(test.pvalue, rel=1e-9)
    assert p_values(np.array([3.0]), np.array([0.0]), (5,)).tolist() == [1.0]


def test_one_pair_of_runs_is_within_its_interval() -> None:
    random = np.random.default_rng(1)
    seen, pair = random.standard_normal((40_000, 6)), random.standard_normal(40_000)
    off = abs(pair - seen.mean(axis=1)) / seen.std(axis=1, ddof=1)
    outside = (off > one_pair(6, 0.05)).mean()
    assert outside == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / 40_000))


def test_words_that_decide() -> None:
    assert [v.value for v in Verdict if not v.decided] == ["undecided", "not tested"]
    assert [v.value for v in Verdict if v.decided and not v.signed] == [
        "no difference that matters"
    ]
