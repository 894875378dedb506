"""Rows and columns of text: what stands where, wide or long."""

from __future__ import annotations

from dataclasses import replace

from eleatt_bench.report.grid import CLAIM_HEADER, lay_out, lay_out_claims
from eleatt_bench.tables.table import Column, Row, Section, SeedResult, Table, TableCell


def test_every_line_has_as_many_texts_as_the_header(make_table, folded: Table) -> None:
    for table in (make_table(), folded):
        for layout in (lay_out(table), lay_out(table, 10), lay_out_claims(table)):
            lines = [line for group in layout.groups for line in group.lines]
            assert lines
            assert {len(line) for line in lines} == {len(layout.header)}
            assert layout.width >= max(len("".join(line)) for line in lines)


def test_a_wide_table_has_a_line_for_each_row(make_table) -> None:
    layout = lay_out(make_table())
    assert [(g.title, g.cited, [line[0] for line in g.lines]) for g in layout.groups] == [
        ("", True, ["HOJ3D"]),
        ("", False, ["Baseline-GRU", "EleAtt-GRU"]),
    ]
    assert layout.groups[1].lines[0] == (
        "Baseline-GRU", "62.0 ± 2.0 (n=3)", "84.3 (−22.3)", "55.0 ± – (1/3 seeds)", "1,234", "2.35",
    )  # fmt: skip


def test_what_does_not_fit_has_a_line_for_each_row_and_column(make_table) -> None:
    wide = lay_out(make_table())
    assert lay_out(make_table(), wide.width) == wide
    layout = lay_out(make_table(), wide.width - 1)
    assert layout.header == ("", "accuracy", "paper (difference)", "parameters", "s/epoch")
    assert [(g.title, g.cited) for g in layout.groups] == [
        ("cross_view", True), ("cross_view", False), ("cross_view_clean", False),
    ], "nobody else has cross_view_clean"  # fmt: skip
    assert layout.groups[1].lines[0] == (
        "Baseline-GRU", "62.0 ± 2.0 (n=3)", "84.3 (−22.3)", "1,234", "2.35",
    )  # fmt: skip


def test_only_columns_that_the_paper_has_show_it(make_table) -> None:
    assert lay_out(make_table()).header == (
        "", "cross_view", "paper (difference)", "cross_view_clean", "parameters", "s/epoch",
    )  # fmt: skip
    cell = TableCell((SeedResult(0, (60.0,)),), None)
    bare = make_table(sections=(Section("", (Row("A", (cell, cell)),)),), cited=())
    for width in (None, 10):
        assert "paper" not in " ".join(lay_out(bare, width).header)


def test_parameters_and_times_are_said_once_where_they_are_the_same(make_table) -> None:
    baseline, gated = lay_out(make_table()).groups[1].lines
    assert baseline[-2:] == ("1,234", "2.35")
    assert gated[-2:] == ("1,500 / 99", "–")


def test_folds_have_their_spread_in_a_column_of_its_own(folded: Table) -> None:
    layout = lay_out(folded)
    assert layout.header[1:4] == ("cross_subject", "± folds", "paper (difference)")
    assert layout.groups[0].lines[0][1:4] == (
        "62.0 ± – (1/2 seeds, 3/4 runs)", "2.8", "82.1 (−20.1)",
    )  # fmt: skip
    assert lay_out(folded, 10).groups[0].lines[0][1:4] == layout.groups[0].lines[0][1:4]


def test_sections_stand_below_their_names(folded: Table) -> None:
    assert [g.title for g in lay_out(folded).groups] == ["From scratch", "Pre-trained on NTU"]
    assert [g.title for g in lay_out(folded, 10).groups] == [
        "cross_subject: From scratch",
        "cross_subject: Pre-trained on NTU",
    ]
    claims = lay_out_claims(folded)
    assert [(g.title, len(g.lines)) for g in claims.groups] == [("From scratch", 1)]


def test_claims_are_those_that_were_tested(make_table) -> None:
    layout = lay_out_claims(make_table())
    assert layout.header == (*CLAIM_HEADER[:3], "over subjects too", *CLAIM_HEADER[4:])
    assert [line[1] for group in layout.groups for line in group.lines] == ["cross_view"]


def test_claims_that_the_paper_has_no_number_for_have_no_column_for_it(make_table) -> None:
    claims = tuple(
        replace(claim, judgement=replace(claim.judgement, paper=None))
        for claim in make_table().claims
    )
    layout = lay_out_claims(make_table(claims=claims))
    assert layout.header == (*CLAIM_HEADER[:3], "over subjects too", "verdict")
    assert layout.groups[0].lines[0][4].startswith("undecided at 3 seeds")


def test_a_column_with_folds_beside_one_without(folded: Table) -> None:
    row = folded.sections[0].rows[0]
    table = folded.__class__(**{
        **vars(folded),
        "columns": (*folded.columns, Column("other")),
        "sections": (Section("", (Row("A", (*row.cells, TableCell((), None))),)),),
    })  # fmt: skip
    assert lay_out(table).groups[0].lines[0][4] == "–"
    assert [group.title for group in lay_out(table, 10).groups] == ["cross_subject"]
