"""Figures by matplotlib, the extra ``figures``, without a screen and without global state."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.extras import require
from eleatt_bench.common.files import writing

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

_DPI = 150
_SIGN = 0.085  # inches: more than most characters of a title take
FORMATS = ("png", "pdf", "svg")


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, ``width`` by ``height`` inches.

    Raises:
        UserError: matplotlib is not installed.
    """
    require("figures", "A picture")
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", dpi=_DPI)


def add_title(figure: Figure, text: str) -> None:
    """Write ``text`` above everything, wrapped to the figure's width."""
    figure.suptitle("\n".join(wrap(text, int(figure.get_figwidth() / _SIGN))), fontsize=10)


def add_legend(figure: Figure, handles: Sequence[Artist], title: str | None = None) -> None:
    """Explain ``handles`` below everything, in as many columns as fit the figure's width."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    renderer: Any = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    for columns in range(len(handles), 0, -1):
        legend = figure.legend(
            handles=handles, loc="outside lower center", ncols=columns, title=title,
            fontsize=7, title_fontsize=7, frameon=False, columnspacing=1.2, handletextpad=0.5,
        )  # fmt: skip
        wide = legend.get_window_extent(renderer).width / figure.dpi
        if wide <= figure.get_figwidth():
            return
        if columns > 1:
            legend.remove()
    figure.set_figwidth(wide)


def save(figure: Figure, path: Path) -> None:
    """Write ``figure`` to ``path``, in the format of its suffix, whole or not at all.

    Raises:
        UserError: the suffix is not one of `FORMATS`.
    """
    form = path.suffix.removeprefix(".").lower()
    if form not in FORMATS:
        raise UserError(f"{path}: a picture's name ends in one of .{', .'.join(FORMATS)}")
    import matplotlib

    content = io.BytesIO()  # Pillow raises many kinds of errors on a full disk
    # Text stays text, which can be searched and edited, and does not become pictures of letters.
    with matplotlib.rc_context({"pdf.fonttype": 42, "svg.fonttype": "none"}):
        figure.savefig(content, format=form)
    with writing(path) as temporary:
        temporary.write_bytes(content.getbuffer())
