"""What has become of the claims "A is better than B"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

import numpy as np

from eleatt_bench.runs.record import Record, RunFolder
from eleatt_bench.tables.plan import Place, Plan, PlannedRun
from eleatt_bench.tables.predictions import read_predictions
from eleatt_bench.tables.records import key
from eleatt_bench.tables.spec import Spec, sections_of
from eleatt_bench.tables.statistics import mcnemar, paired_bootstrap, paired_difference
from eleatt_bench.tables.table import Cell, Claim, SampleTest

Pair = tuple[PlannedRun, PlannedRun]


def claims(
    plan: Plan, records: Mapping[str, Record], cells: Mapping[Place, Cell]
) -> Iterator[Claim]:
    """Every claim of the table, in each section and column that it is made of."""
    for section in sections_of(plan.spec):
        for claim in plan.spec["claims"]:
            for column in plan.spec["columns"]:
                if not claim["columns"] or column["name"] in claim["columns"]:
                    yield _claim(plan, section["name"], claim, column, records, cells)


def _claim(
    plan: Plan,
    section: str,
    claim: Spec,
    column: Spec,
    records: Mapping[str, Record],
    cells: Mapping[Place, Cell],
) -> Claim:
    better, than = (cells[section, claim[row], column["name"]] for row in ("better", "than"))
    papers = (better.paper, than.paper)
    runs = (plan.by_cell[section, claim[row], column["name"]] for row in ("better", "than"))
    pairs = list(zip(*runs, strict=True))  # of the same seed and fold
    return Claim(
        section=section,
        better=claim["better"],
        than=claim["than"],
        column=column["name"],
        difference=paired_difference(better.by_seed, than.by_seed),
        paper=None if None in papers else float(papers[0]) - float(papers[1]),  # type: ignore[arg-type]
        tests=tuple(_tests(plan, pairs, column["metric"], records)),
    )


def _tests(
    plan: Plan, pairs: list[Pair], metric: str, records: Mapping[str, Record]
) -> Iterator[SampleTest]:
    for seed, of_seed in groupby(pairs, key=lambda pair: pair[0].seed):
        folds = list(of_seed)
        if all(key(run) in records for pair in folds for run in pair):
            test = _test(plan, seed, folds, metric, records)
            if test is not None:
                yield test


def _test(
    plan: Plan, seed: int, folds: list[Pair], metric: str, records: Mapping[str, Record]
) -> SampleTest | None:
    """None where a run's predictions are not there, or the two are of different samples."""
    gains, names, fold_of = [], [], []
    for better, than in folds:
        ours, theirs = (
            read_predictions(
                RunFolder(plan.runs_dir, records[key(run)]["run_id"]).predictions, metric
            )
            for run in (better, than)
        )
        if ours is None or theirs is None or not np.array_equal(ours.names, theirs.names):
            return None
        gains.append(ours.right.astype(np.int64) - theirs.right)
        names.append(ours.names)
        fold_of.append(np.full(len(ours.names), better.fold))
    gain = np.concatenate(gains)
    counts = int((gain > 0).sum()), int((gain < 0).sum())
    if len(folds) == 1:
        return SampleTest(seed, *counts, p=mcnemar(*counts))
    sample = np.unique(np.concatenate(names), return_inverse=True)[1]
    interval = paired_bootstrap(gain, sample, np.concatenate(fold_of))
    return SampleTest(seed, *counts, interval=interval)
