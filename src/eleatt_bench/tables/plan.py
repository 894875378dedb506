"""Which runs a table is made of."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from eleatt_bench import config as schema
from eleatt_bench.composition import compose_config
from eleatt_bench.data import catalog
from eleatt_bench.errors import UserError
from eleatt_bench.runs.identity import identity, run_id


@dataclass(frozen=True)
class PlannedRun:
    """One run of a table. ``run_id`` is None on a machine without its data."""

    row: str
    column: str
    seed: int
    overrides: tuple[str, ...]
    identity: dict[str, Any]
    run_id: str | None


@dataclass(frozen=True)
class Plan:
    """A table's specification (`eleatt_bench.config.TableConfig` as dicts) and all its runs."""

    spec: dict[str, Any]
    runs_dir: Path
    runs: tuple[PlannedRun, ...]
    variation: tuple[str, ...]  # the user's overrides, if they change what is run
    unprepared: tuple[str, ...]  # the data sets that are not on this machine

    @property
    def file_stem(self) -> str:
        """The name of the table's files: a variation does not overwrite the table itself."""
        name = str(self.spec["name"])
        if not self.variation:
            return name
        return f"{name}-{hashlib.sha256(' '.join(self.variation).encode()).hexdigest()[:8]}"


def plan(table: str, overrides: Sequence[str] = ()) -> Plan:
    """The runs of ``table``; ``overrides`` are said of every one of them.

    Raises:
        UserError: an unknown table, an override that does not apply, or one that a table sets.
    """
    of_table = [o for o in overrides if o.startswith("table.")]
    user = [o for o in overrides if not o.startswith(("table.", "table="))]
    for override in user:
        if override.split("=")[0].lstrip("+") == "seed":
            raise UserError("A table sets the seeds itself. Choose them: 'table.seeds=[0,1,2]'")
    base = schema.plain(compose_config([f"table={table}", *of_table, *user]))
    runs, unprepared = _runs(base["table"], user)
    variation: tuple[str, ...] = ()
    if overrides:
        own, _ = _runs(schema.plain(compose_config([f"table={table}"]))["table"], ())
        if [run.identity for run in own] != [run.identity for run in runs]:
            variation = (*of_table, *user)
    return Plan(base["table"], Path(base["runs_dir"]), runs, variation, unprepared)


def _runs(
    spec: dict[str, Any], user: Sequence[str]
) -> tuple[tuple[PlannedRun, ...], tuple[str, ...]]:
    """Every run of the table, and the names of data sets that are not prepared.

    Each row and column is composed once and the seeds are set as plain values, because a
    composition costs far more than everything else here.
    """

    @cache
    def row_config(overrides: tuple[str, ...]) -> dict[str, Any]:
        config: dict[str, Any] = schema.plain(compose_config(overrides))
        return config

    runs: list[PlannedRun] = []
    unprepared: set[str] = set()
    for row in spec["rows"]:
        for column in spec["columns"]:
            said = merge(spec["overrides"], column["overrides"], user, row["overrides"])
            config = row_config(said)
            name = config["data"]["name"]
            digest = catalog.data_digest(Path(config["data_dir"]), name)
            if digest is None:
                unprepared.add(name)
            for seed in spec["seeds"]:
                this = identity({**config, "seed": seed}, digest)
                name_of_run = None if digest is None else run_id(this)
                said_of_run = (*said, f"seed={seed}")
                runs.append(
                    PlannedRun(row["name"], column["name"], seed, said_of_run, this, name_of_run)
                )
    return tuple(runs), tuple(sorted(unprepared))


def merge(*groups: Sequence[str]) -> tuple[str, ...]:
    """All overrides in order; of several for one key only the last stays."""
    by_key: dict[str, str] = {}
    for override in (o for group in groups for o in group):
        key = override.split("=")[0]
        by_key.pop(key, None)
        by_key[key] = override
    return tuple(by_key.values())
