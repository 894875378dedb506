"""The claims of a table, by hand and by scipy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from eleatt_bench.tables.build import table
from eleatt_bench.tables.plan import Plan, plan
from eleatt_bench.tables.table import Claim
from eleatt_bench.tables.verdicts import levels_of


def first(made: Plan) -> Claim:
    """EleAtt-GRU better than GRU."""
    return table(made).claims[0]


def runs(made: Plan, row: str) -> list:
    return made.by_cell["", row, "accuracy"]


def test_without_runs_nothing_is_known(digits_plan: Plan) -> None:
    found = table(digits_plan).claims
    assert [(c.better, c.than) for c in found] == [
        ("EleAtt-GRU", "GRU"), ("EleAtt-LSTM", "LSTM"), ("EleAtt-RNN", "RNN"),
    ]  # fmt: skip
    assert all(c.judgement.verdict == "not tested" and c.judgement.paper is None for c in found)
    assert all((c.tests, c.crossed, c.holm, c.collapsed) == ((), None, None, ()) for c in found)


def test_seeds_are_paired_and_samples_tested(digits_plan: Plan, finish) -> None:
    random = np.random.default_rng(0)
    ours, theirs = [], []
    first_look = (runs(digits_plan, row)[:3] for row in ("EleAtt-GRU", "GRU"))
    for better, than in zip(*first_look, strict=True):
        ours.append(random.random(200) < 0.9)
        theirs.append(random.random(200) < 0.6)
        finish(digits_plan, better, right=ours[-1].astype(int))
        finish(digits_plan, than, right=theirs[-1].astype(int))
    claim = first(digits_plan)
    accuracies = [[100 * np.mean(right) for right in rights] for rights in (ours, theirs)]
    expected = stats.ttest_rel(*accuracies)
    found = claim.judgement
    assert found.mean == pytest.approx(np.mean(accuracies[0]) - np.mean(accuracies[1]))
    assert (found.low, found.high) == pytest.approx(
        tuple(expected.confidence_interval(found.confidence))
    )
    assert (found.verdict, found.decided_at) == ("better", 3)
    assert found.confidence == pytest.approx(1 - levels_of((3, 6, 12)).sign)
    assert claim.holm == pytest.approx(3 * found.p), "two more claims have had no look"
    assert [test.seed for test in claim.tests] == [0, 1, 2]
    for test, a, b in zip(claim.tests, ours, theirs, strict=True):
        assert (test.better_only, test.than_only) == ((a & ~b).sum(), (b & ~a).sum())
        p = stats.binomtest(test.better_only, test.better_only + test.than_only).pvalue
        assert test.p == pytest.approx(p)
        assert test.interval is None


def test_a_seed_that_only_one_row_has_is_left_out(digits_plan: Plan, finish) -> None:
    for run in runs(digits_plan, "EleAtt-GRU"):
        finish(digits_plan, run, right=[1, 1, 0])
    finish(digits_plan, runs(digits_plan, "GRU")[1], right=[1, 0, 0])
    claim = first(digits_plan)
    assert claim.judgement.count == 1
    assert [(test.seed, test.better_only, test.p) for test in claim.tests] == [(1, 1, 1.0)]


def test_runs_without_predictions_or_of_other_samples_are_not_tested(
    digits_plan: Plan, finish
) -> None:
    (better, *_), (than, *_) = (runs(digits_plan, row) for row in ("EleAtt-GRU", "GRU"))
    finish(digits_plan, better, right=[1, 1, 0])
    finish(digits_plan, than, accuracy=0.5)
    assert first(digits_plan).tests == ()
    assert first(digits_plan).judgement.count == 1
    finish(digits_plan, than, right=[1, 1, 0, 0])
    assert first(digits_plan).tests == ()


def test_the_clean_column_is_tested_on_clean_samples(table4_plan: Plan, finish) -> None:
    section = "pre-trained on NTU RGB+D"
    for row, right in (("EleAtt-GRU", [1, 1, 1, 0]), ("Baseline-GRU", [0, 0, 0, 0])):
        run = table4_plan.by_cell[section, row, "cross_view"][0]
        finish(table4_plan, run, right=right, clean=[1, 0, 0, 1], accuracy_clean=right[0] / 2)
    found = [c for c in table(table4_plan).claims if c.section == section]
    by_column = {c.column: c for c in found if c.better == "EleAtt-GRU"}
    assert by_column["cross_view"].tests[0].better_only == 3
    assert by_column["cross_view_clean"].tests[0].better_only == 1
    assert by_column["cross_view"].judgement.paper == pytest.approx(89.0 - 84.3)
    assert by_column["cross_view_clean"].judgement.paper is None
    assert by_column["cross_view"].runs != by_column["cross_view_clean"].runs


def test_a_section_that_the_paper_does_not_have_is_not_held_against_it(
    table4_plan: Plan, finish
) -> None:
    for row, value in (("EleAtt-GRU", 0.7), ("Baseline-GRU", 0.6)):
        for run in table4_plan.by_cell["from scratch", row, "cross_view"][:5]:
            finish(table4_plan, run, accuracy=value + run.seed / 1000 * (value < 0.7))
    found = table(table4_plan)
    assert [section.in_paper for section in found.sections] == [False, True]
    scratch, *_ = found.claims
    assert (scratch.section, scratch.judgement.paper) == ("from scratch", None)
    assert (scratch.judgement.verdict, scratch.judgement.stopped_early) == ("better", True)


@pytest.mark.slow
def test_with_folds_there_is_an_interval_instead(tmp_path: Path, finish, composer) -> None:
    columns = 'table.columns=[{name: accuracy, overrides: ["experiment=sysu"], folds: [0,1]}]'
    made = plan("digits", [columns, "table.seeds=[0]", f"runs_dir={tmp_path}"], composer)
    for run in runs(made, "EleAtt-GRU"):
        finish(made, run, right=[1, 1, 1, 1])
    for run in runs(made, "GRU"):
        finish(made, run, right=[run.fold, 0, 1, 0])
    (test,) = first(made).tests
    assert (test.better_only, test.than_only, test.p) == (5, 0, None)
    assert test.interval is not None
    assert 0 <= test.interval.low < 100 * 5 / 8 < test.interval.high <= 100


def test_a_claim_is_of_its_columns_alone(digits_plan: Plan) -> None:
    claims = [{"better": "GRU", "than": "RNN", "columns": [], "margin": None}]
    named = [{**claims[0], "columns": ["accuracy"]}]
    for listed in (claims, named):
        made = replace(digits_plan, spec={**digits_plan.spec, "claims": listed})
        assert [c.column for c in table(made).claims] == ["accuracy"]
