"""Tables in every format there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path
from typing import NamedTuple

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.files import write_text
from eleatt_bench.report.as_csv import csv, csv_claims
from eleatt_bench.report.as_json import json
from eleatt_bench.report.latex import latex
from eleatt_bench.report.latex_claims import latex_claims
from eleatt_bench.report.markdown import markdown, markdown_claims
from eleatt_bench.report.terminal import svg, svg_claims, terminal, terminal_claims
from eleatt_bench.tables.table import Table

Write = Callable[..., str]
"""Writes tables; some functions also take the number of digits after the point."""


class Format(NamedTuple):
    """How tables are written, and how their claims alone.

    If ``claims`` is None, the claims are part of what ``tables`` writes.
    """

    tables: Write
    claims: Write | None
    exact: bool = False  # numbers have all their digits


FORMATS = {
    "term": Format(terminal, terminal_claims),
    "md": Format(markdown, markdown_claims),
    "tex": Format(latex, latex_claims),
    "csv": Format(csv, csv_claims, exact=True),
    "json": Format(json, None, exact=True),
    "svg": Format(svg, svg_claims),
}


def render(
    tables: Sequence[Table], form: str, *, claims: bool = False, digits: int | None = None
) -> str:
    """``tables``, or their ``claims`` alone, in the format ``form``, ending in a newline.

    Raises:
        UserError: ``digits`` for a format that has all of them, or ``claims`` for one that does not
            set them apart.
    """
    made = FORMATS[form]
    if made.exact and digits is not None:
        raise UserError(f"--digits is not for {form}, whose numbers have all their digits")
    if claims and made.claims is None:
        raise UserError(f"--claims is not for {form}, which holds cells and claims in one")
    write = made.claims if claims and made.claims is not None else made.tables
    return write(tables) if made.exact or digits is None else write(tables, digits)


def files(stem: str, table: Table, forms: Sequence[str]) -> dict[str, str]:
    """A table in each of ``forms``, by the names of its files; claims are in files of their own."""
    found = {}
    for form in forms:
        found[f"{stem}.{form}"] = render([table], form)
        if table.claims and FORMATS[form].claims is not None:
            found[f"{stem}-claims.{form}"] = render([table], form, claims=True)
    return found


def outdated(folder: Path, stem: str, made: Set[str]) -> list[Path]:
    """The files of a table's claims in ``folder``, if none are among the files ``made`` of it."""
    names = [f"{stem}-claims.{form}" for form, one in FORMATS.items() if one.claims is not None]
    # Claims are never in JSON of their own: that is a table with such a name.
    if not made.isdisjoint(names) or (folder / f"{stem}-claims.json").exists():
        return []
    return [folder / name for name in names if (folder / name).exists()]


def write_files(folder: Path, stem: str, made: Mapping[str, str]) -> None:
    """Write the `files` that were ``made`` of a table, and remove those of claims that it had."""
    for name, text in made.items():
        write_text(folder / name, text)
    for path in outdated(folder, stem, made.keys()):
        path.unlink()
