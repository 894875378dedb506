"""A run that is to be: one shape from the plan of a table, through the launcher, to the job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

from eleatt_bench.common.locations import command
from eleatt_bench.runs.identity import identity as identity_of
from eleatt_bench.runs.identity import is_named, run_ids
from eleatt_bench.runs.identity import run_id as name_of
from eleatt_bench.runs.record import RunFolder


@dataclass(frozen=True)
class WantedRun:
    """What composes a run, what it is, what it is called, and the run whose weights it begins with.

    ``run_id`` is None on a machine without its data.
    """

    overrides: tuple[str, ...]
    identity: dict[str, Any]
    run_id: str | None
    before: WantedRun | None = None

    @property
    def command(self) -> str:
        """The command line of this run alone."""
        return command("train", *self.overrides)

    def folder(self, runs_dir: Path) -> RunFolder:
        """Where the run is, or will be, below ``runs_dir``; only a run that has a name has one."""
        assert self.run_id is not None
        return RunFolder(runs_dir, self.run_id)


def wanted(
    overrides: Sequence[str],
    config: Mapping[str, Any],
    data_digest: str | None,
    before: WantedRun | None = None,
) -> WantedRun:
    """The run that ``overrides`` compose, as ``config``, on the data with that content digest."""
    this = identity_of(config, data_digest, None if before is None else before.identity)
    return WantedRun(tuple(overrides), this, name_of(this) if is_named(this) else None, before)


def wanted_by_seed(
    overrides: Sequence[str],
    config: Mapping[str, Any],
    data_digest: str | None,
    seeds: Sequence[int],
) -> Iterator[WantedRun]:
    """The runs of ``config`` with these ``seeds``, of which nothing else in it depends.

    ``overrides`` compose it, and say no seed. Such runs begin with no other's weights.
    """
    this = identity_of(config, data_digest)
    names = run_ids(this, seeds) if is_named(this) else repeat(None)
    for seed, name in zip(seeds, names, strict=False):
        yield WantedRun((*overrides, f"seed={seed}"), {**this, "seed": seed}, name)
