"""What a table's specification means, and whether it makes sense."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from eleatt_bench.common.errors import UserError, unknown
from eleatt_bench.data.protocols import PROTOCOLS

Spec = dict[str, Any]
"""`eleatt_bench.config.tables.TableConfig`, or a part of it, as plain values."""

QUICK = 2
"""How many seeds, and folds of each, a rehearsal has at most."""


def quick_spec(spec: Spec) -> Spec:
    """``spec`` with the seeds of a rehearsal."""
    return {**spec, "seeds": spec["seeds"][:QUICK]}


def sections_of(spec: Spec) -> list[Spec]:
    """The table's sections; one without a name where it has none."""
    return spec["sections"] or [{"name": "", "overrides": [], "paper_note": ""}]


def folds_of(column: Spec, data: Mapping[str, Any]) -> list[int]:
    """The folds whose mean a cell of ``column`` is; ``data`` is its runs' data section.

    Raises:
        UserError: the protocol has no folds that could be all.
    """
    if column["folds"] is None:
        return [data["fold"]]
    if column["folds"] != "all":
        return list(column["folds"])
    protocols = PROTOCOLS.get(data["name"], {})
    if data["protocol"] not in protocols:
        raise unknown(f"protocol of {data['name']}", data["protocol"], protocols)
    return list(range(protocols[data["protocol"]].folds))


def check_spec(spec: Spec) -> None:
    """Refuse a table that speaks of what it does not have.

    Raises:
        UserError: no seeds, columns or rows, a name given twice, folds that are no list of numbers,
            or an unknown row or column.
    """
    name = spec["name"]
    for part in ("seeds", "columns", "rows"):
        if not spec[part]:
            raise UserError(f"Table {name} has no {part}: give it some, table.{part}=[…]")
    rows = _distinct(name, "row", [r["name"] for r in (*spec["rows"], *spec["cited"])])
    columns = _distinct(name, "column", [column["name"] for column in spec["columns"]])
    _distinct(name, "section", [section["name"] for section in spec["sections"]])
    _distinct(name, "seed", spec["seeds"])
    for column in spec["columns"]:
        _check_folds(name, column)
    for row in (*spec["rows"], *spec["cited"]):
        _known(name, "column", row["paper"], columns)
    own = rows[: len(spec["rows"])]
    for claim in spec["claims"]:
        _known(name, "row", (claim["better"], claim["than"]), own)
        _known(name, "column", claim["columns"], columns)


def _check_folds(table: str, column: Spec) -> None:
    folds = column["folds"]
    listed = isinstance(folds, list) and folds and all(type(fold) is int for fold in folds)
    if folds is not None and folds != "all" and not (listed and len(set(folds)) == len(folds)):
        raise UserError(
            f"Table {table}: folds of column {column['name']} are {folds!r}; they must be all, or "
            "a list of different numbers"
        )


def _distinct(table: str, kind: str, names: list[Any]) -> list[Any]:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"Table {table} has {kind} {twice!r} twice")
    return names


def _known(table: str, kind: str, names: Iterable[str], choices: list[str]) -> None:
    for name in names:
        if name not in choices:
            raise unknown(f"{kind} of table {table}", name, choices)
