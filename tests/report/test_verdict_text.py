"""What is said of judged claims, word for word."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eleatt_bench.report.verdict_text import counting_line, judgement_text, of_all, standing
from eleatt_bench.tables.family import family
from eleatt_bench.tables.judge import Design, Judgement, judge
from eleatt_bench.tables.table import Claim


def claim(
    mean: float, std: float, count: int, paper: float | None = 4.7, looks=(5, 10, 20), failed=()
) -> Judgement:
    values = np.sin(np.arange(count))
    if count > 1:
        values = std * (values - values.mean()) / values.std(ddof=1)
    better = dict(enumerate(50 + mean + values))
    plan = Design(tuple(range(20)), looks, paper)
    return judge(better, dict.fromkeys(better, 50.0), plan, failed)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (claim(0, 0, 0), "not tested"),
        (claim(4, 1, 5), "reproduced at 5 seeds (stopped early)"),
        (claim(2.4, 4, 20), "reproduced at 20 seeds"),
        (
            claim(0.1, 0.02, 5),
            "smaller than the paper's at 5 seeds (within the margin, stopped early)",
        ),
        (claim(-4, 1, 5, looks=(5,)), "contradicted at 5 seeds"),
        (claim(4, 1, 6, None, looks=(5,)), "better at 5 seeds (exploratory)"),
        (claim(0, 0.3, 5, looks=(5,)), "no difference that matters at 5 seeds"),
        (claim(1, 2, 1), "undecided at 1 seed; the next look is at 5"),
        (
            claim(1, 3, 7, failed=[8]),
            (
                "undecided at 5 seeds; the next look is at 10; seed 8 failed; "
                "7 seeds find 3.0–10.4 points in 80 %; the paper's +4.7 needs 5–23 seeds; "
                "the last look finds it in 73–100 %"
            ),
        ),
        (
            claim(1, 3, 5, None, looks=(5,)),
            "undecided at 5 seeds; 5 seeds find 3.0–14.5 points in 80 %",
        ),
        (
            claim(0.3, 3, 5, 0.2, looks=(5,), failed=[1, 2]),
            (
                "undecided at 5 seeds; 5 seeds find 3.0–14.5 points in 80 %; the paper's +0.2 "
                "needs 636 to more than 1000 seeds"
            ),
        ),
        (
            claim(1, 3, 2, None, failed=[2, 4]),
            "undecided at 2 seeds; the next look is at 5; seeds 2, 4 failed",
        ),
    ],
)
def test_a_judgement(found: Judgement, text: str) -> None:
    assert judgement_text(found) == text


def test_claims_are_counted_in_one_line() -> None:
    sure, unsure, none = claim(4, 0.2, 5), claim(0, 9, 5), claim(0, 0, 0)
    assert counting_line(family([])) == "no claims"
    assert counting_line(family([("a", none)])) == "1 claim: 1 not tested"
    listed = [("a", sure), ("b", unsure), ("a", sure), ("c", unsure), ("d", none)]
    assert counting_line(family(listed)) == (
        "4 claims: 1 reproduced, 2 undecided, 1 not tested; 1 holds for the whole family (Holm)"
    )


def made(name: str, found: Judgement, section: str = "") -> Claim:
    return Claim(section, name, "B", "c", found, runs=name)


def test_claims_that_are_not_decided_are_named_with_the_reason() -> None:
    undecided = claim(0.5, 4, 20)
    claims = [made("decided", claim(4, 1, 5)), made("last", undecided, "from scratch"),
              made("blocked", claim(0.5, 4, 5, failed=(7, 6))), made("open", claim(0, 0, 0)),
              made("early", claim(0.5, 4, 5)),
              *(made(f"last{n}", undecided) for n in range(5))]  # fmt: skip
    assert list(standing(claims)) == [
        (
            "6 undecided at the last look: last > B (from scratch, c), "
            "last0 > B (c), last1 > B (c), last2 > B (c) and 2 more"
        ),
        "1 blocked by failed runs: blocked > B (c, seed 6, 7)",
        "1 not looked at yet: open > B (c)",
        "1 waiting for more seeds: early > B (c)",
    ]
    assert list(standing(claims[:1])) == []


def test_claims_of_the_same_runs_in_several_tables_count_once(make_table) -> None:
    first, second = made("A", claim(4, 1, 5)), made("C", claim(0.5, 4, 5))
    tables = [make_table(claims=(first, second)), make_table(claims=(first,))]
    assert of_all(tables).startswith("2 claims: 1 reproduced, 1 undecided")
    assert of_all([make_table(claims=())]) == "no claims"


def test_exploratory_claims_are_counted_apart_and_hold_for_nothing() -> None:
    sure = claim(4, 0.2, 5)
    explored = replace(sure, exploratory=True)
    assert counting_line(family([("a", sure), ("b", explored), ("c", explored)])) == (
        "3 claims: 3 reproduced (2 exploratory); 1 holds for the whole family (Holm)"
    )
    assert counting_line(family([("a", explored)])) == "1 claim: 1 reproduced (1 exploratory)"
