"""A part of some tables: certain columns, rows and sections, and the claims that are left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from eleatt_bench.common.errors import UserError, unknown
from eleatt_bench.tables.table import Row, Section, Table


@dataclass(frozen=True)
class Selection:
    """The parts of a table to show, by name; an empty list means all.

    ``rows`` may name cited rows. If ``cited`` is false, cited rows are shown only if named.
    """

    columns: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    cited: bool = True


def select(tables: Sequence[Table], chosen: Selection) -> list[Table]:
    """The ``chosen`` parts of ``tables``, in their own order; tables without any are left out.

    Raises:
        UserError: a name that no table has, or names that no table has together.
    """
    _check("column", chosen.columns, (c.name for t in tables for c in t.columns))
    _check("row", chosen.rows, (row.name for t in tables for row in t.rows))
    _check("section", chosen.sections, (s.name for t in tables for s in t.sections if s.name))
    found = [_of_table(table, chosen) for table in tables]
    left = [t for t in found if t.columns and (t.sections or (t.cited and not chosen.sections))]
    if not left:
        raise UserError("Nothing is left: no table has all of these columns, rows and sections")
    is_part = any(len(old.claims) > len(new.claims) for old, new in zip(tables, found, strict=True))
    return [replace(table, is_part=is_part) for table in left]


def _check(kind: str, names: Iterable[str], choices: Iterable[str]) -> None:
    known = set(choices)
    for name in names:
        if name not in known:
            raise unknown(kind, name, known)


def _of_table(table: Table, chosen: Selection) -> Table:
    is_column, is_row = _in(chosen.columns), _in(chosen.rows)
    places = [place for place, column in enumerate(table.columns) if is_column(column.name)]

    def rows_of(rows: Sequence[Row]) -> tuple[Row, ...]:
        kept = (row for row in rows if is_row(row.name))
        return tuple(
            replace(row, cells=tuple(row.cells[place] for place in places)) for row in kept
        )

    def section_of(section: Section) -> Section:
        return replace(section, rows=rows_of(section.rows))

    is_section = _in(chosen.sections)
    sections = [section_of(s) for s in table.sections if is_section(s.name)]
    shown = {section.name for section in sections}
    claims = tuple(
        claim
        for claim in table.claims
        if claim.section in shown
        and is_column(claim.column)
        and is_row(claim.better)
        and is_row(claim.than)
    )
    return replace(
        table,
        columns=tuple(table.columns[place] for place in places),
        sections=tuple(section for section in sections if section.rows),
        cited=rows_of(table.cited) if chosen.cited or chosen.rows else (),
        claims=claims,
    )


def _in(names: Sequence[str]) -> Callable[[str], bool]:
    return lambda name: not names or name in names
