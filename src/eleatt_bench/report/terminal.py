"""Tables for a terminal, and as a picture of one."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table as RichTable
from rich.text import Text

from eleatt_bench.common.text import plain_console, printable
from eleatt_bench.report.forest import ForestLine, Heading, forest, lines_of, whole_forest
from eleatt_bench.report.forest_text import forest_text, key
from eleatt_bench.report.grid import Grid, lay_out
from eleatt_bench.report.numbers import DIGITS
from eleatt_bench.report.verdict_text import of_all
from eleatt_bench.report.wording import (
    cell_notes,
    claim_notes,
    open_text,
    remarks,
    title,
)
from eleatt_bench.tables.table import Table

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH = 120  # where there is no terminal

Print = Callable[[Sequence[Table], "Console", int], None]


def terminal(tables: Sequence[Table], digits: int = DIGITS) -> str:
    """``tables`` and their claims, as wide as the terminal; plain text where there is none."""
    return _captured(_print, tables, digits)


def terminal_claims(tables: Sequence[Table], digits: int = DIGITS) -> str:
    """The claims of all ``tables``, on one axis."""
    return _captured(_print_claims, tables, digits)


def svg(tables: Sequence[Table], digits: int = DIGITS) -> str:
    """A picture of what `terminal` shows."""
    return _pictured(_print, tables, digits)


def svg_claims(tables: Sequence[Table], digits: int = DIGITS) -> str:
    """A picture of what `terminal_claims` shows."""
    return _pictured(_print_claims, tables, digits)


def _captured(show: Print, tables: Sequence[Table], digits: int) -> str:
    console = plain_console()
    if not console.is_terminal:
        console.width = _WIDTH
    with console.capture() as capture:
        show(tables, console, digits)
    return capture.get()


def _pictured(show: Print, tables: Sequence[Table], digits: int) -> str:
    console = plain_console(record=True, width=_WIDTH, file=io.StringIO())
    show(tables, console, digits)
    names = " ".join(table.name for table in tables)
    return console.export_svg(title=f"eleatt-bench table {names}").rstrip() + "\n"


def _print(tables: Sequence[Table], console: Console, digits: int) -> None:
    for index, table in enumerate(tables):
        if index:
            console.print()
        console.print(_grid(lay_out(table, console.width, digits), Text(title(table))))
        _print_forest(forest(table), console, digits)
        _print_notes([*cell_notes(table), *claim_notes(table), *remarks(table)], console)
    _print_count(tables, console)


def _print_claims(tables: Sequence[Table], console: Console, digits: int) -> None:
    _print_forest(whole_forest(tables), console, digits)
    said = [note for table in tables for note in claim_notes(table)]
    for table in tables:
        named = f"{table.name}: " if len(tables) > 1 else ""
        said += [f"{named}{remark}" for remark in remarks(table)]
    _print_notes(dict.fromkeys(said), console)
    _print_count(tables, console)


def _print_count(tables: Sequence[Table], console: Console) -> None:
    if len(tables) > 1:
        console.print(f"\n{of_all(tables)}")


def _print_forest(shown: Sequence[Heading | ForestLine], console: Console, digits: int) -> None:
    if not shown:
        return
    for line in forest_text(shown, console.width, digits):
        console.print(line, no_wrap=True, overflow="ignore", crop=False)
    console.print()
    lines = lines_of(shown)
    _print_notes([key(lines), *(open_text(line.claim) for line in lines)], console)


def _print_notes(said: Iterable[str], console: Console) -> None:
    for note in filter(None, said):
        console.print(printable(note), style="dim")


def _grid(grid: Grid, above: Text) -> RichTable:
    shown = RichTable(title=above, box=box.SIMPLE_HEAD, title_style="bold")
    for index, name in enumerate(grid.header):
        shown.add_column(Text(name), justify="right" if index else "left", overflow="fold")
    for group in grid.groups:
        shown.add_section()
        if group.title:
            shown.add_row(Text(group.title, style="italic"))
        for line in group.lines:
            # As Text, because [1] would be markup.
            shown.add_row(*map(Text, line), style="dim" if group.cited else None)
    return shown
