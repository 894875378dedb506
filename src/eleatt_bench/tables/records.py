"""Which of a table's runs are finished, and which it still lacks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeGuard

from eleatt_bench.common.collector import without_collector
from eleatt_bench.runs.identity import content
from eleatt_bench.runs.summaries import LIKENESS, Summaries, Summary
from eleatt_bench.runs.wanted import WantedRun
from eleatt_bench.tables.plan import Plan, PlannedRun


def find_records(plan: Plan) -> dict[str, Summary]:
    """The summaries of the records of the plan's finished runs, by `key`.

    Where the data are on this machine a run is found by its name. Where they are not, any finished
    run that agrees in everything but the data's digest is taken.
    """
    with without_collector():
        return _find(plan)


def _find(plan: Plan) -> dict[str, Summary]:
    found: dict[str, Summary] = {}
    by_content: dict[str, Summary] | None = None
    summaries = Summaries(plan.runs_dir)
    for run in trainings(plan):
        if run.run_id is not None:
            record = summaries.of(run.run_id)
        else:
            if by_content is None:
                every = (one for _, one in summaries.every() if is_finished(one))
                by_content = {one[LIKENESS]["content"]: one for one in every}
            record = by_content.get(key(run))
        if is_finished(record):
            found[key(run)] = record
    summaries.keep()
    return found


def is_finished(record: Summary | None) -> TypeGuard[Summary]:
    return record is not None and record["status"] == "finished"


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


def lacking(runs: Iterable[PlannedRun], records: Mapping[str, Summary]) -> list[PlannedRun]:
    """Those of ``runs`` that are not among ``records``, each once, seed by seed."""
    left = {key(run): run for run in runs if key(run) not in records}
    return sorted(left.values(), key=lambda run: run.turn)


def failed(plan: Plan, records: Mapping[str, Summary]) -> set[str]:
    """The keys of the runs that failed, pre-trainings included."""
    return {
        key(run)
        for run in trainings(plan)
        if run.run_id is not None
        and key(run) not in records
        and run.folder(plan.runs_dir).status() == "failed"
    }


def accuracy(record: Summary, metric: str) -> float | None:
    """What a finished run came to, in %; None where it was not measured."""
    found = record["metrics"]["test"].get(metric)
    return None if found is None else 100 * float(found)


def key(run: WantedRun) -> str:
    """What two cells that show the same run agree in."""
    return run.run_id if run.run_id is not None else content(run.identity)
