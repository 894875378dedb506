"""Which runs a table is made of."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from eleatt_bench.common.errors import UserError, unknown
from eleatt_bench.common.literal import canonical, key_of, merge
from eleatt_bench.common.locations import FOLDERS, command, folder_at
from eleatt_bench.config.composer import Composer
from eleatt_bench.runs.identity import content, is_named, is_place
from eleatt_bench.tables.cells import Cells, PlannedRun
from eleatt_bench.tables.comparable import check_comparable
from eleatt_bench.tables.facts import DataFacts
from eleatt_bench.tables.spec import Place, Spec, cells_of, check_spec, declared
from eleatt_bench.tables.typed import check_apart, check_rows, check_user


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
        by_key = {
            key_of(o): o.lstrip("+") if key_of(o) == "data_dir" else canonical(o)
            for o in self.variation
        }
        said = " ".join(sorted(by_key.values()))
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
    cells = Cells(spec, user, quick, composer, facts)
    check_comparable(spec, cells.runs)
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


def _before(cells: Cells, quickly: Sequence[str]) -> Cells | None:
    """The runs without what was typed; None if the table's own settings need that."""
    with suppress(UserError):
        return cells.given(quickly)
    return None


def _that_matter(changes: Sequence[str], quickly: Sequence[str], cells: Cells) -> list[str]:
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


def _same(some: Cells, others: Cells) -> bool:
    """Whether both have the same runs; the digest of data counts only if both know it."""
    return len(some.runs) == len(others.runs) and all(
        one == other or (not (is_named(one) and is_named(other)) and content(one) == content(other))
        for one, other in zip(some.identities, others.identities, strict=True)
    )
