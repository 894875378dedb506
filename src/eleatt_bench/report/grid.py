"""How the cells and the claims of a table are laid out in rows and columns of text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from eleatt_bench.report.numbers import DIGITS, NOTHING, number
from eleatt_bench.report.wording import (
    cell_text,
    claim_line,
    is_tested,
    paper_text,
    seconds_text,
    section_title,
)
from eleatt_bench.tables.table import Row, Table, TableCell

CLAIM_HEADER = ("claim", "column", "over seeds", "over samples too", "paper", "verdict")


@dataclass(frozen=True)
class Group:
    """Lines below one title, which may be empty; if ``cited``, they are other people's results."""

    title: str
    lines: tuple[tuple[str, ...], ...]
    cited: bool = False


@dataclass(frozen=True)
class Grid:
    header: tuple[str, ...]
    groups: tuple[Group, ...]

    @property
    def width(self) -> int:
        """The width in characters, two of them between columns."""
        lines = [self.header, *(line for group in self.groups for line in group.lines)]
        return sum(2 + max(map(len, column)) for column in zip(*lines, strict=True))


def lay_out(table: Table, width: int | None = None, digits: int = DIGITS) -> Grid:
    """A line for each row, or one for each row and column if that is wider than ``width``."""
    wide = _wide(table, digits)
    return wide if width is None or wide.width <= width else _long(table, digits)


def lay_out_claims(table: Table, digits: int = DIGITS) -> Grid:
    """A line for each claim and column that was tested, below the names of the sections.

    The columns of the paper's differences and of the intervals over samples or subjects are left
    out if no claim has any.
    """
    tested = [claim for claim in table.claims if is_tested(claim)]
    unknown = {
        "over samples too": all(claim.crossed is None for claim in tested),
        "paper": all(claim.judgement.paper is None for claim in tested),
    }
    shown = [name for name in CLAIM_HEADER if not unknown.get(name)]
    groups = []
    for section in table.sections:
        texts = (
            dict(zip(CLAIM_HEADER, claim_line(claim, digits), strict=True))
            for claim in tested
            if claim.section == section.name
        )
        lines = tuple(tuple(text[name] for name in shown) for text in texts)
        if lines:
            groups.append(Group(section_title(section), lines))
    drawn = dict.fromkeys(claim.groups for claim in tested if claim.crossed is not None)
    over = {"over samples too": f"over {' or '.join(drawn)} too"}
    return Grid(tuple(over.get(name, name) for name in shown), tuple(groups))


def _wide(table: Table, digits: int) -> Grid:
    header = [""]
    for column, in_paper in zip(table.columns, table.in_paper, strict=True):
        header.append(column.name)
        header += ["± folds"] if column.folds > 1 else []
        header += ["paper (difference)"] if in_paper else []
    groups = [Group(section_title(s), _lines(table, s.rows, digits)) for s in table.sections]
    if table.cited:
        groups.insert(0, Group("", _lines(table, table.cited, digits), cited=True))
    return Grid((*header, "parameters", "s/epoch"), tuple(groups))


def _lines(table: Table, rows: Sequence[Row], digits: int) -> tuple[tuple[str, ...], ...]:
    return tuple(_line(table, row, digits) for row in rows)


def _line(table: Table, row: Row, digits: int) -> tuple[str, ...]:
    found = [row.name]
    for column, in_paper, cell in zip(table.columns, table.in_paper, row.cells, strict=True):
        found.append(cell_text(cell, digits))
        found += [number(cell.fold_std, digits)] if column.folds > 1 else []
        found += [paper_text(cell, digits)] if in_paper else []
    parameters = joined(parameters_text(cell) for cell in row.cells)
    return (*found, parameters, joined(seconds_text(cell, table) for cell in row.cells))


def _long(table: Table, digits: int) -> Grid:
    folds, in_paper = any(c.folds > 1 for c in table.columns), any(table.in_paper)
    header = ["", "accuracy", *["± folds"] * folds, *["paper (difference)"] * in_paper]
    groups = []
    for index, column in enumerate(table.columns):
        parts = [("", table.cited), *((section_title(s), s.rows) for s in table.sections)]
        for number_of_part, (name, rows) in enumerate(parts):
            lines = []
            for row in rows:
                cell = row.cells[index]
                if not cell.results and cell.paper is None:
                    continue
                line = [row.name, cell_text(cell, digits)]
                line += [number(cell.fold_std, digits)] * folds
                line += [paper_text(cell, digits)] * in_paper
                lines.append((*line, parameters_text(cell), seconds_text(cell, table)))
            title = ": ".join(filter(None, (column.name, name)))
            if lines:
                groups.append(Group(title, tuple(lines), cited=number_of_part == 0))
    return Grid((*header, "parameters", "s/epoch"), tuple(groups))


def parameters_text(cell: TableCell) -> str:
    """``1,234``, or a dash for a cited row."""
    return NOTHING if cell.parameters is None else f"{cell.parameters:,}"


def joined(texts: Iterable[str]) -> str:
    """One text if all are the same, else all of them in the order of the columns."""
    listed = list(texts)
    return listed[0] if len(set(listed)) == 1 else " / ".join(listed)
