"""Tables for other programs: every number as it is, claims included."""

from __future__ import annotations

import csv as csv_module
import io
import json as json_module
from collections.abc import Iterator, Sequence
from typing import Any

from eleatt_bench.tables.table import Claim, Row, Table, TableCell

_FIELDS = (
    "kind", "table", "rehearsal", "section", "row", "column", "than",
    "mean", "std", "fold_std", "low", "high", "seeds", "seeds_asked", "runs", "runs_asked",
    "paper", "difference", "parameters", "seconds_per_epoch", "values", "verdict", "decided_at",
    "margin", "p", "holm", "crossed_low", "crossed_high",
)  # fmt: skip


def csv(tables: Sequence[Table]) -> str:
    """A line per cell (``kind`` is ours or cited) and a line per claim.

    ``values`` are SEED:ACCURACY, ``seconds_per_epoch`` SECONDS on DEVICE; several are separated by
    ``; ``. A claim's ``mean``, ``std``, ``low`` and ``high`` are of the paired difference of
    ``row`` less ``than``.
    """
    out = io.StringIO()
    writer = csv_module.DictWriter(out, _FIELDS, lineterminator="\n", restval="")
    writer.writeheader()
    for table in tables:
        for entry in _lines(table):
            writer.writerow({key: _text(value) for key, value in entry.items()})
    return out.getvalue()


def json(tables: Sequence[Table]) -> str:
    """A list with an object for each table."""
    found = [_object(table) for table in tables]
    return json_module.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _lines(table: Table) -> Iterator[dict[str, Any]]:
    for kind, section, row in _rows(table):
        for column, cell in zip(table.columns, row.cells, strict=True):
            seconds = (cell.seconds or {}).items()
            yield {
                "kind": kind,
                "table": table.name,
                "rehearsal": table.rehearsal,
                "section": section,
                "row": row.name,
                "column": column.name,
                **_numbers(cell),
                "seconds_per_epoch": "; ".join(f"{s!r} on {device}" for device, s in seconds),
                "values": "; ".join(f"{seed}:{value!r}" for seed, value in cell.by_seed.items()),
            }
    for claim in table.claims:
        yield {
            "kind": "claim",
            "table": table.name,
            "rehearsal": table.rehearsal,
            "section": claim.section,
            "row": claim.better,
            "than": claim.than,
            "column": claim.column,
            **_found(claim),
        }


def _object(table: Table) -> dict[str, Any]:
    return {
        "name": table.name,
        "title": table.title,
        "rehearsal": table.rehearsal,
        "command": table.command,
        "runs": table.finished,
        "runs_asked": table.runs,
        "columns": [{"name": c.name, "folds": c.folds} for c in table.columns],
        "cells": [
            {
                "kind": kind,
                "section": section,
                "row": row.name,
                "column": column.name,
                **_numbers(cell),
                "seconds_per_epoch": dict(cell.seconds or {}),
                "results": [
                    {"seed": r.seed, "mean": r.mean, "accuracies": list(r.accuracies)}
                    for r in cell.results
                ],
            }
            for kind, section, row in _rows(table)
            for column, cell in zip(table.columns, row.cells, strict=True)
        ],
        "claims": [
            {
                "section": claim.section,
                "better": claim.better,
                "than": claim.than,
                "column": claim.column,
                **_found(claim),
                "judgement": claim.judgement.plain(),
                "crossed": None if claim.crossed is None else claim.crossed._asdict(),
                "groups": claim.groups,
                "collapsed": list(claim.collapsed),
                "tests": [_test(claim, index) for index in range(len(claim.tests))],
            }
            for claim in table.claims
        ],
        "paper_note": table.paper_note,
        "section_notes": {s.name: s.paper_note for s in table.sections if s.paper_note},
        "notes": list(table.notes),
    }


def _rows(table: Table) -> Iterator[tuple[str, str, Row]]:
    for row in table.cited:
        yield "cited", "", row
    for section in table.sections:
        for row in section.rows:
            yield "ours", section.name, row


def _numbers(cell: TableCell) -> dict[str, Any]:
    return {
        "mean": cell.mean,
        "std": cell.std,
        "fold_std": cell.fold_std,
        "seeds": len(cell.values),
        "seeds_asked": len(cell.results),
        "runs": cell.finished,
        "runs_asked": cell.runs,
        "paper": cell.paper,
        "difference": cell.difference,
        "parameters": cell.parameters,
    }


def _found(claim: Claim) -> dict[str, Any]:
    found, both = claim.judgement, claim.crossed
    return {
        "mean": found.mean,
        "std": found.std,
        "low": found.low,
        "high": found.high,
        "seeds": found.count,
        "paper": found.paper,
        "verdict": found.verdict,
        "decided_at": found.decided_at,
        "margin": found.margin,
        "p": found.p,
        "holm": claim.holm,
        "crossed_low": None if both is None else both.low,
        "crossed_high": None if both is None else both.high,
    }


def _test(claim: Claim, index: int) -> dict[str, Any]:
    test = claim.tests[index]
    found: dict[str, Any] = {
        "seed": test.seed,
        "better_only": test.better_only,
        "than_only": test.than_only,
    }
    if test.interval is None:
        return {**found, "mcnemar_p": test.p}
    return {**found, "bootstrap_low": test.interval.low, "bootstrap_high": test.interval.high}


def _text(value: Any) -> Any:
    return "" if value is None else value
