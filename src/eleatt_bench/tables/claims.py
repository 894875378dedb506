"""What has become of the claims "A is better than B"."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy

from eleatt_bench.common.cache import Cache, fingerprint
from eleatt_bench.common.errors import UserError
from eleatt_bench.common.locations import package_code
from eleatt_bench.runs.curves import CurveReader
from eleatt_bench.runs.ensembles import average
from eleatt_bench.runs.predictions import Predictions, read_predictions
from eleatt_bench.runs.record import Record, RunFolder
from eleatt_bench.tables.collapse import Collapse, collapsed
from eleatt_bench.tables.crossing import Floats
from eleatt_bench.tables.family import family
from eleatt_bench.tables.judge import Design, Judgement, judge
from eleatt_bench.tables.plan import Place, Plan, PlannedRun, Tested
from eleatt_bench.tables.records import accuracy, key
from eleatt_bench.tables.samples import Compared, Gains, compare, gains
from eleatt_bench.tables.spec import Spec, claims_of
from eleatt_bench.tables.table import Claim, TableCell
from eleatt_bench.tables.verdicts import levels_of

Pair = tuple[Tested, Tested]
"""What both rows have of the same seed and fold."""


def claims(
    plan: Plan,
    cells: Mapping[Place, TableCell],
    failed: Collection[str],
    comparisons: Comparisons,
) -> tuple[Claim, ...]:
    """Every claim of the table, in each section and column that it is made of.

    ``failed`` are the keys of runs that have.
    """
    found = [
        _claim(plan, section["name"], claim, column, design, cells, failed, comparisons)
        for section, claim, column, design in claims_of(plan.spec)
    ]
    adjusted = family((claim.runs, claim.judgement) for claim in found).adjusted
    return tuple(
        claim if claim.judgement.p is None else replace(claim, holm=adjusted[claim.runs])
        for claim in found
    )


def _claim(
    plan: Plan,
    section: str,
    claim: Spec,
    column: Spec,
    design: Design,
    cells: Mapping[Place, TableCell],
    failed: Collection[str],
    comparisons: Comparisons,
) -> Claim:
    places = [(section, claim[row], column["name"]) for row in ("better", "than")]
    better, than = (cells[place] for place in places)
    pairs = list(zip(*(plan.tested[place] for place in places), strict=True))
    compared = comparisons.samples(pairs, column["metric"], design)
    return Claim(
        section=section,
        better=claim["better"],
        than=claim["than"],
        column=column["name"],
        judgement=comparisons.judgement(
            better.by_seed, than.by_seed, design, _failed(pairs, failed)
        ),
        runs=_name(pairs, column["metric"]),
        crossed=compared.crossed,
        groups=compared.groups,
        collapsed=tuple(sorted({*better.collapsed, *than.collapsed})),
        tests=compared.tests,
    )


def _failed(pairs: Sequence[Pair], failed: Collection[str]) -> list[int]:
    """The seeds of which a run has, or that whose weights it was to begin with."""
    if not failed:
        return []
    runs = (run for pair in pairs for one in pair for run in one.runs)
    needed = ((run.seed, one) for run in runs for one in (run, run.before))
    return sorted({seed for seed, run in needed if run is not None and key(run) in failed})


def _name(pairs: Sequence[Pair], metric: str) -> str:
    """The runs of the first seed stand for those of all."""
    first = [
        [list(map(key, one.runs)) for one in pair]
        for pair in pairs
        if pair[0].seed == pairs[0][0].seed
    ]
    return hashlib.sha256(json.dumps([metric, first]).encode()).hexdigest()[:16]


_MOST = 20_000  # of a kilobyte each
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
        self._folders: dict[str, RunFolder] = {}  # to make thousands of them anew takes time
        self._subjects = cache(self._read_subjects)
        self._digests = {
            record["run_id"]: record.get("predictions_digest") for record in records.values()
        }

    def judgement(
        self,
        better: Mapping[int, float],
        than: Mapping[int, float],
        design: Design,
        failed: Sequence[int],
    ) -> Judgement:
        """As `judge`."""
        rows = [sorted(row.items()) for row in (better, than)]
        question = ["judge", rows, asdict(design), list(failed)]
        found = self._cache.find(question, lambda: judge(better, than, design, failed).plain())
        return Judgement.of_plain(found)

    def samples(self, pairs: Sequence[Pair], metric: str, design: Design) -> Compared:
        """What the seeds say all of whose folds are finished in both rows of ``pairs``.

        Left out are seeds of which predictions are not there, or are not of the same samples.
        """
        seeds: dict[int, list[Pair]] = {}
        states: list[Any] = []
        for seed, of_seed in groupby(pairs, key=lambda pair: pair[0].seed):
            folds = list(of_seed)
            state = [self._predictions_of(one) for pair in folds for one in pair]
            if None not in state:
                seeds[seed] = folds
                states.append([seed, [pair[0].fold for pair in folds], state])
        if not seeds:
            return compare({}, None, 1)
        data = str(pairs[0][0].runs[0].identity["data"]["name"])
        known = data not in self._plan.unprepared and [self._plan.data.state(data)]
        question = ["samples", metric, design.looks, known, states]
        answer = self._cache.find(question, lambda: self._find(seeds, metric, design, data))
        self.problems |= dict.fromkeys(answer["damaged"])
        return Compared.of_plain(answer["found"])

    def accuracy(self, tested: Tested, metric: str) -> float | None:
        """What a run came to, in %, or the mean of an ensemble's probabilities.

        None while a run is not finished, where it was not measured, and of an ensemble whose
        members' predictions are damaged, not there, or of other samples than each other's.
        """
        if len(tested.runs) == 1:
            record = self._records.get(key(tested.runs[0]))
            return None if record is None else accuracy(record, metric)
        if any(key(run) not in self._records for run in tested.runs):
            return None
        states = self._predictions_of(tested)
        if states is None:
            lacking = (self._folder(run) for run in tested.runs)
            names = [one.run_id for one in lacking if self._predictions(one) is None]
            self.problems[f"An ensemble lacks the predictions of {', '.join(names)}"] = None
            return None

        def find() -> dict[str, Any]:
            try:
                read = self._read(tested, metric)
            except UserError as error:
                return {"damaged": str(error)}
            return {"found": 100 * float(read.right.mean())} if read is not None else {}

        answer = self._cache.find(["ensemble", metric, states], find)
        if "damaged" in answer:
            self.problems[answer["damaged"]] = None
        found: float | None = answer.get("found")
        return found

    def collapsed(self, tested: Sequence[Tested], metric: str) -> dict[int, Collapse]:
        """The seeds of a cell that collapsed, in any of its folds."""
        by_fold: dict[int, dict[int, Tested]] = {}
        for one in tested:
            if all(key(run) in self._records for run in one.runs):
                by_fold.setdefault(one.fold, {})[one.seed] = one
        found: dict[int, Collapse] = {}
        for by_seed in by_fold.values():
            for seed, how in self._collapsed(by_seed, metric):
                found.setdefault(seed, Collapse(how))
        return dict(sorted(found.items()))

    def _collapsed(self, tested: Mapping[int, Tested], metric: str) -> list[tuple[int, str]]:
        """Of one fold, by seed; an ensemble has no curves."""
        known = {seed: self.accuracy(one, metric) for seed, one in tested.items()}
        accuracies = {seed: value for seed, value in known.items() if value is not None}
        single = {seed: one.runs[0] for seed, one in tested.items() if len(one.runs) == 1}
        folders = {seed: self._folder(run) for seed, run in single.items()}
        states = {seed: self._state(folder.epochs) for seed, folder in folders.items()}
        curves = [seed for seed, state in states.items() if state is not None]
        question = ["collapsed", sorted(accuracies.items()), [[s, states[s]] for s in curves]]

        def find() -> list[list[Any]]:
            read = {seed: _curves(folders[seed]) for seed in curves}
            return [[seed, how] for seed, how in collapsed(accuracies, read).items()]

        return [(seed, how) for seed, how in self._cache.find(question, find)]

    def keep(self) -> None:
        """Write what was found to where it is kept."""
        self._cache.write()

    def _find(
        self, seeds: Mapping[int, Sequence[Pair]], metric: str, design: Design, data: str
    ) -> dict[str, Any]:
        by_seed: dict[int, Gains] = {}
        damaged: list[str] = []
        for seed, folds in seeds.items():
            try:
                read = {
                    better.fold: (self._read(better, metric), self._read(than, metric))
                    for better, than in folds
                }
            except UserError as error:
                damaged.append(str(error))
                continue
            found = gains(read)
            if found is not None:
                by_seed[seed] = found
        subjects = self._subjects(data) if by_seed else None
        compared = compare(by_seed, subjects, levels_of(design.looks).sign)
        return {"found": compared.plain(), "damaged": damaged}

    def _read(self, tested: Tested, metric: str) -> Predictions | None:
        """As `read_predictions`; of an ensemble their `average`."""
        read = [self._read_run(run, metric) for run in tested.runs]
        members = [one for one in read if one is not None]
        if len(members) < len(read):
            return None
        try:
            return members[0] if len(members) == 1 else average(members)
        except ValueError as error:
            names = ", ".join(self._folder(run).run_id for run in tested.runs)
            raise UserError(f"{names} make no ensemble: {error}") from error

    def _read_run(self, run: PlannedRun, metric: str) -> Predictions | None:
        """As `read_predictions`; to find out that they are damaged may take long, so only once."""
        folder = self._folder(run)
        if folder.run_id not in self._damaged:
            try:
                return read_predictions(folder, metric)
            except UserError as error:
                self._damaged[folder.run_id] = str(error)
        raise UserError(self._damaged[folder.run_id])

    def _read_subjects(self, data: str) -> dict[bytes, int] | None:
        """Whose the samples of a data set are; None where it is not here, or does not say."""
        return None if data in self._plan.unprepared else self._plan.data.subjects(data)

    def _folder(self, run: PlannedRun) -> RunFolder:
        return self._called(self._records[key(run)]["run_id"])

    def _called(self, name: str) -> RunFolder:
        if name not in self._folders:
            self._folders[name] = RunFolder(self._plan.runs_dir, name)
        return self._folders[name]

    def _predictions_of(self, tested: Tested) -> list[Any] | None:
        """As `_predictions`, of all runs; None where one is not finished or has none."""
        if any(key(run) not in self._records for run in tested.runs):
            return None
        states = [self._predictions(self._folder(run)) for run in tested.runs]
        return None if None in states else states

    def _predictions(self, folder: RunFolder) -> list[Any] | None:
        """What is another whenever the predictions, or what vouches for them, are; None of none."""
        found = self._state(folder.predictions)
        return found and [*found, self._digests.get(folder.run_id)]

    def _state(self, path: Path) -> list[int] | None:
        try:
            found = path.stat()
        except FileNotFoundError:
            return None
        return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns]


def _curves(folder: RunFolder) -> tuple[Floats, Floats]:
    """Learning rate and training accuracy, of the epochs of which both are known."""
    found = CurveReader(folder).read()
    rate, accuracy = found["lr"], found["train/accuracy"]
    epochs = [epoch for epoch in rate if epoch in accuracy]
    return np.array([rate[e] for e in epochs]), np.array([accuracy[e] for e in epochs])
