"""Many claims: which of them hold together, and how many say what."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eleatt_bench.tables.family import family, holm
from eleatt_bench.tables.judge import Design, Judgement, judge
from eleatt_bench.tables.looks import overall_level
from eleatt_bench.tables.verdicts import (
    Verdict,
    first_decided,
    levels_of,
    moments,
    p_values,
    words,
)

LOOKS = (5, 10, 20)
PLAN = Design(tuple(range(20)), LOOKS)


def claim(mean: float, std: float = 1.0, count: int = 5) -> Judgement:
    values = np.sin(np.arange(count))
    values = mean + std * (values - values.mean()) / max(values.std(ddof=1), 1e-9)
    better = dict(enumerate(50 + values))
    return judge(better, dict.fromkeys(better, 50.0), PLAN)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.01, 0.2))
def test_holm_rejects_step_by_step(p: list[float], level: float) -> None:
    """The procedure as it is written: the least p at level / M, the next at level / (M − 1), …"""
    adjusted = np.array(holm(p))
    if np.isclose(adjusted, level, rtol=1e-9, atol=0).any():
        return
    rejected = np.zeros(len(p), bool)
    for rank, place in enumerate(np.argsort(p, kind="stable")):
        if p[place] > level / (len(p) - rank):
            break
        rejected[place] = True
    assert (adjusted <= level).tolist() == rejected.tolist()


def test_claims_of_the_same_runs_count_once() -> None:
    good, bad, none = claim(5), claim(-5), claim(0, 9)
    listed = [("a", good), ("b", bad), ("a", good), ("c", none), ("a", good)]
    found = family(listed)
    assert found.claims == 3
    assert found.counts == {Verdict.BETTER: 1, Verdict.WORSE: 1, Verdict.UNDECIDED: 1}
    assert good.p is not None
    assert found.adjusted["a"] == pytest.approx(3 * good.p)


def test_the_counts_are_in_the_order_of_the_verdicts() -> None:
    listed = [claim(0, 9), claim(1, 0.3, 2), claim(0, 0.1), claim(5)]
    missing = judge({}, {}, PLAN)
    found = family(enumerate([missing, *listed]))
    assert list(found.counts) == [v for v in Verdict if v in found.counts]
    assert found.counts[Verdict.NOT_TESTED] == 1
    assert sum(found.counts.values()) == found.claims == 5


def test_an_untested_claim_takes_its_place_in_the_family() -> None:
    strong = claim(5)
    alone, among = family([("a", strong)]), family([("a", strong), ("b", judge({}, {}, PLAN))])
    assert among.adjusted == {"a": pytest.approx(2 * alone.adjusted["a"]), "b": 1}
    assert alone.holding == {"a"}
    assert family([]).counts == {}


def test_a_mark_is_false_in_5_percent_of_families_and_would_not_be_of_the_p_of_the_stop() -> None:
    """Eight claims against one baseline, where nothing is there."""
    draws = 4000
    random = np.random.default_rng(1)
    rows = random.standard_normal((draws, 8, 20)) - random.standard_normal((draws, 1, 20))
    means, stds = moments(rows, LOOKS)
    p = p_values(means, stds, LOOKS)
    none = np.array(np.nan)
    _, at = first_decided(words(means, stds, LOOKS, levels_of(LOOKS), none, np.array(1.0)))
    seen = np.where(np.arange(3) <= at[..., None], p, 1).min(axis=-1)
    marked = _any_is_marked(overall_level(LOOKS, seen)).mean()
    error = np.sqrt(0.05 * 0.95 / draws)
    assert marked <= 0.05 + 3 * error
    stopped = np.take_along_axis(p, at[..., None], axis=-1)[..., 0]
    assert _any_is_marked(stopped).mean() > 0.05 + 6 * error


def _any_is_marked(p: np.ndarray) -> np.ndarray:
    return (np.apply_along_axis(holm, -1, p) <= 0.05).any(axis=-1)
