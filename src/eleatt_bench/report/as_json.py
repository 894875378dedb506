"""All that is known of tables, for other programs: runs, seeds, cells, claims and notes."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterator, Sequence
from typing import Any

from eleatt_bench.tables.table import Claim, SampleTest, Table, TableCell


def json(tables: Sequence[Table]) -> str:
    """A list with an object for each table."""
    found = [_object(table) for table in tables]
    return json_module.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _object(table: Table) -> dict[str, Any]:
    return {
        "name": table.name,
        "title": table.title,
        "rehearsal": table.rehearsal,
        "command": table.command,
        "runs": table.finished,
        "runs_asked": table.runs,
        "columns": [{"name": c.name, "folds": c.folds} for c in table.columns],
        "cells": list(_cells(table)),
        "claims": [_claim(claim) for claim in table.claims],
        "paper_note": table.paper_note,
        "section_notes": {s.name: s.note for s in table.sections if s.note},
        "notes": list(table.notes),
    }


def _cells(table: Table) -> Iterator[dict[str, Any]]:
    for section, row, cited in table.placed_rows:
        for column, cell in zip(table.columns, row.cells, strict=True):
            yield {
                "kind": "cited" if cited else "ours",
                "section": section,
                "row": row.name,
                "column": column.name,
                **({"ensemble": list(row.members)} if row.members else {}),
                **_numbers(cell),
                "seconds_per_epoch": dict(cell.seconds or {}),
                "results": [
                    {
                        "seed": r.seed,
                        "mean": r.mean,
                        "accuracies": list(r.accuracies),
                        "runs": [None if run is None else run._asdict() for run in r.runs],
                    }
                    for r in cell.results
                ],
            }


def _numbers(cell: TableCell) -> dict[str, Any]:
    low, high = cell.interval or (None, None)
    return {
        "mean": cell.mean,
        "std": cell.std,
        "low": low,
        "high": high,
        "fold_std": cell.fold_std,
        "seeds": len(cell.values),
        "seeds_asked": len(cell.results),
        "runs": cell.finished,
        "runs_asked": cell.runs,
        "paper": cell.paper,
        "difference": cell.difference,
        "parameters": cell.parameters,
    }


def _claim(claim: Claim) -> dict[str, Any]:
    return {
        "section": claim.section,
        "better": claim.better,
        "than": claim.than,
        "column": claim.column,
        **_judged(claim),
        "holm": claim.holm,
        "crossed": None if claim.crossed is None else claim.crossed._asdict(),
        "groups": claim.groups,
        "collapsed": list(claim.collapsed),
        "tests": [_test(test) for test in claim.tests],
    }


def _judged(claim: Claim) -> dict[str, Any]:
    found = claim.judgement.plain()
    return {"seeds": found.pop("count"), **found}


def _test(test: SampleTest) -> dict[str, Any]:
    found: dict[str, Any] = {
        "seed": test.seed,
        "better_only": test.better_only,
        "than_only": test.than_only,
    }
    if test.interval is None:
        return {**found, "mcnemar_p": test.p}
    return {**found, "bootstrap_low": test.interval.low, "bootstrap_high": test.interval.high}
