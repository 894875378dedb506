"""What figures of tables show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from eleatt_bench.report.canvas import save
from eleatt_bench.report.figures import accuracies, losses
from eleatt_bench.report.losses import LOSSES
from eleatt_bench.tables.table import Column, Row, Section, SeedResult, Table, TableCell


def panels(figure: Figure) -> dict[str, Axes]:
    return {axes.get_title(loc="left"): axes for axes in figure.axes if axes.axison}


def test_a_dot_is_the_mean_of_a_row_with_its_interval_its_seeds_and_the_paper(make_table) -> None:
    figure = accuracies(make_table())
    found = panels(figure)
    assert list(found) == ["cross_view", "cross_view_clean"]
    axes = found["cross_view"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Baseline-GRU"], "it is done"
    by_mark = {line.get_marker(): line.get_xdata().tolist() for line in axes.lines}
    low, high = stats.t.interval(0.95, 2, loc=62.0, scale=2.0 / 3**0.5)
    assert by_mark.pop("None") == pytest.approx([low, high])
    assert by_mark == {"|": [60.0, 62.0, 64.0], "D": [84.3], "o": [62.0]}
    left, right = axes.get_xlim()
    assert left < low
    assert 84.3 < right < 100, "the axis shows the differences"
    marks = [line.get_marker() for line in found["cross_view_clean"].lines]
    assert marks == ["|", "o"], "one seed has no interval, and the paper no value"


def test_the_paper_is_explained_only_where_it_has_values(make_table) -> None:
    def explained(table: Table) -> list[str]:
        (legend,) = accuracies(table).legends
        return [text.get_text() for text in legend.get_texts()]

    assert "the paper" in explained(make_table())
    cells = tuple(replace(cell, paper=None) for cell in make_table().sections[0].rows[0].cells)
    without = make_table(sections=(Section("", (Row("A", cells),)),))
    assert "the paper" not in explained(without)


def test_a_section_that_the_paper_does_not_have_has_no_value_of_it(make_table) -> None:
    (section,) = make_table().sections
    figure = accuracies(make_table(sections=(replace(section, in_paper=False),)))
    assert "D" not in {line.get_marker() for axes in figure.axes for line in axes.lines}
    (legend,) = figure.legends
    assert "the paper" not in [text.get_text() for text in legend.get_texts()]


def test_a_column_has_one_scale_in_all_sections(make_table) -> None:
    rows = make_table().sections[0].rows
    lower = TableCell((SeedResult(0, (10.0,)),), None)
    sections = (Section("a", rows), Section("b", (Row("c", (lower, lower)),)))
    found = panels(accuracies(make_table(sections=sections)))
    assert found["A, cross_view"].get_xlim() == found["B, cross_view"].get_xlim()


@pytest.mark.parametrize(("columns", "long"), [(1, 1), (1, 40), (4, 40)])
@pytest.mark.few(1)
def test_all_words_are_within_the_figure(make_table, columns: int, long: int, tmp_path) -> None:
    cell = make_table().sections[0].rows[0].cells[0]
    wide = make_table(
        title="T " * 3 * long,
        columns=tuple(Column(f"c{k}") for k in range(columns)),
        sections=(Section("", (Row("r" * long, (cell,) * columns),)),),
    )
    curve = {1: 3.0, 2: 2.0}
    rows = {f"row {k} " * (long // 8): {"train/loss": [curve], "val/loss": [curve]}
            for k in range(columns)}  # fmt: skip
    for figure in (accuracies(wide), losses(wide, {"": rows}, "runs, one per seed")):
        save(figure, tmp_path / "f.png")
        renderer = figure.canvas.get_renderer()
        labels = [label for axes in figure.axes for label in axes.get_yticklabels()]
        for text in (*figure.legends, *labels, *figure.texts):
            box = text.get_window_extent(renderer)
            assert box.x0 >= -1
            assert box.x1 <= figure.bbox.x1 + 1


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
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["GRU (n=1–2)"]
    assert val.lines[0].get_ydata().tolist() == [3.0, 2.0, 1.0]
    assert not val.collections, "one run has no spread"
    assert train.get_yscale() == "log"


def test_the_legend_of_losses_counts_the_runs_of_all_panels(make_table) -> None:
    curve = {1: 3.0, 2: 2.0}
    few, many = ({tag: [curve] * n for tag in LOSSES} for n in (5, 15))
    panels = {"one": {"GRU": few, "RNN": few}, "all": {"GRU": many, "RNN": few}}
    (legend,) = losses(make_table(), panels, "runs, one per seed and fold").legends
    assert [text.get_text() for text in legend.get_texts()] == ["GRU (n=5–15)", "RNN (n=5)"]
