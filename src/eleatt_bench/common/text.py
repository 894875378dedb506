"""What every verb prints: seconds, columns, and the last words of a sweep."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from eleatt_bench.common.locations import command, runs_dir


def duration(seconds: float) -> str:
    """``seconds`` for a person: 42 s, 3 min, 1 h 20 min."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


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


def closing(where: Mapping[str, str], then: Mapping[str, Sequence[str]], runs: Path) -> None:
    """Print the paths ``where`` things lie and the command lines to go on with, each by a word.

    The commands are of this program; they name the folder ``runs`` if it is not the usual one.
    Nothing is wrapped, so that a path or a command can be copied.
    """
    begin = "" if runs == runs_dir() else f"ELEATT_RUNS={shlex.quote(str(runs))} "
    commands = {word: begin + command(*arguments) for word, arguments in then.items()}
    print()
    for head, lines in (("Where", where), ("Next", commands)):
        for number, (word, line) in enumerate(lines.items()):
            print(f"{'' if number else head:<7}{word:<8}{line}")
