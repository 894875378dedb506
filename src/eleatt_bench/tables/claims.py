"""What has become of the claims "A is better than B"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

import h5py
import numpy as np
import scipy

from eleatt_bench.common.cache import Cache, fingerprint
from eleatt_bench.common.errors import UserError
from eleatt_bench.common.locations import package_code
from eleatt_bench.runs.predictions import Predictions, read_predictions
from eleatt_bench.runs.record import Record, RunFolder
from eleatt_bench.tables.plan import Place, Plan, PlannedRun
from eleatt_bench.tables.records import key
from eleatt_bench.tables.spec import Spec, sections_of
from eleatt_bench.tables.statistics import (
    Bounds,
    Difference,
    mcnemar,
    paired_bootstrap,
    paired_difference,
)
from eleatt_bench.tables.table import Claim, SampleTest, TableCell


def claims(
    plan: Plan,
    records: Mapping[str, Record],
    cells: Mapping[Place, TableCell],
    comparisons: Comparisons,
) -> Iterator[Claim]:
    """Every claim of the table, in each section and column that it is made of."""
    for section in sections_of(plan.spec):
        for claim in plan.spec["claims"]:
            for column in plan.spec["columns"]:
                if not claim["columns"] or column["name"] in claim["columns"]:
                    yield _claim(plan, section["name"], claim, column, cells, comparisons)


def _claim(
    plan: Plan,
    section: str,
    claim: Spec,
    column: Spec,
    cells: Mapping[Place, TableCell],
    comparisons: Comparisons,
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
        difference=comparisons.difference(better.by_seed, than.by_seed),
        paper=None if None in papers else float(papers[0]) - float(papers[1]),  # type: ignore[arg-type]
        tests=tuple(comparisons.tests(pairs, column["metric"])),
    )


Pair = tuple[PlannedRun, PlannedRun]

_MOST = 20_000  # of a hundred bytes each
_VERSIONS = (h5py.__version__, np.__version__, scipy.__version__)


class Comparisons:
    """Comparisons of the finished runs of ``plan``.

    Reading the predictions of two thousand runs takes seconds, so what came of them is kept, and
    found again as long as their files are the same, by inode, size and time, and so are the digests
    that the records have of them.

    ``problems`` are sentences about predictions that are damaged; these are left out.
    """

    def __init__(self, plan: Plan, records: Mapping[str, Record]) -> None:
        self._plan, self._records = plan, records
        code = package_code("common", "runs", "tables")
        self._cache = Cache("comparisons", fingerprint(code, *_VERSIONS), _MOST)
        self.problems: dict[str, None] = {}  # in order, each once
        self._damaged: dict[str, str] = {}  # by run
        self._digests = {
            record["run_id"]: record.get("predictions_digest") for record in records.values()
        }

    def tests(self, pairs: Sequence[Pair], metric: str) -> Iterator[SampleTest]:
        """A test for each seed all of whose folds are finished in both rows of ``pairs``.

        Left out are seeds of which predictions are not there, or are not of the same samples.
        """
        for seed, of_seed in groupby(pairs, key=lambda pair: pair[0].seed):
            folds = list(of_seed)
            if all(key(run) in self._records for pair in folds for run in pair):
                found = self._test(folds, metric)
                if found is not None:
                    yield SampleTest(seed, **found)

    def difference(self, better: Mapping[int, float], than: Mapping[int, float]) -> Difference:
        """As `paired_difference`."""
        question = ["difference", sorted(better.items()), sorted(than.items())]
        return Difference(
            **self._cache.find(question, lambda: asdict(paired_difference(better, than)))
        )

    def keep(self) -> None:
        """Write what was found to where it is kept."""
        self._cache.write()

    def _test(self, folds: Sequence[Pair], metric: str) -> dict[str, Any] | None:
        runs = [(self._folder(better), self._folder(than)) for better, than in folds]
        try:
            states = [self._state(folder) for pair in runs for folder in pair]
        except FileNotFoundError:
            return None
        numbers = [better.fold for better, _ in folds]
        question = ["test", metric, numbers, states]
        answer = self._cache.find(question, lambda: self._find(runs, numbers, metric))
        if answer is not None and "damaged" in answer:
            self.problems[answer["damaged"]] = None
            return None
        if answer is not None and "interval" in answer:
            return {**answer, "interval": Bounds(*answer["interval"])}
        return answer

    def _find(
        self, runs: Sequence[tuple[RunFolder, RunFolder]], folds: Sequence[int], metric: str
    ) -> dict[str, Any] | None:
        try:
            read = [[self._read(folder, metric) for folder in pair] for pair in runs]
        except UserError as error:
            return {"damaged": str(error)}
        return _test(read, folds)

    def _read(self, folder: RunFolder, metric: str) -> Predictions | None:
        """As `read_predictions`; to find out that they are damaged may take long, so only once."""
        if folder.run_id not in self._damaged:
            try:
                return read_predictions(folder, metric)
            except UserError as error:
                self._damaged[folder.run_id] = str(error)
        raise UserError(self._damaged[folder.run_id])

    def _folder(self, run: PlannedRun) -> RunFolder:
        return RunFolder(self._plan.runs_dir, self._records[key(run)]["run_id"])

    def _state(self, folder: RunFolder) -> list[Any]:
        """What is another whenever the predictions, or what vouches for them, are."""
        found = folder.predictions.stat()
        digest = self._digests.get(folder.run_id)
        return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, digest]


def _test(
    read: Sequence[Sequence[Predictions | None]], folds: Sequence[int]
) -> dict[str, Any] | None:
    """The fields of a `SampleTest`; None where two files are of different samples."""
    gains, names, fold_of = [], [], []
    for fold, (ours, theirs) in zip(folds, read, strict=True):
        if ours is None or theirs is None or not np.array_equal(ours.names, theirs.names):
            return None
        gains.append(ours.right.astype(np.int64) - theirs.right)
        names.append(ours.names)
        fold_of.append(np.full(len(ours.names), fold))
    gain = np.concatenate(gains)
    counts = {"better_only": int((gain > 0).sum()), "than_only": int((gain < 0).sum())}
    if len(folds) == 1:
        return {**counts, "p": mcnemar(counts["better_only"], counts["than_only"])}
    sample = np.unique(np.concatenate(names), return_inverse=True)[1]
    interval = paired_bootstrap(gain, sample, np.concatenate(fold_of))
    return {**counts, "interval": list(interval)}
