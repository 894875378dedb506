"""Tables as text, read back by other programs where there is one."""

from __future__ import annotations

import csv
import io
import statistics
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eleatt_bench.report.render import FORMATS, cell_text, render
from eleatt_bench.tables.cells import Cell, Row, Table


def make_table(**changes: object) -> Table:
    values: dict[str, object] = {
        "name": "table4",
        "title": "N-UCLA & co, 100 %",
        "columns": ("cross_view", "cross_view_clean"),
        "rows": (
            Row("Baseline-GRU", (Cell((60.0, 62.0, 64.0), 3, 84.3), Cell((55.0,), 3, None)), 1234),
            Row("EleAtt-GRU", (Cell((), 3, 89.0), Cell((), 3, None)), None),
        ),
        "cited": (Row("HOJ3D", (Cell((), 0, 54.5), Cell((), 0, None)), None),),
        "paper_note": "with NTU pre-training",
        "notes": ("a_b is 50 % of #1",),
        "runs": 6,
        "finished": 3,
    }
    return Table(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (Cell((60.0, 62.0, 64.0), 3, None), "62.0 ± 2.0 (n=3)"),
        (Cell((60.0, 62.0), 3, None), "61.0 ± 1.4 (2/3 seeds)"),
        (Cell((60.0,), 3, None), "60.0 (1/3 seeds)"),
        (Cell((60.04,), 1, None), "60.0 (n=1)"),
        (Cell((), 3, None), "0/3 seeds"),
        (Cell((), 0, 54.5), "–"),
    ],
)
def test_a_cell_says_mean_spread_and_how_many_seeds(cell: Cell, text: str) -> None:
    assert cell_text(cell) == text


@given(st.lists(st.floats(0, 100), min_size=2, max_size=10))
def test_mean_and_spread_are_those_of_the_seeds(values: list[float]) -> None:
    cell = Cell(tuple(values), len(values), None)
    n = len(values)
    mean = sum(values) / n
    variance = sum((v - mean) ** 2 for v in values) / (n - 1)
    assert cell.mean == pytest.approx(mean)
    assert cell.std == pytest.approx(variance**0.5, abs=1e-9)


def test_markdown_has_every_row_and_the_same_number_of_cells_in_each() -> None:
    lines = [line for line in render(make_table(), "md").splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 3
    assert {line.count("|") for line in lines} == {6}
    assert "| Baseline-GRU | 62.0 ± 2.0 (n=3) | 84.3 | 55.0 (1/3 seeds) | 1,234 |" in lines


def test_every_format_says_what_the_papers_values_are_and_what_is_missing() -> None:
    for form in ("md", "term", "tex"):
        text = " ".join(render(make_table(), form).split())
        assert "with NTU pre-training" in text
        assert "3 of 6 runs are done" in text
        assert "eleatt-bench reproduce table4" in text


def test_only_columns_that_the_paper_has_show_it() -> None:
    header = render(make_table(), "md").splitlines()[2]
    assert header == "|  | cross_view | paper | cross_view_clean | parameters |"


def test_a_table_that_is_not_in_the_paper_has_no_column_for_it() -> None:
    table = make_table(
        rows=(Row("GRU", (Cell((90.0,), 1, None), Cell((91.0,), 1, None)), 10),), cited=()
    )
    assert "paper" not in render(table, "md")


def test_latex_escapes_its_special_characters() -> None:
    text = render(make_table(), "tex")
    body = text.split("\\begin{table}")[1]
    assert r"N-UCLA \& co, 100 \%" in body
    assert r"cross\_view" in body
    assert r"a\_b is 50 \% of \#1" in body
    assert r"62.0 $\pm$ 2.0" in body
    assert "±" not in text
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1


def test_csv_holds_the_numbers_themselves() -> None:
    rows = list(csv.DictReader(io.StringIO(render(make_table(), "csv"))))
    assert len(rows) == 6
    ours = next(r for r in rows if (r["row"], r["column"]) == ("Baseline-GRU", "cross_view"))
    values = [float(v) for v in ours["values"].split()]
    assert values == [60.0, 62.0, 64.0]
    assert float(ours["mean"]) == pytest.approx(statistics.mean(values))
    assert float(ours["std"]) == pytest.approx(statistics.stdev(values))
    assert (ours["finished"], ours["seeds"], ours["paper"]) == ("3", "3", "84.3")
    empty = next(r for r in rows if (r["row"], r["column"]) == ("EleAtt-GRU", "cross_view"))
    assert (empty["mean"], empty["std"], empty["finished"]) == ("", "", "0")


def test_svg_is_a_picture_of_the_table() -> None:
    root = ElementTree.fromstring(render(make_table(), "svg"))
    text = "".join(root.itertext()).replace("\xa0", " ")
    assert root.tag.endswith("svg")
    assert "Baseline-GRU" in text
    assert "62.0 ± 2.0" in text


def test_redirected_output_has_no_control_characters() -> None:
    assert "\x1b" not in render(make_table(), "term")


def test_every_format_ends_in_one_newline() -> None:
    for form in FORMATS:
        assert render(make_table(), form).endswith("\n")
