"""Tables in Python, with their cells and claims as frames of pandas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.extras import require
from eleatt_bench.report.as_csv import CELL_FIELDS, CLAIM_FIELDS, cell_lines, claim_lines
from eleatt_bench.report.render import render
from eleatt_bench.tables import build
from eleatt_bench.tables.plan import plans
from eleatt_bench.tables.table import Table

if TYPE_CHECKING:
    from pandas import DataFrame


class Tables:
    """A table, or the several tables of one like ``paper``, from the runs that are finished."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self._tables = tuple(tables)

    def cells(self) -> DataFrame:
        """A row for each cell: accuracies in %, with their interval and the paper's value.

        The columns are those of ``eleatt-bench table NAME --format csv``.

        Raises:
            UserError: pandas is not installed.
        """
        lines = (line for table in self._tables for line in cell_lines(table))
        return as_frame(lines, CELL_FIELDS)

    def claims(self) -> DataFrame:
        """A row for each claim: the difference in percentage points, its interval, the verdict.

        The columns are those of ``eleatt-bench table NAME --claims --format csv``.

        Raises:
            UserError: pandas is not installed.
        """
        lines = (line for table in self._tables for line in claim_lines(table))
        return as_frame(lines, CLAIM_FIELDS)

    def __repr__(self) -> str:
        return render(self._tables, "md")


def table(name: str, overrides: Sequence[str] = ()) -> Tables:
    """The table ``name`` from the finished runs; ``overrides`` as for ``eleatt-bench table``.

    Raises:
        UserError: an unknown table, or an override that does not apply.
    """
    return Tables([build.table(plan) for plan in plans(name, listed(overrides))])


def listed(overrides: Sequence[str]) -> list[str]:
    """``overrides`` as a list; a single text instead of a list is a `UserError`."""
    if isinstance(overrides, str):
        raise UserError(f"Give a list of overrides: [{overrides!r}]")
    return list(overrides)


def as_frame(rows: Iterable[Mapping[str, Any]], always: Sequence[str] = ()) -> DataFrame:
    """A frame with a column for each of ``always`` and for every key in any of ``rows``.

    Missing numbers are NaN.

    Raises:
        UserError: pandas is not installed.
    """
    require("frames", "A frame")
    from pandas import DataFrame

    found = list(rows)
    keys = dict.fromkeys((*always, *(key for row in found for key in row)))
    return DataFrame({key: _column([row.get(key) for row in found]) for key in keys})


def _column(found: list[Any]) -> list[Any]:
    is_number = [type(value) in (int, float) for value in found]
    if not any(is_number) or any(
        value is not None and not fits for value, fits in zip(found, is_number, strict=True)
    ):
        return found
    return [np.nan if value is None else value for value in found]
