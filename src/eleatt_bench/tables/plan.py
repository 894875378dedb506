"""Which runs a table is made of."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from eleatt_bench.common.errors import UserError, unknown
from eleatt_bench.common.literal import canonical
from eleatt_bench.common.locations import command, folder_at
from eleatt_bench.config.composer import Composer
from eleatt_bench.config.pretraining import source_of
from eleatt_bench.runs.identity import content, is_named, is_place
from eleatt_bench.runs.wanted import WantedRun, wanted, wanted_by_seed
from eleatt_bench.tables.facts import DataFacts
from eleatt_bench.tables.spec import (
    QUICK,
    Spec,
    check_folds,
    check_spec,
    declared,
    folds_of,
    sections_of,
)
from eleatt_bench.tables.typed import FOLDERS, check_apart, check_rows, check_user, key_of

Place = tuple[str, str, str]
"""Section, row and column."""


@dataclass(frozen=True, kw_only=True)
class PlannedRun(WantedRun):
    """One run of a table, and its place in it."""

    section: str
    row: str
    column: str
    seed: int
    fold: int
    turn: int  # the place of its seed among the column's seeds


class Tested(NamedTuple):
    """One seed and fold of a row: its run, or the runs of an ensemble's members."""

    seed: int
    fold: int
    runs: tuple[PlannedRun, ...]


@dataclass(frozen=True)
class Plan:
    """A table's specification, as `tables.spec.declared` makes it, and its runs at all looks."""

    spec: Spec
    runs_dir: Path
    data_dir: Path
    runs: tuple[PlannedRun, ...]
    variation: tuple[str, ...]  # the user's overrides, if they change what is run
    unprepared: tuple[str, ...]  # the data sets that are not on this machine, or damaged
    untrained: tuple[str, ...] = ()  # data sets of features from a network with random weights
    quick: bool = False  # a rehearsal
    undeclared: bool = False  # the specification is not that of the table's file
    accelerator: str = "auto"  # the runs' `trainer.accelerator`
    folders: tuple[str, ...] = ()  # those of the user's overrides that say where runs and data lie
    force: bool = False  # whether `force` is set in any of the runs
    facts: DataFacts | None = None  # None: taken from the stores in `data_dir`

    @cached_property
    def data(self) -> DataFacts:
        """The facts about the data sets."""
        return self.facts or DataFacts(self.data_dir)

    def lack(self, name: str) -> str:
        """What is wrong with one of the ``unprepared``, and the command that mends it."""
        from eleatt_bench.data.datasets import prepare_command

        damage = self.data.damage(name)
        return (
            f"cannot be read: {damage}" if damage else f"is not prepared: {prepare_command(name)}"
        )

    @cached_property
    def tested(self) -> dict[Place, list[Tested]]:
        """What every cell is made of, seed by seed, and fold by fold within a seed."""
        found: dict[Place, list[Tested]] = defaultdict(list)
        for run in self.runs:
            found[run.section, run.row, run.column].append(Tested(run.seed, run.fold, (run,)))
        for section, row, column in cells_of(self.spec):
            places = [(section["name"], member, column["name"]) for member in row["ensemble"]]
            for parts in zip(*(found[place] for place in places), strict=True):
                runs = tuple(run for part in parts for run in part.runs)
                own = found[section["name"], row["name"], column["name"]]
                own.append(Tested(parts[0].seed, parts[0].fold, runs))
        return dict(found)

    @cached_property
    def by_cell(self) -> dict[Place, list[PlannedRun]]:
        """The runs of every cell, in the order of `tested`; an ensemble has its members' runs."""
        return {
            place: [run for one in tested for run in one.runs]
            for place, tested in self.tested.items()
        }

    @cached_property
    def first_look(self) -> list[PlannedRun]:
        """The runs of the first look of each column."""
        first = {column["name"]: column["looks"][0] for column in self.spec["columns"]}
        return [run for run in self.runs if run.turn < first[run.column]]

    @property
    def as_declared(self) -> bool:
        """Whether this is no rehearsal, and no setting but those of ``table.`` was typed."""
        return not self.quick and all(key_of(o).startswith("table.") for o in self.variation)

    @property
    def file_stem(self) -> str:
        """The stem of the names of the table's files.

        A variation has a stem of its own, in whatever order and spelling its overrides were typed.
        """
        name = f"{self.spec['name']}{'-quick' if self.quick else ''}"
        if not self.variation:
            return name
        said = " ".join(
            sorted(o if key_of(o) == "data_dir" else canonical(o) for o in merge(self.variation))
        )
        return f"{name}-{hashlib.sha256(said.encode()).hexdigest()[:8]}"

    @property
    def command(self) -> str:
        """The command line that trains the runs that the table lacks."""
        said = [*(["quick=true"] if self.quick else []), *merge(self.variation, self.folders)]
        return command("reproduce", str(self.spec["name"]), *said)


