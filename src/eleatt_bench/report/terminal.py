"""Tables for a terminal, and as a picture of one."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from eleatt_bench.report.wording import (
    CLAIM_HEADER,
    claim_line,
    header,
    line,
    notes,
    section_title,
    title,
)
from eleatt_bench.tables.table import Table

_WIDTH = 120  # where there is no terminal


def terminal(tables: Sequence[Table]) -> str:
    """``tables`` as wide as the terminal; plain text where there is none."""
    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH
    with console.capture() as capture:
        _print(tables, console)
    return capture.get()


def svg(tables: Sequence[Table]) -> str:
    """A picture of what `terminal` shows."""
    console = Console(record=True, width=_WIDTH, file=io.StringIO())
    _print(tables, console)
    names = " ".join(table.name for table in tables)
    return console.export_svg(title=f"eleatt-bench table {names}").rstrip() + "\n"


def _print(tables: Sequence[Table], console: Console) -> None:
    for index, table in enumerate(tables):
        if index:
            console.print()
        console.print(_grid(table))
        if table.claims:
            console.print(_claims(table))
        for note in notes(table):
            console.print(note, style="dim", highlight=False, markup=False)


def _grid(table: Table) -> Grid:
    grid = _empty(header(table), Text(title(table)))
    for row in table.cited:
        grid.add_row(*_plain(line(table, row)), style="dim")
    for section in table.sections:
        grid.add_section()
        if section.name:
            grid.add_row(Text(section_title(section), style="italic"))
        for row in section.rows:
            grid.add_row(*_plain(line(table, row)))
    return grid


def _claims(table: Table) -> Grid:
    grid = _empty(list(CLAIM_HEADER), None)
    for claim in table.claims:
        grid.add_row(*_plain(claim_line(claim)))
    return grid


def _empty(names: Sequence[str], above: Text | None) -> Grid:
    grid = Grid(title=above, box=box.SIMPLE_HEAD, title_style="bold")
    for index, name in enumerate(names):
        right = index > 0 and above is not None
        grid.add_column(Text(name), justify="right" if right else "left", overflow="fold")
    return grid


def _plain(texts: Sequence[str]) -> list[Text]:
    """``[1]`` is no markup here."""
    return [Text(text) for text in texts]
