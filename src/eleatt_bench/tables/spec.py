"""What a table's specification means, and whether it makes sense."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from eleatt_bench.common.errors import UserError, unknown
from eleatt_bench.tables.judgement import Design
from eleatt_bench.tables.power import MOST_SEEDS

Spec = dict[str, Any]
"""`eleatt_bench.config.tables.TableConfig`, or a part of it, as plain values."""

METRICS = ("accuracy", "accuracy_clean")
"""What a column may show of its runs."""

REHEARSED = 2
"""How many seeds, and folds of each, a rehearsal has at most."""

Place = tuple[str, str, str]
"""Section, row and column."""


def declared(spec: Spec, typed: Collection[str] = (), *, quick: bool = False) -> Spec:
    """``spec`` with ``seeds`` and ``looks`` in each column; those of a rehearsal if ``quick``.

    A column's looks win over the table's. ``typed`` are the table's settings that the user typed:
    "seeds" and "looks" then win over the table's file. Seeds without looks mean one look at all of
    them. Looks without seeds mean the seeds 0, 1, … up to what the last look needs.
    """
    columns = []
    for column in spec["columns"]:
        looks = (spec["looks"] if "looks" in typed else column["looks"]) or spec["looks"]
        if "seeds" in typed and "looks" not in typed:
            looks = []
        last = min(max(looks, default=0), MOST_SEEDS)
        seeds = list(spec["seeds"] or range(last))
        if quick:
            seeds, looks = seeds[:REHEARSED], []
        columns.append({**column, "seeds": seeds, "looks": list(looks or [len(seeds)])})
    return {**spec, "columns": columns}


def design_of(column: Spec, paper: float | None = None, margin: float | None = None) -> Design:
    """How a claim in a column of a `declared` table is judged.

    Raises:
        UserError: as `Design`.
    """
    return Design(tuple(column["seeds"]), tuple(column["looks"]), paper, margin)


def sections_of(spec: Spec) -> list[Spec]:
    """The table's sections, or one without a name if it has none."""
    return spec["sections"] or [{"name": "", "overrides": [], "in_paper": True, "paper_note": ""}]


def cells_of(spec: Spec) -> Iterator[tuple[Spec, Spec, Spec]]:
    """Every (section, row, column) of a table."""
    for section in sections_of(spec):
        for row in spec["rows"]:
            for column in spec["columns"]:
                yield section, row, column


def folds_of(column: Spec, data: Mapping[str, Any]) -> list[int]:
    """The folds that a cell of ``column`` is the mean of; ``data`` is its runs' data section.

    Raises:
        UserError: all folds are asked for, and the data set or the protocol is unknown.
    """
    if column["folds"] is None:
        return [data["fold"]]
    if column["folds"] != "all":
        return list(column["folds"])
    from eleatt_bench.data.protocols import find

    return list(range(find(data["name"], data["protocol"]).folds))


def claims_of(spec: Spec) -> Iterator[tuple[Spec, Spec, Spec, Design]]:
    """Every claim of a `declared` table, as (section, claim, column, design)."""
    papers = {row["name"]: row["paper"] for row in spec["rows"]}
    for section in sections_of(spec):
        for claim in spec["claims"]:
            for column in spec["columns"]:
                name = column["name"]
                if not claim["columns"] or name in claim["columns"]:
                    two = [papers[claim[row]].get(name) for row in ("better", "than")]
                    known = section["in_paper"] and None not in two
                    paper = two[0] - two[1] if known else None
                    yield section, claim, column, design_of(column, paper, claim["margin"])


def check_spec(spec: Spec) -> None:
    """Refuse a `declared` table that makes no sense.

    Raises:
        UserError: no seeds, columns or rows, a name given twice, folds that are no list of numbers,
            looks, minutes or a margin that make no sense, an unknown row, column or metric, a row
            better than itself, or an ensemble with overrides or not of two or more other rows.
    """
    name = spec["name"]
    for part in ("columns", "rows"):
        if not spec[part]:
            raise UserError(f"Table {name} has no {part}: give it some, table.{part}=[…]")
    rows = _distinct(name, "row", [r["name"] for r in (*spec["rows"], *spec["cited"])])
    columns = _distinct(name, "column", [column["name"] for column in spec["columns"]])
    _distinct(name, "section", [section["name"] for section in spec["sections"]])
    for column in spec["columns"]:
        if column["metric"] not in METRICS:
            raise unknown(f"metric of table {name}", column["metric"], METRICS)
        _check_looks(name, column)
        _check_folds(name, column)
    for row in (*spec["rows"], *spec["cited"]):
        _known(name, "column", row["paper"], columns)
    own = rows[: len(spec["rows"])]
    for row in spec["rows"]:
        _check_ensemble(name, row, [one["name"] for one in spec["rows"] if not one["ensemble"]])
    places = []
    for claim in spec["claims"]:
        better, than = claim["better"], claim["than"]
        _known(name, "row", (better, than), own)
        _known(name, "column", claim["columns"], columns)
        if better == than:
            raise UserError(f"Table {name} claims that row {better!r} is better than itself")
        with _said_of(f"Table {name}, claim {better} > {than}"):
            design_of(spec["columns"][0], margin=claim["margin"])
        places += [f"{better} > {than}, {column}" for column in claim["columns"] or columns]
    _distinct(name, "claim", places)


def _check_ensemble(table: str, row: Spec, choices: list[str]) -> None:
    if not row["ensemble"]:
        return
    what = f"Table {table}: row {row['name']!r} is an ensemble"
    _known(table, "row with runs", row["ensemble"], choices)
    if len(set(row["ensemble"])) < max(2, len(row["ensemble"])):
        raise UserError(f"{what}, which takes two different rows or more: {row['ensemble']}")
    if row["overrides"]:
        raise UserError(f"{what}, whose runs are those of its members: it takes no overrides")


def _check_looks(table: str, column: Spec) -> None:
    if column["looks"] == [0]:
        raise UserError(
            f"Table {table} has no seeds: give it some, table.seeds=[…], or table.looks=[…]"
        )
    _distinct(table, "seed", column["seeds"])
    with _said_of(f"Table {table}, column {column['name']}"):
        design_of(column)
        if column["minutes"] is not None and column["minutes"] <= 0:
            raise UserError(f"minutes are {column['minutes']}; they must be a number above 0")


@contextmanager
def _said_of(what: str) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        raise UserError(f"{what}: {error}") from error


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
