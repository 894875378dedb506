"""How long runs will take, how much disk and how much memory: from those that are done.

A run is expected to be like the finished runs of the same configuration with another seed or fold;
where there is none, like the finished runs of the same data set and cell, by epochs.
"""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from eleatt_bench.launch.devices import Memory
from eleatt_bench.runs.identity import model_name, without_digest
from eleatt_bench.runs.record import Record, RunFolder, all_runs
from eleatt_bench.runs.wanted import WantedRun
from eleatt_bench.tables.plan import Plan
from eleatt_bench.tables.records import find_records, key, with_pretrainings


@dataclass(frozen=True)
class Expected:
    """A run that is to be done; ``seconds`` and ``bytes`` are None where nothing is like it."""

    run: WantedRun
    tables: tuple[str, ...]
    seconds: float | None
    bytes: float | None


class _Done:
    """A finished run."""

    def __init__(self, folder: RunFolder, record: Record) -> None:
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

    def peak(self, of: str) -> int:
        """Bytes of ``memory`` or ``device_memory``; 0 where the record does not say."""
        return int(self._record["timing"].get(f"peak_{of}") or 0)


def expected(plans: Sequence[Plan]) -> list[Expected]:
    """Every run that ``plans`` lack for their first look, pre-trainings included, each once, in
    the plans' order."""
    lacking: dict[str, tuple[WantedRun, list[str]]] = {}
    for plan in plans:
        records = find_records(plan)
        for run in with_pretrainings(plan.first_look):
            if key(run) not in records:
                lacking.setdefault(key(run), (run, []))[1].append(plan.spec["name"])
    done = _finished(plans[0].runs_dir) if lacking else {}
    return [
        Expected(run, tuple(names), *_like(run.identity, done)) for run, names in lacking.values()
    ]


def expected_memory(identities: Sequence[Mapping[str, Any]], runs_dir: Path) -> list[Memory]:
    """What runs will take at most: as much as finished ones that differ in seed or fold alone."""
    done = _finished(runs_dir)
    found = []
    for identity in identities:
        same = done.get(_same(identity), [])
        host, device = (
            max((one.peak(of) for one in same), default=0) or None
            for of in ("memory", "device_memory")
        )
        found.append(Memory(host, device))
    return found


def _finished(runs_dir: Path) -> dict[str, list[_Done]]:
    """What finished runs took, by what each of them is like."""
    found: dict[str, list[_Done]] = defaultdict(list)
    for folder in all_runs(runs_dir):
        record = folder.read()
        if record is None or record["status"] != "finished":
            continue
        done = _Done(folder, record)
        for likeness in (_same(record["identity"]), _similar(record["identity"])):
            found[likeness].append(done)
    return found


def _like(
    identity: Mapping[str, Any], done: Mapping[str, list[_Done]]
) -> tuple[float | None, float | None]:
    for likeness in (_same(identity), _similar(identity)):
        timed = [(one.seconds, one) for one in done.get(likeness, []) if one.seconds is not None]
        if not timed:
            continue
        size = statistics.median(one.bytes for _, one in timed)
        if likeness == _same(identity):
            return statistics.median(seconds for seconds, _ in timed), size
        per_epoch = statistics.median(seconds / one.epochs for seconds, one in timed)
        return per_epoch * identity["trainer"]["max_epochs"], size
    return None, None


def _same(identity: Mapping[str, Any]) -> str:
    """Everything but seed, fold and the digest of the data."""
    plain = without_digest(identity)
    return json.dumps(
        {**plain, "seed": None, "data": {**plain["data"], "fold": None}}, sort_keys=True
    )


def _similar(identity: Mapping[str, Any]) -> str:
    return f"{identity['data']['name']} {identity['data']['sequence']} {model_name(identity)}"
