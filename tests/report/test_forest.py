"""The forest plot: what it shows, in characters and in print."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb

from eleatt_bench.common.text import ascii_only
from eleatt_bench.report.canvas import save
from eleatt_bench.report.forest import (
    MARKS,
    ForestLine,
    Heading,
    Mark,
    forest,
    lines_of,
    reach,
    whole_forest,
)
from eleatt_bench.report.forest_figure import forest_figure
from eleatt_bench.report.forest_text import forest_text, scale, strip
from eleatt_bench.tables.judge import Design, Judgement, judge
from eleatt_bench.tables.statistics import Bounds
from eleatt_bench.tables.table import Table
from eleatt_bench.tables.verdicts import Verdict

points = st.floats(-60, 60)
differences = st.lists(points, min_size=1, max_size=6)


def judged(values: list[float], paper: float | None = None) -> Judgement:
    design = Design(tuple(range(6)), (3, 6), paper)
    return judge(dict(enumerate(values)), dict.fromkeys(range(6), 0.0), design)


def words(shown: list[Heading | ForestLine]) -> list[str]:
    return [one.text if isinstance(one, Heading) else f"- {one.label}" for one in shown]


def test_claims_stand_below_what_they_are_about(make_table, folded: Table) -> None:
    assert words(forest(make_table())) == ["EleAtt-GRU > Baseline-GRU", "- cross_view"]
    assert words(forest(folded)) == ["From scratch", "- A > B"], "of one column: by their claims"
    assert words(whole_forest([make_table(), folded])) == [
        "N-UCLA & co, 100 %", "EleAtt-GRU > Baseline-GRU", "- cross_view",
        "N-UCLA & co, 100 %", "From scratch", "- A > B",
    ]  # fmt: skip


def test_what_is_not_tested_is_not_there(make_table) -> None:
    untested = make_table().claims[1]
    assert forest(make_table(claims=(untested,))) == []
    assert whole_forest([make_table(claims=()), make_table(claims=(untested,))]) == []


def test_every_verdict_has_a_mark_and_no_two_colours_are_one_to_anybody() -> None:
    assert MARKS.keys() == set(Verdict)
    marks: set[Mark] = set(MARKS.values())
    assert len({mark.sign for mark in marks}) == len(marks)
    assert len({(mark.shape, mark.colour) for mark in marks}) == len(marks)
    # Seen without red or without green cones (Viénot, Brettel and Mollon 1999, linear RGB).
    without = {
        "red": [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
        "green": [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
    }
    colours = [np.array(to_rgb(colour)) ** 2.2 for colour in {mark.colour for mark in marks}]
    for matrix in without.values():
        seen = [(np.clip(np.array(matrix) @ colour, 0, 1)) ** (1 / 2.2) for colour in colours]
        apart = [np.abs(a - b).max() for k, a in enumerate(seen) for b in seen[:k]]
        assert min(apart) > 0.08


@settings(deadline=None)  # the first call computes levels
@given(st.lists(differences, min_size=1, max_size=4), st.none() | points)
def test_an_axis_has_room_for_everything_but_endless_intervals(values, paper) -> None:
    found = [judged(one, paper) for one in values]
    low, high = reach(found)
    for one in found:
        for value in (0, one.mean, -one.margin, one.margin, *([] if paper is None else [paper])):
            assert low < value < high
        if one.low is not None and low < one.low:
            assert one.high <= high or high - low > 1
    marks = [0.0, *(x for j in found for x in (j.mean, j.margin, -j.margin, j.paper or 0.0))]
    assert high - low <= 3.3 * (max(marks) - min(marks))


@settings(deadline=None)
@given(differences, st.none() | points, st.integers(15, 80))
def test_a_strip_has_each_thing_at_its_place(values, paper, width: int) -> None:
    found = judged(values, paper)
    limits = reach([found])
    drawn = strip(found, limits, width)
    assert len(drawn) == width
    per_sign = (limits.high - limits.low) / (width - 1)

    def at(sign: str) -> float:
        return limits.low + drawn.index(sign) * per_sign

    assert at(MARKS[found.verdict].sign) == pytest.approx(found.mean, abs=per_sign)
    if "◇" in drawn:
        assert at("◇") == pytest.approx(paper, abs=per_sign)
    if "├" in drawn:
        assert at("├") == pytest.approx(found.low, abs=per_sign)
    if "<" in drawn:
        assert found.low < limits.low
    assert len(ascii_only(drawn)) == width, "stand-ins keep everything in its place"


@given(st.floats(-80, -0.1), st.floats(0.1, 80), st.integers(15, 80))
def test_the_numbers_above_are_where_they_say(low: float, high: float, width: int) -> None:
    limits = Bounds(low, high)
    text = scale(limits, width)
    assert len(text) == width
    for word in re.finditer(r"\S+", text):
        middle = word.start() + len(word[0]) // 2
        value = low + middle * (high - low) / (width - 1)
        assert float(word[0].replace("−", "-")) == pytest.approx(
            value, abs=1.1 * (high - low) / width
        )


@pytest.mark.parametrize("width", [50, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(make_table, folded: Table, width: int) -> None:
    shown = whole_forest([make_table(), folded])
    lines = [line.plain for line in forest_text(shown, width, 1)]
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "undecided" in text
    assert "+2.0 [−2.1, +6.1]" in text
    assert ("○" in text) == (width > 50), "where there is no room the words are enough"


def test_long_verdicts_and_names_are_broken(make_table) -> None:
    claim = make_table().claims[0]
    small = replace(claim, judgement=judged([0.3, 0.31, 0.29], 9.0), column="a column " * 6)
    lines = [line.plain for line in forest_text(forest(make_table(claims=(small,))), 80, 1)]
    assert max(map(len, lines)) <= 80
    assert [line.split()[-1] for line in lines[1:3]] == ["than", "paper's†‡"]


def test_the_figure_has_every_claim_with_its_interval_margin_and_word(make_table, folded) -> None:
    tables = [make_table(), folded]
    figure = forest_figure(tables, "T")
    (axes,) = figure.axes
    lines = lines_of(whole_forest(tables))
    shown = {text.get_text().split("  ")[1] for text in axes.texts}
    assert shown == {line.judgement.verdict.value for line in lines}
    drawn = [tuple(line.get_xdata()) for line in axes.lines]
    for line in lines:
        found = line.judgement
        assert (found.mean,) in drawn
        assert found.low is None or (found.low, found.high) in drawn
        assert (found.paper,) in drawn
        assert any(bar.get_width() == pytest.approx(2 * found.margin) for bar in axes.patches)
    assert (-3.5, 7.5) in drawn, "the interval over samples, too"


def test_the_figure_says_what_is_exploratory(folded: Table) -> None:
    claim = folded.claims[0]
    explored = replace(claim, judgement=replace(claim.judgement, exploratory=True))
    figure = forest_figure([replace(folded, claims=(explored,))], "T")
    assert figure.axes[0].texts[0].get_text().endswith("undecided§")
    assert "§ exploratory" in [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("names", [3, 60])
@pytest.mark.few(1)
def test_all_words_of_a_figure_are_within_it(make_table, names: int, tmp_path: Path) -> None:
    claim = replace(make_table().claims[0], better="A" * names)
    figure = forest_figure([make_table(claims=(claim,))], "T" * 20)
    save(figure, tmp_path / "f.png")
    renderer = figure.canvas.get_renderer()
    (axes,) = figure.axes
    for text in (*axes.texts, *axes.get_yticklabels(), *figure.legends):
        box = text.get_window_extent(renderer)
        assert box.x0 >= -1
        assert box.x1 <= figure.bbox.x1 + 1


def test_sections_without_tested_claims_have_no_heading(folded: Table) -> None:
    assert [s.name for s in folded.sections] == ["from scratch", "pre-trained on NTU"]
    assert "Pre-trained on NTU" not in words(forest(folded))
