"""Charts: Plotly knows every word of them, and they hold the numbers they are about."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest

from eleatt_bench.report.site.charts import confusion, curves

LOGGED = {
    "train/loss": {1: 2.0, 2: 1.0, 3: 0.123456},
    "val/loss": {1: 2.5, 3: nan},
    "train/accuracy": {1: 0.5, 2: 0.75, 3: 1.0},
    "lr": {1: 1e-3, 2: 1e-4, 3: 1e-5},
    "gate/mean_layer0": {1: 0.5, 2: 0.4, 3: 0.3},
    "gate/mean_layer1_reverse": {1: 0.5, 2: inf, 3: 0.7},
    "time/seconds_per_step": {1: 1.0},
}


def test_curves_are_those_that_were_logged(check) -> None:
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
def test_a_confusion_matrix_shows_shares_of_rows_and_counts_where_they_fit(
    classes: int, check
) -> None:
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
