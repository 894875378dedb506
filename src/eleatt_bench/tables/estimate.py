"""How much time, disk and memory runs will take, estimated from runs that are done.

A run is expected to be like the finished runs of the same configuration with another seed or fold.
If there are none, it is expected to be like those of the same data set and cell, scaled by epochs,
samples and parameters (which stand for width and layers). If there are none either, the table's
file may give the minutes of a run. Runs on a GPU tell nothing about ``trainer.accelerator=cpu``,
nor the reverse, and rehearsals tell nothing about other runs.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any

from eleatt_bench.launch.devices import Memory
from eleatt_bench.runs.form import says_finished
from eleatt_bench.runs.identity import but_numbers, likeness
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.runs.summaries import LIKENESS, Summaries, Summary
from eleatt_bench.runs.wanted import WantedRun
from eleatt_bench.tables.cells import PlannedRun
from eleatt_bench.tables.facts import DataFacts
from eleatt_bench.tables.parameters import parameters
from eleatt_bench.tables.pending import wanted_by_look
from eleatt_bench.tables.plan import Plan
from eleatt_bench.tables.records import find_records, key, with_pretrainings


@dataclass(frozen=True)
class Expected:
    """A run that is to be done; ``seconds`` and ``bytes`` are None if there is no estimate."""

    run: WantedRun
    tables: tuple[str, ...]
    seconds: float | None = None
    bytes: float | None = None
    source: str = ""  # of the estimate
    waits_for: tuple[str, ...] = ()  # data sets that have to be prepared first


class _Done:
    """A finished run."""

    def __init__(self, folder: RunFolder, record: Summary) -> None:
        self._folder, self._record = folder, record

    @property
    def epochs(self) -> int:
        return int(self._record["epochs"])

    @property
    def seconds(self) -> float | None:
        """None for a run that was continued after its last epoch."""
        per_epoch = self._record["timing"].get("seconds_per_epoch")
        return None if per_epoch is None else per_epoch * self.epochs

    @cached_property
    def bytes(self) -> int:
        files = (path for path in self._folder.path.rglob("*") if path.is_file())
        return sum(path.stat().st_size for path in files)

    def is_on(self, accelerator: str) -> bool:
        """Whether this run tells about runs whose ``trainer.accelerator`` is ``accelerator``."""
        return accelerator == "auto" or (accelerator == "cpu") == (
            self._record["accelerator"] == "cpu"
        )

    def scales(self, identity: Mapping[str, Any], data: DataFacts) -> Iterator[tuple[float, float]]:
        """The factors from this run's seconds per epoch, and bytes, to those of ``identity``.

        Yields nothing if they are not known.
        """
        wanted = parameters(identity, data.width(identity["data"]["name"]))
        samples = self._record.get("samples", {}).get("train")
        limits = [self._record[LIKENESS]["limit"], identity["data"].get("limit")]
        if limits[0] not in (None, limits[1]):
            return  # this run does not tell how many samples there are without its limit
        share = min(1.0, limits[1] / samples) if samples and limits[0] != limits[1] else 1.0
        size = wanted / self._record["parameters"] if wanted and self._record["parameters"] else 1.0
        yield share * size, size

    def peak(self, of: str) -> int:
        """The peak in bytes of ``memory`` or ``device_memory``; 0 if the record does not say."""
        return int(self._record["timing"].get(f"peak_{of}") or 0)


def expected(plans: Sequence[Plan]) -> list[list[Expected]]:
    """The runs that ``plans`` lack, look by look as `wanted_by_look`, with their pre-trainings.

    Each run is there once, at the first look that needs it.
    """
    looks: list[dict[str, tuple[WantedRun, Plan, list[str]]]] = []
    told: dict[str, list[str]] = {}
    records = [find_records(plan) for plan in plans]
    finished = {name for of_plan in records for name in of_plan}
    by_look = map(wanted_by_look, plans, records)
    for place, wanted in enumerate(zip_longest(*by_look, fillvalue=())):
        looks.append({})
        for plan, runs in zip(plans, wanted, strict=True):
            for run in with_pretrainings(runs):
                if key(run) not in finished:
                    names = told.setdefault(key(run), [])
                    if not names:
                        looks[place][key(run)] = (run, plan, names)
                    names.append(plan.spec["name"])
    done = _finished(plans[0].runs_dir) if told else {}
    return [
        [_expected(run, plan, dict.fromkeys(names), done) for run, plan, names in look.values()]
        for look in looks
    ]


def _expected(
    run: WantedRun, plan: Plan, names: Iterable[str], done: Mapping[str, list[_Done]]
) -> Expected:
    made = Expected(run, tuple(names), waits_for=_waits_for(run))
    seconds, size = _like(run.identity, plan, done)
    if seconds is not None:
        return replace(made, seconds=seconds, bytes=size, source="by runs that are like them")
    minutes = None
    if isinstance(run, PlannedRun) and plan.as_declared:
        columns = {column["name"]: column for column in plan.spec["columns"]}
        minutes = columns[run.column]["minutes"]
    if minutes is None:
        return made
    return replace(made, seconds=60 * minutes, source="by the table's file: one core of a server")


def _waits_for(run: WantedRun) -> tuple[str, ...]:
    needed = (run.identity, run.identity.get("pretraining"))
    return tuple(
        str(one["data"]["name"]) for one in needed if one and one["data"]["digest"] is None
    )


def expected_memory(identities: Sequence[Mapping[str, Any]], runs_dir: Path) -> list[Memory]:
    """The peak memory of each run: the most that any finished run of its configuration took.

    Such runs may differ in seed, fold, recipe and the digest of their data.
    """
    done = _finished(runs_dir)
    found = []
    for identity in identities:
        same = done.get(but_numbers(identity), [])
        host, device = (
            max((one.peak(of) for one in same), default=0) or None
            for of in ("memory", "device_memory")
        )
        found.append(Memory(host, device))
    return found


def _finished(runs_dir: Path) -> dict[str, list[_Done]]:
    """The finished runs by configuration (`but_numbers`) and, except for rehearsals, by kind."""
    found: dict[str, list[_Done]] = defaultdict(list)
    summaries = Summaries(runs_dir)
    for folder, record in summaries.every():
        if says_finished(record):
            done, this = _Done(folder, record), record[LIKENESS]
            found[this["but_numbers"]].append(done)
            if not this["quick"]:
                found[this["kind"]].append(done)
    summaries.keep()
    return found


def _like(
    identity: Mapping[str, Any], plan: Plan, done: Mapping[str, list[_Done]]
) -> tuple[float | None, float | None]:
    """Seconds and bytes of a run, in the median of the finished runs that are most like it."""
    this = likeness(identity)
    for level in ("but_numbers", "kind"):
        timed = [
            (one.seconds, one)
            for one in done.get(this[level], [])
            if one.seconds is not None and one.is_on(plan.accelerator)
        ]
        if level == "but_numbers":
            found = [(seconds, float(one.bytes)) for seconds, one in timed]
        else:
            found = [
                (
                    seconds / one.epochs * identity["trainer"]["max_epochs"] * factor,
                    one.bytes * size,
                )
                for seconds, one in timed
                for factor, size in one.scales(identity, plan.data)
            ]
        if found:
            return tuple(map(statistics.median, zip(*found, strict=True)))
    return None, None
