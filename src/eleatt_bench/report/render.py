"""Tables in every format there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from eleatt_bench.report.csv_json import csv, json
from eleatt_bench.report.latex import latex
from eleatt_bench.report.markdown import markdown
from eleatt_bench.report.terminal import svg, terminal
from eleatt_bench.tables.table import Table

FORMATS: dict[str, Callable[[Sequence[Table]], str]] = {
    "term": terminal,
    "md": markdown,
    "tex": latex,
    "csv": csv,
    "json": json,
    "svg": svg,
}


def render(tables: Sequence[Table], form: str) -> str:
    """``tables`` in the format ``form``, one of `FORMATS`, ending in a newline."""
    return FORMATS[form](tables)
