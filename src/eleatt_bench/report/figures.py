"""Figures of a table: its accuracies (the paper's Figure 2) and its losses (Figure 4)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import cycle, zip_longest
from typing import TYPE_CHECKING, Any

from eleatt_bench.report.canvas import add_legend, add_title, new_figure
from eleatt_bench.report.losses import LOSSES, Band, Panels, band
from eleatt_bench.report.wording import section_title, title
from eleatt_bench.tables.table import Row, Section, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAPER, QUIET = "#D55E00", "#767676"
_OURS = "#0072B2"
_LINES = ("-", "--", ":", "-.")
_ACROSS = 3  # columns side by side: as many as fit a page
_COLOURS = ("#1f4e8c", "#c44e00", "#2a8a5c", "#8a5a9e", "#666666")


def accuracies(table: Table) -> Figure:
    """The mean of every row that has a finished seed, as a dot with its 95 % interval.

    The row's seeds are shown too, and the paper's value if it has the section.
    """
    sections = [(section, section.done) for section in table.sections if section.done]
    names = max(len(row.name) for _, rows in sections for row in rows)
    across = min(_ACROSS, len(table.columns))
    panels = [
        (section, rows, range(len(table.columns))[first : first + across])
        for section, rows in sections
        for first in range(0, len(table.columns), across)
    ]
    figure = new_figure(
        0.075 * names + 2.6 * across + 0.2, sum(0.26 * len(rows) + 0.6 for _, rows, _ in panels) + 1
    )
    add_title(figure, title(table))
    grid = figure.subplots(
        len(panels), across, squeeze=False, sharey="row",
        height_ratios=[len(rows) + 1 for _, rows, _ in panels],
    )  # fmt: skip
    by_column = defaultdict(list)
    for axes_of_panel, (section, rows, places) in zip(grid, panels, strict=True):
        for axes, place in zip_longest(axes_of_panel, places):
            if place is None:
                axes.set_axis_off()
                continue
            _dots(axes, rows, place, section.in_paper)
            axes.set_title(_panel(section, table.columns[place].name), fontsize=8, loc="left")
            by_column[place].append(axes)
    for of_column in by_column.values():  # on one scale in all sections
        limits = [axes.get_xlim() for axes in of_column]
        for axes in of_column:
            axes.set_xlim(min(low for low, _ in limits), max(high for _, high in limits))
        of_column[-1].set_xlabel("accuracy (%)", fontsize=8)
    rows_in_paper = [row for section, rows in sections if section.in_paper for row in rows]
    papers = [cell.paper for row in rows_in_paper for cell in row.cells]
    add_legend(figure, _marks(any(paper is not None for paper in papers)))
    return figure


def _dots(axes: Any, rows: Sequence[Row], place: int, in_paper: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    for height, row in enumerate(rows):
        cell = row.cells[place]
        axes.plot(cell.values, [height] * len(cell.values), "|", color=QUIET, ms=7, mew=0.8)
        if in_paper and cell.paper is not None:
            axes.plot(cell.paper, height, "D", color=PAPER, ms=5, mfc="none", mew=1.2, zorder=4)
        if cell.mean is None:
            continue
        if cell.interval is not None:
            axes.plot(
                cell.interval, [height, height], "-", color=_OURS, lw=2, solid_capstyle="butt"
            )
        axes.plot(cell.mean, height, "o", color=_OURS, ms=6)
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.margins(x=0.08)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(axis="x", color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, left=False)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _marks(in_paper: bool) -> list[Any]:
    from matplotlib.lines import Line2D

    marks = [
        Line2D([], [], color=_OURS, marker="o", ms=6, lw=2, label="mean, 95 % interval"),
        Line2D([], [], color=QUIET, marker="|", ms=7, ls="", label="a seed"),
    ]
    if in_paper:
        marks.append(
            Line2D([], [], color=PAPER, marker="D", ms=5, ls="", mfc="none", label="the paper")
        )
    return marks


def losses(table: Table, panels: Panels, count: str) -> Figure:
    """The losses of ``panels``: for each row, the mean of its runs with a band of ± s.

    ``count`` says in words which runs a row has.
    """
    figure = new_figure(3.7 * len(LOSSES), 2.6 * len(panels) + 0.7)
    add_title(figure, title(table))
    grid = figure.subplots(len(panels), len(LOSSES), squeeze=False, sharex="row")
    counts: dict[str, set[int]] = defaultdict(set)
    for axes_of_panel, (panel, rows) in zip(grid, panels.items(), strict=True):
        for axes, (tag, name) in zip(axes_of_panel, LOSSES.items(), strict=True):
            bands = {row: band(curves[tag]) for row, curves in rows.items()}
            _lines(axes, bands.values())
            for row, found in bands.items():
                counts[row].add(found.runs)
            axes.set_title(", ".join(filter(None, (panel, name))), fontsize=9, loc="left")
            axes.set_xlabel("epoch", fontsize=8)
            _scales(axes)
            axes.spines[["top", "right"]].set_visible(False)
    lines = list(grid[0][0].lines)
    for line, row in zip(lines, counts, strict=True):  # the legend is that of all panels
        ends = sorted({min(counts[row]), max(counts[row])})
        line.set_label(f"{row} (n={'–'.join(map(str, ends))})")
    add_legend(figure, lines, f"mean and sample standard deviation of {count}")
    return figure


def _scales(axes: Any) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, StrMethodFormatter

    axes.set_yscale("log")
    axes.yaxis.set_minor_locator(LogLocator(subs=(0.2, 0.5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(which="both", labelsize=7)


def _lines(axes: Any, rows: Iterable[Band]) -> None:
    """A line per row, each in a colour and a stroke of its own, up to the shortest run's end."""
    for found, colour, stroke in zip(rows, cycle(_COLOURS), cycle(_LINES), strict=False):
        axes.plot(found.epochs, found.mean, color=colour, ls=stroke, lw=1.4)
        if found.runs > 1 and found.epochs:
            axes.fill_between(found.epochs, found.low, found.high, color=colour, alpha=0.2, lw=0)


def _panel(section: Section, column: str) -> str:
    return ", ".join(filter(None, (section_title(section), column)))