def plans(table: str, overrides: Sequence[str] = ()) -> list[Plan]:
    """The plan of ``table``, or of each table that it is made of; raises as `plan`."""
    with Composer() as composer:
        return [plan(name, overrides, composer) for name in members(table, composer)]


def members(table: str, composer: Composer) -> list[str]:
    """The tables that ``table`` is made of, or ``table`` alone.

    Raises:
        UserError: an unknown table.
    """
    if table not in (names := composer.options("table")):
        raise unknown("table", table, names)
    return _composed(table, composer)["table"]["tables"] or [table]


def _composed(table: str, composer: Composer, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The configuration of ``table``, whose files and commands are named as its own file is."""
    config = composer.config([f"table={table}", *overrides])
    if (name := config["table"]["name"]) != table:
        raise UserError(
            f"table/{table}.yaml says name: {name}; its name is that of its file: name: {table}"
        )
    return config


def every_plan(overrides: Sequence[str] = ()) -> list[Plan]:
    """The plan of every table that is not made of others; raises as `plan`."""
    with Composer() as composer:
        names = [
            name
            for name in composer.options("table")
            if not _composed(name, composer)["table"]["tables"]
        ]
        return [plan(name, overrides, composer) for name in names]


def plan(
    table: str,
    overrides: Sequence[str] = (),
    composer: Composer | None = None,
    facts: DataFacts | None = None,
) -> Plan:
    """The plan of ``table``; ``overrides`` vary the table (``table.…``) or all its runs.

    ``facts`` are the facts about the data sets; by default they are taken from the stores.

    Raises:
        UserError: an unknown table, an override that does not apply, or one that a table sets.
    """
    of_table = [o for o in overrides if key_of(o).startswith("table.")]
    user = [o for o in overrides if not key_of(o).startswith("table.")]
    for override in overrides:
        check_user(override)
    composer = composer or Composer()
    base = _composed(table, composer, [*of_table, *user])
    quick = bool(base["quick"])
    spec = declared(base["table"], {key_of(o).split(".")[1] for o in of_table}, quick=quick)
    check_spec(spec)
    check_rows(spec, user)
    cells = _Cells(spec, user, quick, composer, facts)
    check_folds(spec, cells.folds)
    quickly = ["quick=true"] if quick else []
    changes = [o for o in user if key_of(o) != "quick"]
    variation: tuple[str, ...] = ()
    undeclared = False
    if of_table or changes:
        own = declared(_composed(table, composer, quickly)["table"], quick=quick)
        undeclared = own != spec
        before = _before(cells, quickly) if changes else cells
        if before is not None:
            check_apart(table, changes, before.keys, cells.keys)
        if undeclared or before is None or not _same(before, cells):
            variation = (*of_table, *_that_matter(changes, quickly, cells))
    return Plan(
        spec=spec,
        runs_dir=folder_at(base["runs_dir"]),
        data_dir=folder_at(base["data_dir"]),
        runs=cells.runs,
        variation=variation,
        unprepared=tuple(sorted(cells.unprepared)),
        untrained=tuple(sorted(cells.untrained)),
        quick=quick,
        undeclared=undeclared,
        folders=tuple(o for o in merge(changes) if key_of(o) in FOLDERS),
        accelerator=str(base["trainer"]["accelerator"]),
        force=cells.force,
        facts=facts,
    )


def _before(cells: _Cells, quickly: Sequence[str]) -> _Cells | None:
    """The runs without what was typed; None if the table's own settings need that."""
    with suppress(UserError):
        return cells.given(quickly)
    return None


def _that_matter(changes: Sequence[str], quickly: Sequence[str], cells: _Cells) -> list[str]:
    """The ``changes`` that the runs of ``cells`` depend on.

    A choice of a group is left out if the runs are the same without it; single settings stay.
    Settings of where and how runs are computed are no part of a table: with ``launcher=slurm`` it
    has the same files and recorded plan as without.
    """
    kept = [one for one in changes if not is_place(key_of(one)) or key_of(one) == "data_dir"]
    for change in [one for one in kept if "." not in key_of(one)]:  # a group, or data_dir
        others = [one for one in kept if one != change]
        with suppress(UserError):  # others may set what this one chooses
            if _same(cells.given([*quickly, *others]), cells):
                kept = others
    return kept


def _same(some: _Cells, others: _Cells) -> bool:
    """Whether both have the same runs; the digest of data counts only if both know it."""
    return len(some.runs) == len(others.runs) and all(
        one == other or (not (is_named(one) and is_named(other)) and content(one) == content(other))
        for one, other in zip(some.identities, others.identities, strict=True)
    )


class _Cells:
    """The ``runs`` of a table, and the names of its ``unprepared`` and ``untrained`` data sets.

    ``force`` tells whether any of the runs has it.
    """

    def __init__(
        self,
        spec: Spec,
        user: Sequence[str],
        quick: bool,
        composer: Composer,
        facts: DataFacts | None,
    ) -> None:
        self._spec, self._quick, self._composer, self._given = spec, quick, composer, facts
        self._facts: dict[str, DataFacts] = {}
        self._befores: dict[tuple[str, ...], WantedRun | None] = {}
        self.unprepared: set[str] = set()
        self.untrained: set[str] = set()
        self.force = False
        runs: list[PlannedRun] = []
        for section, row, column in cells_of(spec):
            if row["ensemble"]:
                continue
            said = merge(
                spec["overrides"], column["overrides"], user, section["overrides"], row["overrides"]
            )
            runs.extend(self._cell((section["name"], row["name"], column["name"]), column, said))
        self.runs = tuple(runs)

    def given(self, user: Sequence[str]) -> _Cells:
        """The runs of the same table with the overrides ``user``."""
        return _Cells(self._spec, user, self._quick, self._composer, self._given)

    @property
    def identities(self) -> list[dict[str, Any]]:
        return [run.identity for run in self.runs]

    @property
    def keys(self) -> dict[Place, set[str]]:
        """What tells the runs of every cell from others."""
        found: dict[Place, set[str]] = defaultdict(set)
        for run in self.runs:
            found[run.section, run.row, run.column].add(run.run_id or content(run.identity))
        return found

    @property
    def folds(self) -> dict[Place, int]:
        """The number of folds of every cell."""
        found: dict[Place, set[int]] = defaultdict(set)
        for run in self.runs:
            found[run.section, run.row, run.column].add(run.fold)
        return {place: len(folds) for place, folds in found.items()}

    def _cell(self, place: Place, column: Spec, said: tuple[str, ...]) -> Iterator[PlannedRun]:
        """The runs of one cell, seed by seed, and fold by fold within a seed."""
        section, row, name = place
        try:
            config = self._composer.config(said)
        except UserError as error:
            raise UserError(f"Table {self._spec['name']}, row {row!r}: {error}") from error
        self.force |= bool(config["force"])
        digest = self._digest(config)
        folds = folds_of(column, config["data"])
        seeds = column["seeds"]
        by_fold = [
            self._of_fold(
                said, [f"data.fold={fold}"] * (column["folds"] is not None), seeds, digest
            )
            for fold in (folds[:QUICK] if self._quick else folds)
        ]
        for turn, (seed, *of_seed) in enumerate(zip(seeds, *by_fold, strict=True)):
            for fold, this in zip(folds, of_seed, strict=False):
                if this.identity["data"]["fold"] != fold:
                    raise UserError(
                        f"Table {self._spec['name']}, row {row!r}: data.fold follows the seed, and "
                        "a column has the same folds for all seeds: give it folds: all, or a list"
                    )
                yield PlannedRun(
                    this.overrides, this.identity, this.run_id, this.before,
                    section=section, row=row, column=name, seed=seed, fold=fold, turn=turn,
                )  # fmt: skip

    def _of_fold(
        self, cell: tuple[str, ...], of_fold: list[str], seeds: Sequence[int], digest: str | None
    ) -> Iterator[WantedRun]:
        """The runs of one fold of a cell, which is composed by the overrides ``cell``."""
        said = merge(cell, of_fold)
        config = self._composer.config(said)
        keys = self._composer.seed_keys(said, seeds) if config["pretraining"] is None else None
        if keys is not None:
            yield from wanted_by_seed(merge(said, ["seed=0"])[:-1], config, digest, seeds, keys)
            return
        for seed in seeds:
            before = self._before((*said, f"seed={seed}"))
            overrides = merge(said, [f"seed={seed}"])
            yield wanted(overrides, self._composer.config(overrides), digest, before)

    def _before(self, said: tuple[str, ...]) -> WantedRun | None:
        if said not in self._befores:
            source = source_of(self._composer.config(said), self._composer, is_place)
            self._befores[said] = (
                None
                if source is None
                else wanted(source.overrides, source.config, self._digest(source.config))
            )
        return self._befores[said]

    def _digest(self, config: dict[str, Any]) -> str | None:
        where, name = config["data_dir"], config["data"]["name"]
        if where not in self._facts:
            self._facts[where] = self._given or DataFacts(folder_at(where))
        data = self._facts[where]
        digest = data.digest(name)
        if digest is None:
            self.unprepared.add(name)
        elif data.is_untrained(name):
            self.untrained.add(name)
        return digest


def cells_of(spec: Spec) -> Iterator[tuple[Spec, Spec, Spec]]:
    """Every (section, row, column) of a table."""
    for section in sections_of(spec):
        for row in spec["rows"]:
            for column in spec["columns"]:
                yield section, row, column


def merge(*parts: Sequence[str]) -> tuple[str, ...]:
    """The overrides of all ``parts`` in order; of several for one key only the last stays."""
    by_key: dict[str, str] = {}
    for override in (o for part in parts for o in part):
        key = override.split("=")[0]
        by_key.pop(key, None)
        by_key[key] = override
    return tuple(by_key.values())
