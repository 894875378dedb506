"""The numbers of tables for other programs: a line per cell, or a line per claim."""

from __future__ import annotations

import csv as csv_module
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from eleatt_bench.tables.table import Claim, Table, TableCell

_WHERE = ("table", "rehearsal", "section")
_NUMBERS = ("mean", "sd", "n", "low", "high", "paper")
CELL_FIELDS = (
    *_WHERE,
    "row",
    "column",
    "cited",
    *_NUMBERS,
    "in_paper",
    "n_asked",
    "folds",
    "folds_sd",
    "parameters",
)
CLAIM_FIELDS = (
    *_WHERE, "better", "than", "column", *_NUMBERS, "confidence", "margin", "verdict", "decided_at",
    "within_margin", "stopped_early", "exploratory", "p", "holm", "crossed_over",
    "crossed_low", "crossed_high",
)  # fmt: skip


def csv(tables: Sequence[Table]) -> str:
    """A line per cell: the mean accuracy in % over ``n`` seeds, and the paper's value.

    ``sd`` is the sample standard deviation over seeds, ``low`` and ``high`` are the 95 % t interval
    of the mean, and ``folds_sd`` is the spread over the folds of a seed. Unknown values are empty.
    If a section is not ``in_paper``, the paper's values in it are of something else.
    """
    return _written(CELL_FIELDS, (line for table in tables for line in cell_lines(table)))


def csv_claims(tables: Sequence[Table]) -> str:
    """A line per claim: the mean of ``better`` less ``than`` in percentage points.

    It is over the ``n`` seeds that both rows have. ``low`` and ``high`` are its interval with the
    ``confidence`` of a look.
    """
    return _written(CLAIM_FIELDS, (line for table in tables for line in claim_lines(table)))


def _written(fields: Sequence[str], lines: Iterable[Mapping[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv_module.DictWriter(out, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue()


def cell_lines(table: Table) -> Iterator[dict[str, Any]]:
    """What `csv` says of each cell."""
    others = {section.name for section in table.sections if not section.in_paper}
    for section, row, cited in table.placed_rows:
        for column, cell in zip(table.columns, row.cells, strict=True):
            yield {
                **_where(table, section),
                "row": row.name,
                "column": column.name,
                "cited": cited,
                **_numbers(cell),
                "in_paper": cited or section not in others,
                "folds": column.folds,
            }


def _where(table: Table, section: str) -> dict[str, Any]:
    return {"table": table.name, "rehearsal": table.rehearsal, "section": section}


def _numbers(cell: TableCell) -> dict[str, Any]:
    low, high = cell.interval or (None, None)
    return {
        "mean": cell.mean,
        "sd": cell.std,
        "n": len(cell.values),
        "low": low,
        "high": high,
        "paper": cell.paper,
        "n_asked": len(cell.results),
        "folds_sd": cell.fold_std,
        "parameters": cell.parameters,
    }


def claim_lines(table: Table) -> Iterator[dict[str, Any]]:
    """What `csv_claims` says of each claim."""
    return (_claim(table, claim) for claim in table.claims)


def _claim(table: Table, claim: Claim) -> dict[str, Any]:
    found, both = claim.judgement, claim.crossed
    return {
        **_where(table, claim.section),
        "better": claim.better,
        "than": claim.than,
        "column": claim.column,
        "mean": found.mean,
        "sd": found.std,
        "n": found.count,
        "low": found.low,
        "high": found.high,
        "paper": found.paper,
        "confidence": found.confidence,
        "margin": found.margin,
        "verdict": found.verdict,
        "decided_at": found.decided_at,
        "within_margin": found.within_margin,
        "stopped_early": found.stopped_early,
        "exploratory": found.exploratory,
        "p": found.p,
        "holm": claim.holm,
        "crossed_over": None if both is None else claim.groups,
        "crossed_low": None if both is None else both.low,
        "crossed_high": None if both is None else both.high,
    }
