"""Which runs a table is made of."""

from __future__ import annotations

import hashlib
import shlex
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from eleatt_bench.composer import Composer
from eleatt_bench.data import catalog
from eleatt_bench.errors import UserError
from eleatt_bench.runs.identity import identity, run_id
from eleatt_bench.tables.spec import Spec, check_spec, folds_of, sections_of

Place = tuple[str, str, str]
"""Section, row and column."""


@dataclass(frozen=True)
class PlannedRun:
    """One run of a table. ``run_id`` is None on a machine without its data."""

    section: str
    row: str
    column: str
    seed: int
    fold: int
    overrides: tuple[str, ...]
    identity: dict[str, Any]
    run_id: str | None

    @property
    def command(self) -> str:
        """The command line of this run alone."""
        return shlex.join(["eleatt-bench", "train", *self.overrides])


@dataclass(frozen=True)
class Plan:
    """A table's specification (`eleatt_bench.table_config.TableConfig` as dicts) and its runs."""

    spec: Spec
    runs_dir: Path
    runs: tuple[PlannedRun, ...]
    variation: tuple[str, ...]  # the user's overrides, if they change what is run
    unprepared: tuple[str, ...]  # the data sets that are not on this machine

    @cached_property
    def by_cell(self) -> dict[Place, list[PlannedRun]]:
        """The runs of every cell, seed by seed and within a seed fold by fold."""
        found: dict[Place, list[PlannedRun]] = defaultdict(list)
        for run in self.runs:
            found[run.section, run.row, run.column].append(run)
        return dict(found)

    @property
    def file_stem(self) -> str:
        """The name of the table's files: a variation does not overwrite the table itself."""
        name = str(self.spec["name"])
        if not self.variation:
            return name
        return f"{name}-{hashlib.sha256(' '.join(self.variation).encode()).hexdigest()[:8]}"


def plans(table: str, overrides: Sequence[str] = ()) -> list[Plan]:
    """The plan of ``table``, or of each table that it is made of."""
    composer = Composer()
    members = composer.config([f"table={table}"])["table"]["tables"]
    return [plan(name, overrides, composer) for name in members or [table]]


def plan(table: str, overrides: Sequence[str] = (), composer: Composer | None = None) -> Plan:
    """The runs of ``table``; ``overrides`` are said of every one of them.

    Raises:
        UserError: an unknown table, an override that does not apply, or one that a table sets.
    """
    of_table = [o for o in overrides if o.startswith("table.")]
    user = [o for o in overrides if not o.startswith(("table.", "table="))]
    for override in user:
        _check_user(override)
    composer = composer or Composer()
    base = composer.config([f"table={table}", *of_table, *user])
    check_spec(base["table"])
    runs, unprepared = _runs(base["table"], user, composer)
    variation: tuple[str, ...] = ()
    if overrides:
        own, _ = _runs(composer.config([f"table={table}"])["table"], (), composer)
        if [run.identity for run in own] != [run.identity for run in runs]:
            variation = (*of_table, *user)
    return Plan(base["table"], Path(base["runs_dir"]), runs, variation, unprepared)


def _check_user(override: str) -> None:
    key = override.split("=")[0].lstrip("+")
    if key == "seed":
        raise UserError("A table sets the seeds itself. Choose them: 'table.seeds=[0,1,2]'")
    if key == "data.fold":
        raise UserError("A table sets the folds itself: each of its columns says which")


def _runs(
    spec: Spec, user: Sequence[str], composer: Composer
) -> tuple[tuple[PlannedRun, ...], tuple[str, ...]]:
    """Every run of the table, and the names of data sets that are not prepared."""
    unprepared: set[str] = set()
    digests: dict[tuple[str, str], str | None] = {}
    runs: list[PlannedRun] = []
    for section, row, column in cells_of(spec):
        said = merge(
            spec["overrides"], column["overrides"], user, section["overrides"], row["overrides"]
        )
        config = composer.config(said)
        where, name = config["data_dir"], config["data"]["name"]
        if (where, name) not in digests:
            digests[where, name] = catalog.data_digest(Path(where), name)
        digest = digests[where, name]
        if digest is None:
            unprepared.add(name)
        names = (section["name"], row["name"], column["name"])
        runs.extend(_seeds_and_folds(spec, column, names, said, config, digest))
    return tuple(runs), tuple(sorted(unprepared))


def _seeds_and_folds(
    spec: Spec,
    column: Spec,
    names: tuple[str, str, str],
    said: tuple[str, ...],
    config: dict[str, Any],
    digest: str | None,
) -> Iterator[PlannedRun]:
    """The runs of one cell: values are set in its one configuration, since composing is slow."""
    folds = folds_of(column, config["data"])
    for seed in spec["seeds"]:
        for fold in folds:
            data = {**config["data"], "fold": fold}
            this = identity({**config, "data": data, "seed": seed}, digest)
            of_fold = [f"data.fold={fold}"] if column["folds"] is not None else []
            overrides = merge(said, of_fold, [f"seed={seed}"])
            name = None if digest is None else run_id(this)
            yield PlannedRun(*names, seed, fold, overrides, this, name)


def cells_of(spec: Spec) -> Iterator[tuple[Spec, Spec, Spec]]:
    """Every (section, row, column) of a table."""
    for section in sections_of(spec):
        for row in spec["rows"]:
            for column in spec["columns"]:
                yield section, row, column


def merge(*parts: Sequence[str]) -> tuple[str, ...]:
    """All overrides in order; of several for one key only the last stays."""
    by_key: dict[str, str] = {}
    for override in (o for part in parts for o in part):
        key = override.split("=")[0]
        by_key.pop(key, None)
        by_key[key] = override
    return tuple(by_key.values())
