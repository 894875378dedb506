"""A wanted run: one type from the plan of a table, through the launcher, to the job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

from eleatt_bench.common.locations import command
from eleatt_bench.runs.identity import identity as identity_of
from eleatt_bench.runs.identity import is_named, run_ids, with_seed
from eleatt_bench.runs.identity import run_id as name_of
from eleatt_bench.runs.record import RunFolder


@dataclass(frozen=True)
class WantedRun:
    """A run's overrides, identity and name, and the run ``before`` whose weights it begins with.

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
        """The present or future folder of the run below ``runs_dir``; the run must have a name."""
        assert self.run_id is not None
        return RunFolder(runs_dir, self.run_id)


def wanted(
    overrides: Sequence[str],
    config: Mapping[str, Any],
    data_digest: str | None,
    before: WantedRun | None = None,
) -> WantedRun:
    """The run of ``config``, which ``overrides`` compose, on the data with ``data_digest``."""
    this = identity_of(config, data_digest, None if before is None else before.identity)
    return WantedRun(tuple(overrides), this, name_of(this) if is_named(this) else None, before)


def wanted_by_seed(
    overrides: Sequence[str],
    config: Mapping[str, Any],
    data_digest: str | None,
    seeds: Sequence[int],
    keys: Sequence[str],
) -> Iterator[WantedRun]:
    """The runs of ``config`` with each of ``seeds`` as the value of ``keys``.

    ``overrides`` compose ``config``, and set no seed. These runs begin with no other run's weights.
    """
    this = identity_of(config, data_digest)
    names = run_ids(this, seeds, keys) if is_named(this) else repeat(None)
    for seed, name in zip(seeds, names, strict=False):
        yield WantedRun((*overrides, f"seed={seed}"), with_seed(this, seed, keys), name)
