"""Text that commands print: safe characters, durations, columns, closing lines."""

from __future__ import annotations

import codecs
import io
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eleatt_bench.common.locations import command, runs_dir

if TYPE_CHECKING:
    from rich.console import Console

_STAND_INS = {"−": "-", "–": "-", "—": "-", "─": "-", "━": "-", "×": "x", "·": ".", "±": "+/-",
              "…": "...", "√": "sqrt", "≤": "<=", "≥": ">=", "→": "->", "█": "#", "░": ":",
              "│": "|", "├": "[", "┤": "]", "●": "@", "○": "o", "■": "#", "▼": "v", "◀": "(",
              "▶": ")", "◇": "^", "†": "+", "‡": "++", "§": "$", "¶": "~",
              "═": "=", "┼": "+"}  # fmt: skip
"""Replacements for characters that an encoding lacks; others become a question mark."""


def make_output_safe() -> None:
    """Let every character be printed, by a stand-in if the output's encoding lacks it.

    Text for a stream that was closed from the beginning is discarded.
    """
    codecs.register_error("stand-in", _stand_in)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed when the program began
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="stand-in")


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return ascii_only(error.object[error.start : error.end]), error.end


def ascii_only(text: str) -> str:
    """``text`` with a stand-in for each character that ASCII lacks."""
    return "".join(c if c.isascii() else _STAND_INS.get(c, "?") for c in text)


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """``text`` from outside, such as a name, with a ``?`` for each terminal control character."""
    # Most texts are printable, and this check takes a tenth of the time of the substitution.
    return text if text.isprintable() else _CONTROL.sub("?", text)


def plain_console(**options: Any) -> Console:
    """A console of rich that prints brackets, colons and numbers in a text as they are."""
    from rich.console import Console

    return Console(markup=False, emoji=False, highlight=False, **options)


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

    A table wider than ``width`` loses columns from the right. If not even two columns fit, each row
    becomes several lines: its first text, then below it the others with the names of their columns.
    """
    rows = [[printable(text) for text in row] for row in rows]
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
    """Print the paths in ``where`` and the next commands in ``then``, each after its key.

    ``then`` holds arguments of this program. The command lines name the folder ``runs`` if it is
    not the usual one. Nothing is wrapped, so that a path or a command can be copied.
    """
    begin = "" if runs == runs_dir() else f"ELEATT_RUNS={shlex.quote(str(runs))} "
    commands = {word: begin + command(*arguments) for word, arguments in then.items()}
    print()
    for head, lines in (("Where", where), ("Next", commands)):
        for number, (word, line) in enumerate(lines.items()):
            print(f"{'' if number else head:<7}{word:<8}{printable(line)}")
