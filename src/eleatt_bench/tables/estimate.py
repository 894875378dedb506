"""How long the runs will take that tables still lack, and how much disk: from those that are done.

A run is expected to be like the finished runs of the same configuration with another seed or fold;
where there is none, like the finished runs of the same data set and cell, by epochs.
"""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eleatt_bench.runs.identity import model_name, without_digest
from eleatt_bench.runs.record import RunFolder, all_runs
from eleatt_bench.tables.plan import Plan, Training
from eleatt_bench.tables.records import find_records, key, trainings


@dataclass(frozen=True)
class Expected:
    """A run that is to be done; ``seconds`` and ``bytes`` are None where nothing is like it."""

    run: Training
    tables: tuple[str, ...]
    seconds: float | None
    bytes: float | None


@dataclass(frozen=True)
class _Done:
    epochs: int
    seconds: float
    bytes: int


def expected(plans: Sequence[Plan]) -> list[Expected]:
    """Every run that ``plans`` lack, pre-trainings included, each once, in the plans' order."""
    lacking: dict[str, tuple[Training, list[str]]] = {}
    for plan in plans:
        records = find_records(plan)
        for run in trainings(plan):
            if key(run) not in records:
                lacking.setdefault(key(run), (run, []))[1].append(plan.spec["name"])
    done = _finished(plans[0].runs_dir) if lacking else {}
    return [
        Expected(run, tuple(names), *_like(run.identity, done)) for run, names in lacking.values()
    ]


def _finished(runs_dir: Path) -> dict[str, list[_Done]]:
    """What finished runs took, by what each of them is like."""
    found: dict[str, list[_Done]] = defaultdict(list)
    for folder in all_runs(runs_dir):
        record = folder.read()
        if record is None or record["status"] != "finished":
            continue
        per_epoch = record["timing"].get("seconds_per_epoch")
        if per_epoch is None:  # continued after its last epoch
            continue
        done = _Done(record["epochs"], per_epoch * record["epochs"], _size(folder))
        for likeness in (_same(record["identity"]), _similar(record["identity"])):
            found[likeness].append(done)
    return found


def _size(folder: RunFolder) -> int:
    return sum(path.stat().st_size for path in folder.path.rglob("*") if path.is_file())


def _like(
    identity: Mapping[str, Any], done: Mapping[str, list[_Done]]
) -> tuple[float | None, float | None]:
    same = done.get(_same(identity))
    if same:
        return (
            statistics.median(one.seconds for one in same),
            statistics.median(one.bytes for one in same),
        )
    similar = done.get(_similar(identity))
    if similar:
        epochs = identity["trainer"]["max_epochs"]
        return (
            statistics.median(one.seconds / one.epochs for one in similar) * epochs,
            statistics.median(one.bytes for one in similar),
        )
    return None, None


def _same(identity: Mapping[str, Any]) -> str:
    """Everything but seed, fold and the digest of the data."""
    plain = without_digest(identity)
    return json.dumps(
        {**plain, "seed": None, "data": {**plain["data"], "fold": None}}, sort_keys=True
    )


def _similar(identity: Mapping[str, Any]) -> str:
    return f"{identity['data']['name']} {identity['data']['sequence']} {model_name(identity)}"
