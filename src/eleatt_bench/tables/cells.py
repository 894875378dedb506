"""The cells of a table: which runs each is made of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.literal import merge
from eleatt_bench.common.locations import folder_at
from eleatt_bench.config.composer import Composer
from eleatt_bench.config.pretraining import source_of
from eleatt_bench.runs.identity import content, is_place
from eleatt_bench.runs.wanted import WantedRun, wanted, wanted_by_seed
from eleatt_bench.tables.facts import DataFacts
from eleatt_bench.tables.spec import REHEARSED, Place, Spec, cells_of, folds_of


@dataclass(frozen=True, kw_only=True)
class PlannedRun(WantedRun):
    """One run of a table, and its place in it."""

    section: str
    row: str
    column: str
    seed: int
    fold: int
    turn: int  # the place of its seed among the column's seeds


class Cells:
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

    def given(self, user: Sequence[str]) -> Cells:
        """The runs of the same table with the overrides ``user``."""
        return Cells(self._spec, user, self._quick, self._composer, self._given)

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
            for fold in (folds[:REHEARSED] if self._quick else folds)
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
