"""Rows of text in aligned columns, as wide as the terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence

_GAP = "  "


def terminal_width() -> int | None:
    """The width of the terminal in characters; None where the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def columns(
    header: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None
) -> Iterator[str]:
    """The lines of a table, its most important columns first.

    What is wider than ``width`` loses columns from the right; where not even two fit, the others
    stand below the first one, which is never broken.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    count = len(widths)
    while width is not None and count > 1 and _total(widths[:count]) > width:
        count -= 1
    if count > 1 or len(widths) == 1:
        yield from (_line(row[:count], widths) for row in (header, *rows))
        return
    for row in rows:
        yield row[0]
        named = (f"{name} {text}" for name, text in zip(header[1:], row[1:], strict=True))
        yield from (f"{_GAP}{text}" for text in named)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _line(texts: Sequence[str], widths: Sequence[int]) -> str:
    return _GAP.join(map(str.ljust, texts, widths)).rstrip()
