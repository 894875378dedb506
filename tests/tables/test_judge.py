"""One claim, from the accuracies of two rows to what may be said of it."""

from __future__ import annotations

import json
from collections.abc import Collection

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from eleatt_bench.common.errors import UserError
from eleatt_bench.tables.judge import Design, Judgement, judge
from eleatt_bench.tables.looks import nominal_level, overall_level
from eleatt_bench.tables.power import detectable, power, seeds_needed, spread_range
from eleatt_bench.tables.verdicts import WORDS, first_decided, levels_of, moments, words

LOOKS = (5, 10, 20)


def design(paper: float | None = 4.7, looks: tuple[int, ...] = LOOKS) -> Design:
    return Design(tuple(range(20)), looks, paper)


def said(
    differences: Collection[float],
    plan: Design | None = None,
    failed: Collection[int] = (),
    than: float = 70.0,
) -> Judgement:
    """Of rows whose seeds 0, 1, … differ by so much."""
    better = {seed: than + difference for seed, difference in enumerate(differences)}
    return judge(better, dict.fromkeys(better, than), plan or design(), failed)


def spread(mean: float, std: float, count: int) -> list[float]:
    """So many values with that mean and sample deviation."""
    values = np.sin(np.arange(count))
    values = (values - values.mean()) / values.std(ddof=1)
    return (mean + std * values).tolist()


def test_without_runs_it_is_not_tested() -> None:
    for found in (said([]), judge({0: 70.0}, {1: 70.0}, design())):
        assert found.verdict == "not tested"
        assert (found.count, found.mean, found.low, found.p, found.looks) == (
            0,
            None,
            None,
            None,
            (),
        )
        assert found.next_look == 5


def test_of_two_seeds_there_is_no_interval() -> None:
    two, three = said(spread(1, 0.1, 2)), said(spread(1, 0.1, 3))
    assert two.mean == pytest.approx(1)
    assert two.std == pytest.approx(0.1)
    assert (two.low, two.high) == (None, None)
    assert three.low is not None


def test_a_word_that_later_looks_would_not_say_is_marked() -> None:
    alike, apart = spread(0, 0.1, 5), spread(0, 3, 5)
    assert not said(alike, design(None)).otherwise_since
    found = said([*alike, *apart], design(None))
    assert (found.verdict, found.decided_at) == ("no difference that matters", 5)
    assert found.looks[-1].verdict == "undecided"
    assert found.otherwise_since
    assert not said([*alike, *alike], design(None)).otherwise_since
    assert not said(apart, design(None)).otherwise_since, "nothing is decided"


def test_before_its_first_look_it_is_undecided_however_clear() -> None:
    found = said(spread(10, 0.1, 4))
    assert (found.verdict, found.decided_at, found.next_look, found.p) == (
        "undecided", None, 5, None,
    )  # fmt: skip
    assert found.mean == pytest.approx(10)
    assert found.low is not None
    assert found.low > 9
    assert said([3.0]).std is None


def test_the_estimate_is_that_of_all_shared_seeds_at_the_level_of_a_look() -> None:
    values = spread(2, 3, 7)
    found = said(values)
    level = nominal_level(LOOKS)
    expected = stats.ttest_1samp(values, 0).confidence_interval(1 - level)
    assert (found.low, found.high) == pytest.approx(tuple(expected))
    assert found.confidence == pytest.approx(1 - level)
    assert (found.count, found.verdict, found.next_look) == (7, "undecided", 10)
    assert [look.count for look in found.looks] == [5]


def test_decided_early_it_stays() -> None:
    early = spread(4, 1, 5)
    found = said(early)
    assert (found.verdict, found.decided_at, found.stopped_early) == ("reproduced", 5, True)
    assert found.next_look is None
    turned = said([*early, *spread(-4, 1, 15)])
    assert (turned.verdict, turned.decided_at, turned.stopped_early) == ("reproduced", 5, False)
    assert [look.verdict for look in turned.looks] == ["reproduced", "undecided", "undecided"]
    assert turned.mean == pytest.approx(-2)
    assert turned.p == found.p  # later looks are no part of it


def test_at_its_last_look_it_has_not_stopped_early() -> None:
    found = said([*spread(0.5, 3, 10), *spread(5, 3, 10)])
    assert (found.verdict, found.decided_at, found.stopped_early) == ("reproduced", 20, False)
    undecided = said(spread(0.8, 3, 20))
    assert (undecided.verdict, undecided.next_look) == ("undecided", None)


def test_a_look_needs_all_of_its_seeds_in_both_rows() -> None:
    better = dict(enumerate(80 + v for v in spread(5, 1, 10)))
    than = dict.fromkeys(range(20), 80.0)
    del than[3]
    found = judge(better, than, design(), failed=[3, 17])
    assert (found.verdict, found.count, found.looks) == ("undecided", 9, ())
    assert (found.next_look, found.blocked_by) == (5, (3,))
    than[3] = 80.0
    than.pop(7)
    found = judge(better, than, design(), failed=[7])
    assert (found.verdict, found.decided_at, found.blocked_by) == ("reproduced", 5, ())


def test_rows_of_other_numbers_of_seeds_are_compared_on_what_they_share() -> None:
    long = dict(enumerate(80 + v for v in spread(1, 4, 20)))
    short = dict.fromkeys(range(10), 80.0)
    found = judge(long, short, design())
    assert (found.count, [look.count for look in found.looks]) == (10, [5, 10])
    assert found.looks[1].mean == pytest.approx(np.mean([long[s] - 80 for s in range(10)]))


