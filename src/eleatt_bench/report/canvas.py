"""Figures by matplotlib, the extra ``figures``, without a screen and without global state."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "pdf", "svg")


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that size in inches.

    Raises:
        UserError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError(
            "Pictures need matplotlib, which is not installed: pip install 'eleatt-bench[figures]'"
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, path: Path) -> None:
    """Write ``figure`` to ``path``, in the format of its suffix, whole or not at all.

    Raises:
        UserError: another suffix than those of `FORMATS`.
    """
    form = path.suffix.removeprefix(".").lower()
    if form not in FORMATS:
        raise UserError(f"{path}: a picture's name ends in one of .{', .'.join(FORMATS)}")
    import matplotlib

    # Fonts as outlines that can be searched and edited, not as pictures of letters.
    content = io.BytesIO()  # what is left of a full disk makes many errors of Pillow's
    with matplotlib.rc_context({"pdf.fonttype": 42, "svg.fonttype": "none"}):
        figure.savefig(content, format=form, dpi=150)
    with replacing(path) as temporary:
        temporary.write_bytes(content.getbuffer())
