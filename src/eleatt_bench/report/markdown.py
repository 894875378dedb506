"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from eleatt_bench.report.grid import Grid, lay_out, lay_out_claims
from eleatt_bench.report.numbers import DIGITS
from eleatt_bench.report.verdict_text import of_all
from eleatt_bench.report.wording import (
    cell_notes,
    claim_notes,
    crossed_notes,
    family_note,
    remarks,
    title,
)
from eleatt_bench.tables.table import Table


def markdown(tables: Sequence[Table], digits: int = DIGITS) -> str:
    """The cells of each table and their notes."""
    return "\n".join(
        _one(table, _grid(lay_out(table, digits=digits), "--:"), cell_notes(table))
        for table in tables
    )


def markdown_claims(tables: Sequence[Table], digits: int = DIGITS) -> str:
    """The tested claims of each table that has any claims, and their notes."""
    found = [
        _one(
            table,
            _grid(lay_out_claims(table, digits), ":--"),
            [*claim_notes(table), *family_note(table.claims), *crossed_notes(table)],
        )
        for table in tables
        if table.claims
    ]
    return "\n".join([*found, *([f"{of_all(tables)}\n"] if len(tables) > 1 else [])])


def _one(table: Table, grid: Sequence[str], said: Sequence[str]) -> str:
    below = (f"- {_text(note)}" for note in (*said, *remarks(table)))
    above = [*grid, ""] if grid else []
    return "\n".join([f"**{_text(title(table))}**", "", *above, *below]) + "\n"


def _grid(layout: Grid, side: str) -> list[str]:
    if not layout.groups:
        return []
    others = len(layout.header) - 1
    lines = [_row(layout.header), _row([":--", *[side] * others])]
    for group in layout.groups:
        if group.title:
            lines.append(f"| *{_text(group.title)}* {_row([''] * others)}")
        lines += [_row(line) for line in group.lines]
    return lines


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_text(cell) for cell in cells) + " |"


_ESCAPED = {sign: f"\\{sign}" for sign in "\\`|<>*"}


def _text(text: str) -> str:
    return "".join(_ESCAPED.get(sign, sign) for sign in text)
