"""What stands in the cells of a table and below it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eleatt_bench.report.numbers import signed
from eleatt_bench.report.wording import (
    cell_text,
    claim_line,
    claim_notes,
    family_mark,
    levels_text,
    margins_text,
    notes,
    open_text,
    paper_text,
    seconds_text,
    sign_notes,
    verdict_signs,
)
from eleatt_bench.tables.judge import Design, Judgement, judge
from eleatt_bench.tables.table import SeedResult, Table, TableCell


def judged(*differences: float) -> Judgement:
    """A claim of one look at three seeds, of six."""
    design = Design(tuple(range(6)), (3, 6), None)
    return judge(dict(enumerate(differences)), dict.fromkeys(range(6), 0.0), design)


def cell(*values: float | None, paper: float | None = None) -> TableCell:
    return TableCell(tuple(SeedResult(i, (value,)) for i, value in enumerate(values)), paper)


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (cell(60.0, 62.0, 64.0), "62.0 ± 2.0 (n=3)"),
        (cell(60.0, 62.0, None), "61.0 ± 1.4 (2/3 seeds)"),
        (cell(60.0, None, None), "60.0 ± – (1/3 seeds)"),
        (cell(60.04), "60.0 ± – (n=1)"),
        (cell(None, None, None), "0/3 seeds"),
        (cell(), "–"),
        (TableCell((SeedResult(0, (50.0, 60.0)), SeedResult(1, (50.0, None))), None),
         "55.0 ± – (1/2 seeds, 3/4 runs)"),
        (TableCell((SeedResult(0, (50.0, 60.0)), SeedResult(1, (50.0, 70.0))), None),
         "57.5 ± 3.5 (n=2)"),
    ],
)  # fmt: skip
def test_a_cell_says_mean_spread_and_how_many_seeds(shown: TableCell, text: str) -> None:
    assert cell_text(shown) == text


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (cell(60.0, paper=84.3), "84.3 (−24.3)"),
        (cell(85.0, paper=84.3), "84.3 (+0.7)"),
        (cell(None, paper=84.3), "84.3"),
        (cell(85.0), "–"),
    ],
)
def test_the_papers_value_with_the_difference(shown: TableCell, text: str) -> None:
    assert paper_text(shown) == text


@given(st.floats(-100, 100))
def test_a_signed_number_reads_as_itself(value: float) -> None:
    text = signed(value)
    assert float(text.replace("−", "-")) == pytest.approx(value, abs=0.05 + 1e-9)
    assert text == "0.0" or text[0] == ("+" if value > 0 else "−")


def test_times_name_their_device(folded: Table) -> None:
    (cell,) = folded.sections[0].rows[0].cells
    assert seconds_text(cell, folded) == "0.5 [1], 123 [2]"
    assert any("on [1] GPU, triton; [2] a CPU, scan." in note for note in notes(folded))


def test_sections_say_what_the_papers_values_are(folded: Table) -> None:
    assert "From scratch: the paper's are with pre-training." in notes(folded)


def test_a_claim_in_words(make_table, folded: Table) -> None:
    first, second = (claim_line(claim) for claim in make_table().claims)
    assert first[:5] == [
        "EleAtt-GRU > Baseline-GRU", "cross_view", "+2.0 [−2.1, +6.1]", "+2.0 [−3.5, +7.5]", "+4.7"
    ]  # fmt: skip
    assert first[5].startswith("undecided at 3 seeds; the next look is at 6")
    assert second[2:] == ["–", "–", "–", "not tested"]
    (claim,) = folded.claims
    assert claim_line(claim)[:5] == ["A > B", "cross_subject", "−1.0", "–", "−0.5"]


def test_what_holds_for_all_claims_together_has_a_mark(make_table) -> None:
    claim = make_table().claims[0]
    marks = [family_mark(replace(claim, holm=p)) for p in (None, 0.051, 0.05)]
    assert marks == ["", "", "*"]
    sure = make_table(claims=(replace(claim, holm=0.01),))
    assert claim_line(sure.claims[0])[5].endswith("*")
    explored = replace(claim, holm=0.01, judgement=replace(claim.judgement, exploratory=True))
    assert family_mark(explored) == "", "nothing keeps its error"
    assert sign_notes(sure.claims) == ["* holds for all claims of the table together (Holm, 5 %)"]
    assert sign_notes(make_table().claims) == []


def test_signs_stand_for_what_else_is_to_be_said_of_a_verdict(make_table) -> None:
    claim = make_table().claims[0]
    early = replace(claim, judgement=judged(2.0, 2.1, 1.9), holm=0.01)
    assert verdict_signs(early) == "*‡"
    assert sign_notes([claim, early])[1:] == ["‡ stopped early"]
    assert verdict_signs(replace(claim, judgement=judged(0.2, 0.21, 0.19))) == "†‡"
    assert verdict_signs(claim) == ""


def test_levels_and_margins_stand_beside_the_intervals(make_table) -> None:
    claim = make_table().claims[0]
    assert levels_text([claim]).startswith("98.")
    other = replace(claim, column="clean", judgement=replace(claim.judgement, confidence=0.95))
    said = levels_text([claim, other])
    assert said.endswith("(cross_view) or 95 % (clean), over the looks of a claim 95 %")
    assert levels_text([other]) == "95 %"
    narrow = replace(claim, judgement=replace(claim.judgement, margin=0.35))
    assert margins_text([claim]) == "Differences within ±1 point do not matter"
    assert margins_text([narrow]) == "Differences within ±0.35 points do not matter"
    assert "within ±0.35 to ±1 points" in margins_text([claim, narrow])


def test_only_what_is_undecided_waits_for_something(make_table) -> None:
    claim, untested = make_table().claims
    assert open_text(claim).startswith("EleAtt-GRU > Baseline-GRU, cross_view: the next look is at")
    assert open_text(untested) == ""
    assert open_text(replace(claim, judgement=judged(2.0, 2.1, 1.9))) == ""


def test_what_is_not_tested_is_counted_in_one_line(make_table) -> None:
    first, untested = make_table().claims
    assert claim_notes(make_table())[-1] == "1 of 2 claims of table4 tested."
    assert claim_notes(make_table(claims=(untested,))) == ["None of 1 claims of table4 tested."]
    assert not any("tested" in note for note in claim_notes(make_table(claims=(first,))))


@pytest.mark.parametrize(("digits", "text"), [(0, "62 ± 2 (n=3)"), (3, "62.000 ± 2.000 (n=3)")])
def test_as_many_digits_as_are_asked_for(digits: int, text: str) -> None:
    assert cell_text(cell(60.0, 62.0, 64.0), digits) == text


def test_what_the_claims_columns_mean_is_said_where_they_are(make_table, folded: Table) -> None:
    assert any("interval at 98.11 %" in note for note in notes(make_table()))
    assert any("Over subjects too" in note for note in notes(make_table()))
    assert not any("Over samples too" in note for note in notes(folded)), "it has no such column"
    assert not any("Claims" in note for note in notes(make_table(claims=())))


def test_what_is_missing_is_said(make_table) -> None:
    assert any("eleatt-bench reproduce table4" in note for note in notes(make_table()))
    assert not any("reproduce" in note for note in notes(make_table(finished=6)))
