"""Drawings for TensorBoard, by matplotlib (the extra ``figures``), which is imported when needed.

Training waits while they are made: no layout engine, few words, no more pixels than are seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

Array = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]  # (height, width, 3)
_SMALL = 6.5  # points
_LETTER = 0.0085  # the width of a letter in inches, per point
_FEW = 20  # so many classes have room for numbers in their squares
_NAMES = 60  # so many names have room beside the rows


class Panel(NamedTuple):
    """What is drawn of one sample."""

    title: str
    values: Array  # (rows, columns)
    across: str = ""  # what the columns are
    down: str = ""  # what the rows are
    names: Sequence[str] | None = None  # of the rows
    image: Array | None = None  # the input, if ``values`` are of its pixels


def confusion(counts: npt.NDArray[np.int64], names: Sequence[str], title: str) -> Pixels:
    """A drawing of a confusion matrix (actual, predicted), whose colours are shares of the row.

    If there are few classes, ``counts`` (C, C) are written into their squares.
    """
    short = [name if len(name) <= 24 else f"{name[:23]}…" for name in names]
    size = _SMALL if len(names) <= 30 else 4.0
    label = _LETTER * size * max(map(len, short)) + 0.45
    side = float(np.clip(0.22 * len(names), 2.2, 6.0))
    figure, (axes,) = _page(1, 1, side, side, left=label, bottom=label, right=0.1, top=0.35)
    figure.suptitle(title, fontsize=9)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), short, rotation=90, fontsize=size)
    axes.set_yticks(range(len(names)), short, fontsize=size)
    axes.set_xlabel("predicted", fontsize=8)
    axes.set_ylabel("actual", fontsize=8)
    for row, column in np.argwhere(counts) if len(names) <= _FEW else ():
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(
            column, row, str(counts[row, column]),
            color=colour, fontsize=_SMALL, ha="center", va="center",
        )  # fmt: skip
    return _pixels(figure)


def attention(panels: Sequence[Panel], title: str, highest: float | None) -> Pixels:
    """Heat maps side by side, in one scale from 0 to ``highest`` (None: the highest value)."""
    first = panels[0]
    rows = max(len(panel.values) for panel in panels)
    left, bottom = (0.55, 0.45) if first.image is None else (0.1, 0.1)
    if first.names is not None:
        left = _LETTER * _SMALL * max(map(len, first.names)) + 0.2
    width, height = (1.6, 1.6) if first.image is None else (1.1, 1.1)
    if first.names is not None:
        height = float(np.clip(0.11 * rows, 1.6, 7.0))
    lines = 1 if first.image is None else 2
    figure, axes = _page(
        lines, len(panels), width, height, left=left, bottom=bottom, right=0.6, top=0.85
    )
    figure.suptitle(title, fontsize=9)
    most = highest or max(float(panel.values.max()) for panel in panels)
    for column, panel in enumerate(panels):
        above, below = axes[column], axes[-len(panels) + column]
        if panel.image is not None:
            above.imshow(panel.image, cmap="gray_r")
            above.set(xticks=[], yticks=[])
        picture = _heat(below, panel, most, with_names=column == 0)
        above.set_title(panel.title, fontsize=7)
    whole = figure.get_figwidth()
    bar = figure.add_axes((1 - 0.5 / whole, 0.2, 0.1 / whole, 0.5))
    figure.colorbar(picture, cax=bar).ax.tick_params(labelsize=7)
    return _pixels(figure)


def _heat(axes: Axes, panel: Panel, highest: float, *, with_names: bool) -> AxesImage:
    """Draw the values of ``panel``, which are from 0 to ``highest``; returns the picture."""
    rows, columns = panel.values.shape
    picture = axes.imshow(
        panel.values,
        cmap="viridis",
        vmin=0,
        vmax=highest,
        aspect="auto" if panel.image is None else "equal",
        interpolation="nearest",
        extent=(0.5, columns + 0.5, rows - 0.5, -0.5),  # frames count from 1
    )
    axes.tick_params(labelsize=_SMALL, length=2)
    if panel.image is not None:
        axes.set(xticks=[], yticks=[])
        return picture
    axes.set_xlabel(panel.across, fontsize=8)
    if with_names:
        axes.set_ylabel(panel.down, fontsize=8)
    if panel.names is not None:
        step = -(-len(panel.names) // _NAMES)
        shown = panel.names[::step] if with_names else []
        axes.set_yticks(range(0, step * len(shown), step), shown, fontsize=_SMALL)
    return picture


def _page(
    lines: int, columns: int, width: float, height: float, **margins: float
) -> tuple[Figure, list[Axes]]:
    """A figure with ``lines`` × ``columns`` axes of that size and margins around, in inches."""
    from matplotlib.figure import Figure

    gap = 0.2
    across = columns * width + (columns - 1) * gap
    down = lines * height + (lines - 1) * gap
    whole_width = margins["left"] + across + margins["right"]
    whole_height = margins["bottom"] + down + margins["top"]
    figure = Figure(figsize=(whole_width, whole_height), dpi=100)
    axes = figure.subplots(lines, columns, squeeze=False)
    figure.subplots_adjust(
        left=margins["left"] / whole_width,
        right=1 - margins["right"] / whole_width,
        bottom=margins["bottom"] / whole_height,
        top=1 - margins["top"] / whole_height,
        wspace=gap / width,
        hspace=gap / height,
    )
    return figure, list(axes.flat)


def _pixels(figure: Figure) -> Pixels:
    """``figure`` drawn, without a screen and without pyplot's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    rgba = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    return rgba[:, :, :3].copy()
