"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from eleatt_bench.report.grid import Grid, lay_out, lay_out_claims
from eleatt_bench.report.wording import notes, title
from eleatt_bench.tables.table import Table


def markdown(tables: Sequence[Table]) -> str:
    """Each table, its claims and its notes."""
    return "\n".join(_one(table) for table in tables)


def _one(table: Table) -> str:
    lines = [f"**{_text(title(table))}**", "", *_grid(lay_out(table), "--:")]
    if table.claims:
        lines += ["", *_grid(lay_out_claims(table), ":--")]
    lines += ["", *(f"- {_text(note)}" for note in notes(table))]
    return "\n".join(lines) + "\n"


def _grid(layout: Grid, side: str) -> list[str]:
    others = len(layout.header) - 1
    lines = [_row(layout.header), _row([":--", *[side] * others])]
    for group in layout.groups:
        if group.title:
            lines.append(_row([f"*{group.title}*", *[""] * others]))
        lines += [_row(line) for line in group.lines]
    return lines


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_text(cell) for cell in cells) + " |"


_ESCAPED = {sign: f"\\{sign}" for sign in "\\`|<>"}


def _text(text: str) -> str:
    return "".join(_ESCAPED.get(sign, sign) for sign in text)
