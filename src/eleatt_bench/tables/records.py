"""Which of a table's runs are finished, and which it still lacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from eleatt_bench.common.collector import without_collector
from eleatt_bench.runs.form import says_finished
from eleatt_bench.runs.identity import content, data_of
from eleatt_bench.runs.summaries import LIKENESS, Summaries, Summary
from eleatt_bench.runs.wanted import WantedRun
from eleatt_bench.tables.cells import PlannedRun
from eleatt_bench.tables.plan import Plan


def find_records(plan: Plan) -> dict[str, Summary]:
    """The summaries of the plan's finished runs, by `key`.

    If the data are on this machine, a run is found by its name. If not, a finished run is taken
    that agrees in everything but the digests of the data that are not. All runs taken of a data set
    are on one version of it, in pre-trainings too: the one that is here, or that with the most of
    them.
    """
    with without_collector():
        return _find(plan)


def _find(plan: Plan) -> dict[str, Summary]:
    found: dict[str, Summary] = {}
    summaries = Summaries(plan.runs_dir)
    nameless = []
    for run in trainings(plan):
        if run.run_id is None:
            nameless.append(run)
        elif says_finished(record := summaries.of(run.run_id)):
            found[key(run)] = record
    if nameless:
        found |= _alike(nameless, (one for _, one in summaries.every() if says_finished(one)))
    summaries.keep()
    return found


def _alike(runs: Sequence[WantedRun], finished: Iterable[Summary]) -> dict[str, Summary]:
    """The ``finished`` runs that are like ``runs``, by `key`; on one version of each data set."""
    by_content: dict[str, list[Summary]] = {}
    for record in finished:
        by_content.setdefault(record[LIKENESS]["content"], []).append(record)
    left = [(key(run), record) for run in runs for record in by_content.get(key(run), ())]
    for name, here in {one: None for run in runs for one in data_of(run.identity)}:
        count = Counter(digest for _, record in left for digest in _digests(record, name))
        digest = here or max(sorted(count), key=count.__getitem__, default=None)
        left = [(of, record) for of, record in left if _digests(record, name) <= {digest}]
    return dict(left)


def _digests(record: Summary, name: str) -> set[str]:
    """The digests of the data set ``name`` in a run and its pre-training; empty: it saw others."""
    return {digest for one, digest in record[LIKENESS]["data"] if one == name}


def finished_alike(runs_dir: Path) -> set[str]:
    """The `eleatt_bench.runs.identity.but_numbers` of all finished runs in a folder."""
    summaries = Summaries(runs_dir)
    found = {one[LIKENESS]["but_numbers"] for _, one in summaries.every() if says_finished(one)}
    summaries.keep()
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


def percent(record: Summary, metric: str) -> float | None:
    """The ``metric`` of a finished run, in %; None if it was not measured."""
    found = record["metrics"]["test"].get(metric)
    return None if found is None else 100 * float(found)


def key(run: WantedRun) -> str:
    """What identifies a run in all cells that show it: its name or, without one, its content."""
    return run.run_id if run.run_id is not None else content(run.identity)
