"""The forest plot in print: each claim's difference with its interval, margin and verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from eleatt_bench.report.canvas import add_legend, add_title, new_figure
from eleatt_bench.report.forest import (
    IS_OPEN,
    MARKS,
    SECTION,
    TABLE,
    ForestLine,
    Heading,
    lines_of,
    reach,
    whole_forest,
)
from eleatt_bench.report.numbers import signed
from eleatt_bench.report.wording import sign_notes, verdict_signs
from eleatt_bench.tables.statistics import Bounds
from eleatt_bench.tables.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAPER, INK, BAND = "#222222", "#222222", "#e6e6e6"
_HEIGHT = 0.19  # inches of a line
_BELOW = 0.27  # lines: so far below the first interval is the second
_WEIGHT = {TABLE: "bold", SECTION: "normal"}
_STYLE = {SECTION: "italic"}


def forest_figure(tables: Sequence[Table], title: str) -> Figure:
    """The forest plot of the tested claims of ``tables``; there must be at least one."""
    shown = whole_forest(tables)
    lines = lines_of(shown)
    names = max(len(one.label if isinstance(one, ForestLine) else one.text) for one in shown)
    figure = new_figure(5.2 + 0.062 * names, _HEIGHT * len(shown) + 1.5)
    add_title(figure, title)
    axes = figure.add_subplot()
    limits = reach(line.judgement for line in lines)
    for height, one in enumerate(shown):
        if isinstance(one, ForestLine):
            _draw(axes, height, one, limits)
    axes.axvline(0, color=INK, lw=0.8, zorder=1)
    axes.set(xlim=limits, ylim=(len(shown) - 0.4, -0.6))
    axes.set_xlabel("difference (percentage points)", fontsize=8)
    axes.tick_params(labelsize=7, left=False)
    axes.set_yticks(
        range(len(shown)),
        [f"  {one.label}" if isinstance(one, ForestLine) else one.text for one in shown],
    )
    _align(axes, shown, 0.062 * names)
    axes.spines[["top", "right", "left"]].set_visible(False)
    add_legend(figure, _marks(lines))
    return figure


def _align(axes: Any, shown: Sequence[Heading | ForestLine], inches: float) -> None:
    """Let all names begin at the same place, and give headings their own styles."""
    for label, one in zip(axes.get_yticklabels(), shown, strict=True):
        label.set_horizontalalignment("left")
        if isinstance(one, Heading):
            label.set(
                weight=_WEIGHT.get(one.level, "normal"), style=_STYLE.get(one.level, "normal")
            )
    axes.tick_params(axis="y", pad=72 * inches)


def _draw(axes: Any, height: int, line: ForestLine, limits: Bounds) -> None:
    found = line.judgement
    mark = MARKS[found.verdict]
    axes.barh(height, 2 * found.margin, left=-found.margin, height=0.8, color=BAND, zorder=0)
    for ends, width, at in ((found, 2.0, height), (line.claim.crossed, 0.8, height + _BELOW)):
        if ends is not None and ends.low is not None and ends.high is not None:
            axes.plot([ends.low, ends.high], [at, at], color=mark.colour, lw=width,
                      solid_capstyle="butt", zorder=2)  # fmt: skip
            _point_beyond(axes, at, ends.low, ends.high, limits, mark.colour)
    face = "white" if found.verdict in IS_OPEN else mark.colour
    axes.plot(found.mean, height, mark.shape, color=mark.colour, mfc=face, ms=5, zorder=4)
    if found.paper is not None:
        axes.plot(found.paper, height, "D", color=PAPER, mfc="none", ms=4, mew=1, zorder=3)
    axes.text(
        1.02, height, f"{signed(found.mean or 0.0)}  {found.verdict}{verdict_signs(line.claim)}",
        fontsize=7, va="center", color=mark.colour, transform=axes.get_yaxis_transform(),
    )  # fmt: skip


def _point_beyond(
    axes: Any, height: float, low: float, high: float, limits: Bounds, colour: str
) -> None:
    """Draw an arrowhead where an interval goes on beyond the axis."""
    for beyond, end, shape in ((low < limits.low, limits.low, "<"),
                               (high > limits.high, limits.high, ">")):  # fmt: skip
        if beyond:
            axes.plot(end, height, shape, color=colour, ms=4, clip_on=False, zorder=2)


def _marks(lines: Sequence[ForestLine]) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    marks: list[Any] = [
        Line2D([], [], color=INK, marker="o", lw=2, ms=5, label="difference and interval"),
        Patch(color=BAND, label="differences that do not matter"),
    ]
    if any(line.judgement.paper is not None for line in lines):
        marks.append(
            Line2D([], [], color=PAPER, marker="D", ms=4, mfc="none", ls="", label="the paper")
        )
    groups = {line.claim.groups: None for line in lines if line.claim.crossed is not None}
    if groups:
        label = f"its interval over {' or '.join(groups)} too"
        marks.append(Line2D([], [], color=INK, lw=0.8, label=label))
    said = sign_notes([line.claim for line in lines])
    return marks + [Line2D([], [], ls="", label=note) for note in said]
