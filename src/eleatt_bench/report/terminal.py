"""Tables for a terminal, and as a picture of one."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from rich import box
from rich.table import Table as RichTable
from rich.text import Text

from eleatt_bench.common.text import plain_console, printable
from eleatt_bench.report.grid import Grid, lay_out, lay_out_claims
from eleatt_bench.report.wording import notes, title
from eleatt_bench.tables.table import Table

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH = 120  # where there is no terminal


def terminal(tables: Sequence[Table]) -> str:
    """``tables`` as wide as the terminal; plain text where there is none."""
    console = plain_console()
    if not console.is_terminal:
        console.width = _WIDTH
    with console.capture() as capture:
        _print(tables, console)
    return capture.get()


def svg(tables: Sequence[Table]) -> str:
    """A picture of what `terminal` shows."""
    console = plain_console(record=True, width=_WIDTH, file=io.StringIO())
    _print(tables, console)
    names = " ".join(table.name for table in tables)
    return console.export_svg(title=f"eleatt-bench table {names}").rstrip() + "\n"


def _print(tables: Sequence[Table], console: Console) -> None:
    for index, table in enumerate(tables):
        if index:
            console.print()
        console.print(_grid(lay_out(table, console.width), Text(title(table)), justify="right"))
        if table.claims:
            console.print(_grid(lay_out_claims(table), None, justify="left"))
        for note in notes(table):
            console.print(printable(note), style="dim")


def _grid(grid: Grid, above: Text | None, justify: Literal["left", "right"]) -> RichTable:
    shown = RichTable(title=above, box=box.SIMPLE_HEAD, title_style="bold")
    for index, name in enumerate(grid.header):
        shown.add_column(Text(name), justify=justify if index else "left", overflow="fold")
    for group in grid.groups:
        shown.add_section()
        if group.title:
            shown.add_row(Text(group.title, style="italic"))
        for line in group.lines:
            # As Text, because [1] would be markup.
            shown.add_row(*map(Text, line), style="dim" if group.cited else None)
    return shown