def test_seeds_are_looked_at_in_the_order_of_the_plan() -> None:
    plan = Design((9, 3, 7, 1, 5, 2), (3, 6), None)
    better = {seed: 50.0 + seed for seed in plan.seeds}
    found = judge(better, dict.fromkeys(better, 50.0), plan)
    assert found.looks[0].mean == pytest.approx((9 + 3 + 7) / 3)


def test_seeds_outside_the_plan_make_it_exploratory_and_change_no_word() -> None:
    plan = Design(tuple(range(5)), (5,), None)
    values = spread(0, 3, 5)
    found = said([*values, *spread(9, 0.1, 30)], plan)
    assert (found.verdict, found.exploratory, found.count) == ("undecided", True, 35)
    assert not said(values, plan).exploratory
    assert said([*values[:3], 9], Design((0, 1, 2, 3, 4), (3,), None)).exploratory


def test_within_the_margin() -> None:
    assert said(spread(0.1, 0.02, 5)).within_margin
    assert said(spread(0.1, 0.02, 5)).verdict == "smaller than the paper's"
    assert not said(spread(0.9, 0.1, 5)).within_margin
    assert not said(spread(0, 0.1, 5)).within_margin  # says so already
    narrow = Design(tuple(range(5)), (5,), 4.7, margin=0.05)
    assert not said(spread(0.1, 0.02, 5), narrow).within_margin


def test_the_margin_is_given_or_follows_from_the_paper() -> None:
    assert (design().points, design(1.0).points, design(None).points) == (1, 0.5, 1)
    wide = Design(tuple(range(5)), (5,), 4.7, margin=3)
    assert said(spread(0, 2, 5), wide).verdict == "no difference that matters"
    assert said(spread(0, 2, 5), design(looks=(5,))).verdict == "undecided"


def test_what_more_seeds_would_tell() -> None:
    found = said(spread(1, 3, 5))
    level = nominal_level(LOOKS)
    low, high = spread_range(3, 5)
    assert found.detectable == pytest.approx([detectable(s, 5, level) for s in (low, high)])
    assert found.seeds_needed == tuple(seeds_needed(4.7, s, level) for s in (low, high))
    assert found.power == pytest.approx([power(4.7, s, 20, level) for s in (high, low)])
    without = said(spread(1, 3, 5), design(None))
    assert (without.seeds_needed, without.power) == (None, None)
    assert said([1, 1, 1, 1, 1]).detectable is None
    assert said([1, 2]).detectable is None


def test_the_repeated_p_is_the_level_at_which_it_would_be_decided() -> None:
    values = spread(1, 2, 5) + spread(2, 2, 5)
    found = said(values)
    ps = [stats.ttest_1samp(values[:n], 0).pvalue for n in (5, 10)]
    assert [look.p for look in found.looks] == pytest.approx(ps)
    assert found.p == pytest.approx(float(overall_level(LOOKS, np.array(min(ps)))))
    assert nominal_level(LOOKS, error=found.p) == pytest.approx(min(ps), rel=1e-3)


@given(st.lists(st.floats(-6, 6, width=16), min_size=3, max_size=20), st.floats(-5, 5))
@settings(deadline=None)
def test_a_sign_is_claimed_where_the_repeated_p_is_below_5_percent(
    values: list[float], paper: float
) -> None:
    found = said(values, design(paper))
    if found.p is not None and abs(found.p - 0.05) > 1e-3:
        if found.verdict.signed:
            assert found.p < 0.05
        else:
            assert found.p > 0.05


@pytest.mark.parametrize("paper", [None, 4.7, -0.4])
@pytest.mark.few(1)
def test_many_at_once_are_judged_as_one_by_one(paper: float | None) -> None:
    plan = design(paper)
    values = np.random.default_rng(2).normal(0.4, [[0.2], [0.8], [2.0]] * 50, (150, 20))
    means, stds = moments(values, LOOKS)
    absent = np.nan if paper is None else paper
    codes = words(means, stds, LOOKS, levels_of(LOOKS), np.array(absent), np.array(plan.points))
    found, at = first_decided(codes)
    one_by_one = [said(row, plan, than=0.0) for row in values]
    assert [WORDS[code] for code in found] == [one.verdict for one in one_by_one]
    decided = [one.decided_at or 20 for one in one_by_one]
    assert decided == [LOOKS[k] for k in at]
    assert len({one.verdict for one in one_by_one}) > 2


@pytest.mark.parametrize(
    "values", [[], [1.0], spread(1, 3, 7), spread(4, 1, 5), spread(0, 0.1, 20)], ids=len
)
def test_json_holds_all_of_it(values: list[float]) -> None:
    found = said(values, failed=[8])
    plain = json.loads(json.dumps(found.plain()))
    assert plain == found.plain()
    assert Judgement.of_plain(plain) == found


@pytest.mark.parametrize(
    ("looks", "margin", "says"),
    [
        ((), None, "looks"),
        ((5, 5), None, "each larger than the one before"),
        ((10, 5), None, "each larger than the one before"),
        ((0, 5), None, "each larger than the one before"),
        ((5, 30), None, "20 seeds"),
        ((5,), 0.0, "margin"),
        ((5,), -1.0, "margin"),
        ((5,), float("nan"), "margin"),
        ((5,), float("inf"), "margin"),
    ],
)
def test_a_plan_that_makes_no_sense(
    looks: tuple[int, ...], margin: float | None, says: str
) -> None:
    with pytest.raises(UserError, match=says):
        Design(tuple(range(20)), looks, None, margin)
