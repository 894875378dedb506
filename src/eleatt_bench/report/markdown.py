"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

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


def markdown(tables: Sequence[Table]) -> str:
    """Each table, its claims and its notes."""
    return "\n".join(_one(table) for table in tables)


def _one(table: Table) -> str:
    names = header(table)
    lines = [
        f"**{_text(title(table))}**",
        "",
        _row(names),
        _row([":--", *["--:"] * (len(names) - 1)]),
    ]
    lines += [_row(line(table, row)) for row in table.cited]
    for section in table.sections:
        if section.name:
            lines.append(_row([f"*{section_title(section)}*", *[""] * (len(names) - 1)]))
        lines += [_row(line(table, row)) for row in section.rows]
    if table.claims:
        lines += ["", _row(CLAIM_HEADER), _row([":--"] * len(CLAIM_HEADER))]
        lines += [_row(claim_line(claim)) for claim in table.claims]
    lines += ["", *(f"- {_text(note)}" for note in notes(table))]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_text(cell) for cell in cells) + " |"


_ESCAPED = {sign: f"\\{sign}" for sign in "\\`|<>"}


def _text(text: str) -> str:
    return "".join(_ESCAPED.get(sign, sign) for sign in text)
