"""What figures of tables show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eleatt_bench.report.figures import bars, losses


def test_a_bar_is_the_mean_with_its_spread_and_the_paper_beside_it(make_table) -> None:
    table = make_table()
    figure = bars(table)
    panels = [axes for axes in figure.axes if axes.get_xlim() == (0, 100)]
    assert len(panels) == len(table.sections) * len(table.columns)
    cells = [
        (axes, height, row.cells[place])
        for axes, (section, place) in zip(
            panels,
            ((s, place) for s in table.sections for place in range(len(table.columns))),
            strict=True,
        )
        for height, row in enumerate(section.rows)
    ]
    for axes, height, cell in cells:
        at = [bar for bar in axes.patches if bar.get_y() < height < bar.get_y() + bar.get_height()]
        assert [bar.get_width() for bar in at] == ([] if cell.mean is None else [cell.mean])
        diamonds = [line for line in axes.lines if line.get_marker() == "D"]
        papers = [float(line.get_xdata()[0]) for line in diamonds if line.get_ydata()[0] == height]
        assert papers == ([] if cell.paper is None else [cell.paper])
        texts = [text.get_text() for text in axes.texts if text.get_position()[1] == height]
        assert texts[0].startswith("no finished" if cell.mean is None else f"{cell.mean:.1f}")


def test_a_loss_is_the_mean_over_runs_up_to_the_shortest(make_table) -> None:
    first = {1: 3.0, 2: 2.0, 3: 1.0}
    second = {1: 1.0, 2: 4.0}
    rows = {"GRU": {"train/loss": [first, second], "val/loss": [first, {}]}}
    figure = losses(replace(make_table(), title="T"), {"": rows}, "runs, one per seed")
    train, val = figure.axes
    assert train.lines[0].get_xdata().tolist() == [1, 2]
    assert train.lines[0].get_ydata().tolist() == [2.0, 3.0]
    band = train.collections[0].get_paths()[0].vertices
    assert np.max(band[:, 1]) == pytest.approx(3 + 2**0.5)
    assert np.min(band[:, 1]) >= 1.0, "within what was seen: a logarithmic axis has no zero"
    assert train.lines[0].get_label() == "GRU (n=2)"
    assert val.lines[0].get_ydata().tolist() == [3.0, 2.0, 1.0]
    assert not val.collections, "one run has no spread"
    assert train.get_yscale() == "log"
