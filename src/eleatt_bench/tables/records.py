"""Which of a table's runs are finished, and which it still lacks."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from eleatt_bench.runs.identity import without_digest
from eleatt_bench.runs.record import Record, RunFolder, all_runs
from eleatt_bench.runs.wanted import WantedRun
from eleatt_bench.tables.plan import Plan, PlannedRun


def find_records(plan: Plan) -> dict[str, Record]:
    """The records of the plan's finished runs, by `key`.

    Where the data are on this machine a run is found by its name. Where they are not, any finished
    run that agrees in everything but the data's digest is taken.
    """
    with without_collector():
        return _find(plan)


@contextmanager
def without_collector() -> Iterator[None]:
    """Thousands of records are no garbage, and walking them again and again takes longer than
    reading them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _find(plan: Plan) -> dict[str, Record]:
    found: dict[str, Record] = {}
    by_content: dict[str, Record] | None = None
    for run in trainings(plan):
        if run.run_id is not None:
            record = RunFolder(plan.runs_dir, run.run_id).read()
        else:
            if by_content is None:
                by_content = _records_by_content(plan)
            record = by_content.get(_content(run.identity))
        if record is not None and record["status"] == "finished":
            found[key(run)] = record
    return found


def trainings(plan: Plan) -> list[WantedRun]:
    """All runs of ``plan``, each once, and the pre-trainings that they begin with."""
    return with_pretrainings(plan.runs)


def with_pretrainings(runs: Iterable[WantedRun]) -> list[WantedRun]:
    """All of ``runs``, each once, and the pre-trainings that they begin with."""
    found: dict[str, WantedRun] = {}
    for run in runs:
        for training in (run.before, run):
            if training is not None:
                found.setdefault(key(training), training)
    return list(found.values())


def missing(plan: Plan) -> list[PlannedRun]:
    """The table's own runs of the first look without a finished record, each once, seed by seed:
    rows grow together.

    Pre-trainings are left out: whoever starts a run sees to what it needs.
    """
    return lacking(plan.first_look, find_records(plan))


def lacking(runs: Iterable[PlannedRun], records: Mapping[str, Record]) -> list[PlannedRun]:
    """Those of ``runs`` that are not among ``records``, each once, seed by seed."""
    left = {key(run): run for run in runs if key(run) not in records}
    return sorted(left.values(), key=lambda run: run.turn)


def failed(plan: Plan, records: Mapping[str, Record]) -> set[str]:
    """The keys of the runs that failed, pre-trainings included."""
    return {
        key(run)
        for run in trainings(plan)
        if run.run_id is not None
        and key(run) not in records
        and run.folder(plan.runs_dir).status() == "failed"
    }


def accuracy(record: Record, metric: str) -> float | None:
    """What a finished run came to, in %; None where it was not measured."""
    found = record["metrics"]["test"].get(metric)
    return None if found is None else 100 * float(found)


def key(run: WantedRun) -> str:
    """What two cells that show the same run agree in."""
    return run.run_id if run.run_id is not None else _content(run.identity)


def _content(identity: Mapping[str, Any]) -> str:
    return json.dumps(without_digest(identity), sort_keys=True)


def _records_by_content(plan: Plan) -> dict[str, Record]:
    records = [folder.read() for folder in all_runs(plan.runs_dir)]
    return {
        _content(record["identity"]): record
        for record in records
        if record is not None and record["status"] == "finished"
    }
