"""Charts of tables: Plotly knows every word of them, and they hold the numbers they are about."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eleatt_bench.report.site.table_charts import accuracies, forest, losses
from eleatt_bench.tables.table import Column, Row, Section
from eleatt_bench.tables.verdicts import Verdict


def test_dots_are_the_means_with_intervals_seeds_and_the_paper_beside_them(
    make_table, check
) -> None:
    table = make_table()
    (chart,) = accuracies(table, table.sections[0])
    check(chart)
    done = table.sections[0].rows[0]
    by_axis = {axis: [t for t in chart.data if t["xaxis"] == axis] for axis in ("x", "x2")}
    mean, seeds, paper = by_axis["x"]
    assert (mean["x"], mean["y"]) == ([62.0], ["Baseline-GRU"]), "rows that are done"
    high = done.cells[0].interval.high
    assert mean["error_x"]["array"] == pytest.approx([high - 62.0], abs=1e-3)
    assert seeds["x"] == [60.0, 62.0, 64.0]
    assert paper["x"] == [84.3]
    assert [trace["name"] for trace in by_axis["x2"]] == ["mean, 95 % interval", "a seed"]
    assert by_axis["x2"][0]["error_x"]["array"] == [0.0]
    assert [t["showlegend"] for t in chart.data] == [True] * 3 + [False] * 2


def test_a_section_that_the_paper_does_not_have_has_no_value_of_it(make_table, check) -> None:
    section = replace(make_table().sections[0], in_paper=False)
    (chart,) = accuracies(make_table(sections=(section,)), section)
    check(chart)
    assert "the paper" not in {trace["name"] for trace in chart.data}


def test_many_columns_are_several_charts(make_table, check) -> None:
    row = make_table().sections[0].rows[0]
    columns = tuple(Column(f"c{k}") for k in range(7))
    section = Section("", (Row("A", row.cells[:1] * 7),))
    charts = list(accuracies(make_table(columns=columns), section))
    assert [len(chart.data) for chart in charts] == [9, 9, 3]
    for chart in charts:
        check(chart)


def test_the_forest_has_every_tested_claim_with_its_margin_and_verdict(
    make_table, folded, check
) -> None:
    assert forest([make_table(claims=())], "T") is None
    chart = forest([make_table(), folded], "T")
    assert chart is not None
    check(chart)
    first, other = make_table().claims[0].judgement, folded.claims[0].judgement
    names = chart.layout["yaxis"]["tickvals"]
    assert names == [
        "table4: EleAtt-GRU > Baseline-GRU, cross_view",
        "table5: from scratch, A > B, cross_subject",
    ]
    band, verdict, paper = chart.data
    assert band["x"] == [-first.margin, first.margin, None, -other.margin, other.margin, None]
    assert (verdict["name"], verdict["x"]) == ("undecided", [2.0, -1.0])
    assert verdict["error_x"]["array"] == pytest.approx([first.high - 2.0, 0.0], abs=1e-3)
    assert paper["x"] == [4.7, -0.5]
    words = [(one["y"], one["text"]) for one in chart.layout["annotations"]]
    assert words == [(name, "undecided") for name in names]
    assert chart.notes == ()
    explored = replace(folded.claims[0], judgement=replace(other, exploratory=True))
    marked = forest([replace(folded, claims=(explored,))], "T")
    assert marked is not None
    assert [one["text"] for one in marked.layout["annotations"]] == ["undecided§"]
    assert marked.notes == ("§ exploratory",)


def test_names_are_no_markup(make_table, check) -> None:
    claim = replace(make_table().claims[0], better="<b>A & B</b>")
    chart = forest([make_table(claims=(claim,))], "T")
    assert chart is not None
    check(chart)
    (text,) = chart.layout["yaxis"]["ticktext"]
    assert text.startswith("&lt;b&gt;A &amp; B&lt;/b&gt; &gt; Baseline-GRU<br>")
    section = Section("", (Row("<i>", make_table().sections[0].rows[0].cells),))
    (chart,) = accuracies(make_table(), section)
    assert chart.layout["yaxis"]["ticktext"] == ["&lt;i&gt;"]


def test_each_verdict_is_a_trace_of_its_own(make_table) -> None:
    claim = make_table().claims[0]
    sure = replace(
        claim, judgement=replace(claim.judgement, verdict=Verdict.CONTRADICTED), column="c"
    )
    chart = forest([make_table(claims=(claim, sure))], "T")
    assert chart is not None
    colours = {trace["name"]: trace["meta"]["colour"] for trace in chart.data[1:3]}
    assert colours == {"contradicted": 1, "undecided": 4}


def test_losses_are_means_with_a_band_where_there_are_several_runs(check) -> None:
    first, second = {1: 3.0, 2: 2.0, 3: 1.0}, {1: 1.0, 2: 4.0}
    rows = {"GRU": {"train/loss": [first, second], "val/loss": [first, {}]}}
    train, val = losses({"from scratch": rows})
    check(train)
    check(val)
    low, high, mean = train.data
    assert mean["y"] == [2.0, 3.0]
    assert mean["name"] == "GRU (n=2)"
    assert high["y"] == pytest.approx([2 + 2**0.5, 3 + 2**0.5], abs=1e-3)
    assert low["y"] == pytest.approx([1.0, 2.0], abs=1e-3)
    assert [trace["name"] for trace in val.data] == ["GRU (n=1)"], "one run has no spread"
