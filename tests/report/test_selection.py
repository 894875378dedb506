"""Parts of tables: what is asked for stays, in the table's order, with the claims about it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.report.selection import Selection, select
from eleatt_bench.report.verdict_text import of_all
from eleatt_bench.tables.judge import Design, judge
from eleatt_bench.tables.table import Table


def names(table: Table) -> tuple[list[str], list[str], list[str]]:
    return ([c.name for c in table.columns], [r.name for r in table.rows],
            [f"{c.better} {c.column}" for c in table.claims])  # fmt: skip


def test_nothing_named_is_everything(make_table, folded: Table) -> None:
    assert select([make_table(), folded], Selection()) == [make_table(), folded]


def test_a_column_takes_its_cells_and_claims_along(make_table) -> None:
    (found,) = select([make_table()], Selection(columns=("cross_view_clean",)))
    assert names(found)[0] == ["cross_view_clean"]
    assert names(found)[2] == ["EleAtt-GRU cross_view_clean"]
    (before,) = make_table().sections
    assert [row.cells for row in found.sections[0].rows] == [row.cells[1:] for row in before.rows]


def test_a_claim_needs_both_of_its_rows(make_table) -> None:
    (found,) = select([make_table()], Selection(rows=("Baseline-GRU",)))
    assert names(found)[1:] == (["Baseline-GRU"], [])
    (found,) = select([make_table()], Selection(rows=("EleAtt-GRU", "Baseline-GRU")))
    assert names(found)[1] == ["Baseline-GRU", "EleAtt-GRU"], "in the table's order"
    assert len(found.claims) == 2


def test_cited_rows_are_named_or_left_out(make_table) -> None:
    (found,) = select([make_table()], Selection(cited=False))
    assert names(found)[1] == ["Baseline-GRU", "EleAtt-GRU"]
    (found,) = select([make_table()], Selection(rows=("HOJ3D",)))
    assert names(found)[1] == ["HOJ3D"]


def test_of_several_tables_those_are_left_that_have_it(make_table, folded: Table) -> None:
    (found,) = select([make_table(), folded], Selection(sections=("from scratch",)))
    assert [section.name for section in found.sections] == ["from scratch"]
    assert len(found.claims) == 1


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        (Selection(columns=("cross_wiew",)), "Unknown column 'cross_wiew'. Did you mean 'cross_v"),
        (Selection(rows=("GRU+",)), "Unknown row 'GRU\\+'.* Choices: .*Baseline-GRU"),
        (Selection(sections=("scratch",)), "Unknown section 'scratch'. Did you mean 'from scratch"),
        (Selection(rows=("HOJ3D",), columns=("cross_subject",)), "no table has all of these"),
    ],
)
def test_what_is_not_there_is_refused(make_table, folded: Table, chosen, says: str) -> None:
    with pytest.raises(UserError, match=says):
        select([make_table(), folded], chosen)


def test_what_holds_for_all_claims_is_not_said_of_a_part(make_table, folded: Table) -> None:
    design = Design(tuple(range(12)), (3, 6, 12))
    judgement = judge(dict(enumerate([9.0, 9.1, 9.2])), dict.fromkeys(range(12), 0.0), design)
    sure = replace(folded.claims[0], judgement=judgement, runs="sure")
    tables = [make_table(), replace(folded, claims=(sure,))]
    assert of_all(tables).endswith("; 1 holds for the whole family (Holm)")
    assert of_all(select(tables, Selection())) == of_all(tables)
    part = select(tables, Selection(columns=("cross_subject",)))
    assert of_all(part) == "1 claim: 1 better"
