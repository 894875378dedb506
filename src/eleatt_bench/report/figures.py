"""Figures of a table: its accuracies as bars (the paper's Figure 2), its losses (Figure 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

from eleatt_bench.report.canvas import new_figure
from eleatt_bench.report.losses import LOSSES, Curves, Panels, band
from eleatt_bench.report.wording import section_title
from eleatt_bench.tables.table import Row, Section, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OURS, _PAPER, _INK = "#7da7d9", "#c44e00", "#222222"  # light, dark and black in grey
_LINES = ("-", "--", ":", "-.")
_COLOURS = ("#1f4e8c", "#c44e00", "#2a8a5c", "#8a5a9e", "#666666")


def bars(table: Table) -> Figure:
    """A bar for the mean of every row, its sample standard deviation, each seed and the paper."""
    sections = [section for section in table.sections if section.rows]
    names = max(len(row.name) for section in sections for row in section.rows)
    width = 0.09 * names + 3.2 * len(table.columns)
    height = sum(0.42 * len(section.rows) + 0.9 for section in sections) + 0.9
    figure = new_figure(width, height)
    figure.suptitle(table.title, fontsize=11)
    grid = figure.subplots(
        len(sections), len(table.columns), squeeze=False, sharey="row", sharex=True,
        height_ratios=[len(section.rows) + 1 for section in sections],
    )  # fmt: skip
    for axes_of_section, section in zip(grid, sections, strict=True):
        for place, (axes, column) in enumerate(zip(axes_of_section, table.columns, strict=True)):
            _bars(axes, section.rows, place)
            axes.set_title(_panel(section, column.name), fontsize=9, loc="left")
    for axes in grid[-1]:
        axes.set_xlabel("accuracy (%)", fontsize=8)
    _explain_bars(figure)
    return figure


def _bars(axes: Any, rows: Sequence[Row], place: int) -> None:
    for height, row in enumerate(rows):
        cell = row.cells[place]
        if cell.mean is not None:
            axes.barh(height, cell.mean, height=0.62, color=_OURS)
            spread = "" if cell.std is None else f" ± {cell.std:.1f}"
            if cell.std is not None:
                axes.errorbar(cell.mean, height, xerr=cell.std, color=_INK, capsize=3, lw=1)
            axes.plot(cell.values, [height] * len(cell.values), ".", color=_INK, ms=3)
            label = f" {cell.mean:.1f}{spread} (n={len(cell.values)})"
        else:
            label = " no finished seed"
        if cell.paper is not None:
            axes.plot(cell.paper, height, "D", color=_PAPER, ms=5, mfc="white", mew=1.5)
        axes.text(1.5, height, label.strip(), va="center", fontsize=7, color=_INK)
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.set(xlim=(0, 100), ylim=(len(rows) - 0.5, -0.5))
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _explain_bars(figure: Figure) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    marks = [
        Patch(color=_OURS, label="mean over seeds"),
        Line2D([], [], color=_INK, lw=1, label="± sample standard deviation"),
        Line2D([], [], color=_INK, marker=".", ls="", ms=4, label="a seed"),
        Line2D([], [], color=_PAPER, marker="D", ls="", mfc="white", mew=1.5, label="the paper"),
    ]
    figure.legend(handles=marks, loc="outside lower center", ncols=4, fontsize=7, frameon=False)


def losses(table: Table, panels: Panels, count: str) -> Figure:
    """The losses of ``panels``: the mean of a row's runs, and a band of ± s.

    ``count`` says in words what the runs of a row are.
    """
    figure = new_figure(3.7 * len(LOSSES), 2.6 * len(panels) + 0.7)
    figure.suptitle(table.title, fontsize=11)
    grid = figure.subplots(len(panels), len(LOSSES), squeeze=False, sharex="row")
    for axes_of_panel, (panel, rows) in zip(grid, panels.items(), strict=True):
        for axes, (tag, name) in zip(axes_of_panel, LOSSES.items(), strict=True):
            _lines(axes, {row: curves[tag] for row, curves in rows.items()})
            axes.set_title(", ".join(filter(None, (panel, name))), fontsize=9, loc="left")
            axes.set_xlabel("epoch", fontsize=8)
            _scales(axes)
            axes.spines[["top", "right"]].set_visible(False)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=3, fontsize=8, frameon=False,
        title=f"mean and sample standard deviation of {count}", title_fontsize=7,
    )  # fmt: skip
    return figure


def _scales(axes: Any) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, StrMethodFormatter

    axes.set_yscale("log")
    axes.yaxis.set_minor_locator(LogLocator(subs=(0.2, 0.5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(which="both", labelsize=7)


def _lines(axes: Any, rows: Mapping[str, Curves]) -> None:
    """A line per row, each in a colour and a stroke of its own, up to the shortest run's end."""
    for (name, curves), colour, stroke in zip(
        rows.items(), cycle(_COLOURS), cycle(_LINES), strict=False
    ):
        found = band(curves)
        label = f"{name} (n={found.runs})"
        axes.plot(found.epochs, found.mean, color=colour, ls=stroke, lw=1.4, label=label)
        if found.runs > 1 and found.epochs:
            axes.fill_between(found.epochs, found.low, found.high, color=colour, alpha=0.2, lw=0)


def _panel(section: Section, column: str) -> str:
    return ", ".join(filter(None, (section_title(section), column)))
