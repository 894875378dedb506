"""Charts: Plotly knows every word of them, and they hold the numbers they are about."""

from __future__ import annotations

import json
from math import inf, nan

import numpy as np
import plotly.graph_objects as go
import pytest

from eleatt_bench.report.site.charts import Chart, bars, confusion, curves, losses

LOGGED = {
    "train/loss": {1: 2.0, 2: 1.0, 3: 0.123456},
    "val/loss": {1: 2.5, 3: nan},
    "train/accuracy": {1: 0.5, 2: 0.75, 3: 1.0},
    "lr": {1: 1e-3, 2: 1e-4, 3: 1e-5},
    "gate/mean_layer0": {1: 0.5, 2: 0.4, 3: 0.3},
    "gate/mean_layer1_reverse": {1: 0.5, 2: inf, 3: 0.7},
    "time/seconds_per_step": {1: 1.0},
}


def check(chart: Chart) -> None:
    """Plotly refuses what it does not know; JSON must have words for everything."""
    json.dumps({"data": chart.data, "layout": chart.layout}, allow_nan=False)
    go.Figure({"data": chart.data, "layout": chart.layout})
    assert chart.title
    assert chart.says


def test_curves_are_those_that_were_logged() -> None:
    charts = {chart.title: chart for chart in curves(LOGGED, 2)}
    assert list(charts) == ["Loss", "Accuracy (%)", "Learning rate", "Mean of the gate, 0 to 1"]
    for chart in charts.values():
        check(chart)
        assert chart.layout["shapes"][0]["x0"] == 2, "the epoch of the weights is marked"
    train, val = charts["Loss"].data
    assert (train["x0"], train["dx"], train["y"]) == (1, 1, [2.0, 1.0, 0.1235])
    assert (val["x"], val["y"]) == ([1, 3], [2.5, None]), "what is not finite is a gap"
    assert charts["Accuracy (%)"].data[0]["y"] == [50, 75, 100]
    names = [trace["name"] for trace in charts["Mean of the gate, 0 to 1"].data]
    assert names == ["layer0", "layer1 reverse"]
    assert "shapes" not in curves(LOGGED, None)[0].layout
    assert curves({}, None) == []


@pytest.mark.parametrize("classes", [3, 21])
def test_a_confusion_matrix_shows_shares_of_rows_and_counts_where_they_fit(classes: int) -> None:
    counts = np.arange(classes**2).reshape(classes, classes)
    counts[1] = 0
    names = [f"class {k}" for k in range(classes)]
    chart = confusion(counts, names)
    check(chart)
    (trace,) = chart.data
    assert np.sum(trace["z"][0]) == pytest.approx(100, abs=classes / 2)
    assert trace["z"][1] == [0] * classes
    assert ("text" in trace) == (classes == 3)
    if classes == 3:
        assert trace["text"][2] == ["6", "7", "8"]


def test_bars_are_the_means_with_seeds_and_the_paper_beside_them(make_table) -> None:
    table = make_table()
    rows = table.sections[0].rows
    chart = bars(table, "From scratch", rows)
    check(chart)
    by_axis = {axis: [t for t in chart.data if t["xaxis"] == axis] for axis in ("x", "x2")}
    for place, (mean, seeds, paper) in enumerate(by_axis.values()):
        cells = [row.cells[place] for row in rows]
        assert mean["x"] == [cell.mean for cell in cells]
        assert mean["error_x"]["array"] == [cell.std for cell in cells]
        assert seeds["x"] == [value for cell in cells for value in cell.values]
        assert paper["x"] == [cell.paper for cell in cells if cell.paper is not None]
    assert [t["showlegend"] for t in by_axis["x"] + by_axis["x2"]] == [True] * 3 + [False] * 3


def test_losses_are_means_with_a_band_where_there_are_several_runs() -> None:
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
