"""The claims "A is better than B" of a table, judged by its finished runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from eleatt_bench.common.cache import Cache, fingerprint, version_files
from eleatt_bench.common.errors import DamagedDataError, UserError
from eleatt_bench.common.files import FileState
from eleatt_bench.common.locations import package_code
from eleatt_bench.runs.record import EPOCHS, PREDICTIONS, RunFolder
from eleatt_bench.runs.summaries import Summary
from eleatt_bench.tables.cells import PlannedRun
from eleatt_bench.tables.family import family
from eleatt_bench.tables.judgement import Design, Judgement
from eleatt_bench.tables.plan import Plan, Tested
from eleatt_bench.tables.records import key, percent
from eleatt_bench.tables.spec import Place, Spec, claims_of
from eleatt_bench.tables.table import NOTHING_COMPARED, Claim, Collapse, Compared, TableCell

if TYPE_CHECKING:
    from eleatt_bench.runs.curves import CurveReader
    from eleatt_bench.runs.predictions import Predictions
    from eleatt_bench.tables.crossing import Floats

Pair = tuple[Tested, Tested]
"""The two rows of a claim at the same seed and fold."""


class _Files(NamedTuple):
    """The state of files of predictions.

    ``key`` changes whenever the files, or the digests that vouch for them, do. A file that is not
    ``settled`` may still change unseen.
    """

    key: list[Any]
    settled: bool


def claims(
    plan: Plan,
    cells: Mapping[Place, TableCell],
    failed: Collection[str],
    comparisons: Comparisons,
) -> tuple[Claim, ...]:
    """Every claim of the table, in each section and column that it is about.

    ``failed`` are the keys of the runs that failed.
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
    """The seeds with a failed run, or with a run whose pre-training failed."""
    if not failed:
        return []
    runs = (run for pair in pairs for one in pair for run in one.runs)
    needed = ((run.seed, one) for run in runs for one in (run, run.before))
    return sorted({seed for seed, run in needed if run is not None and key(run) in failed})


def _name(pairs: Sequence[Pair], metric: str) -> str:
    """A name for the runs of a claim; those of the first seed stand for those of all seeds."""
    first = [
        [list(map(key, one.runs)) for one in pair]
        for pair in pairs
        if pair[0].seed == pairs[0][0].seed
    ]
    return hashlib.sha256(json.dumps([metric, first]).encode()).hexdigest()[:16]


_MOST = 20_000  # answers of a kilobyte each
_LIBRARIES = dict.fromkeys(("h5py", "numpy", "scipy"), "version.py")


class Comparisons:
    """Comparisons of the finished runs of ``plan``.

    Reading the predictions of two thousand runs takes seconds, and importing the code that reads
    them a third of a second. So results are cached. A cached result is used as long as the code,
    the `FileState` of each file and the digests in the records are the same. Nothing is cached from
    files that are not settled.

    ``problems`` are sentences about predictions and curves that are damaged or missing, and so are
    left out.
    """

    def __init__(self, plan: Plan, records: Mapping[str, Summary]) -> None:
        self._plan, self._records = plan, records
        code = (*package_code("common", "runs", "tables"), *version_files(_LIBRARIES))
        self._cache = Cache("comparisons", fingerprint(code), _MOST)
        self.problems: dict[str, None] = {}  # in order, each once
        self._damaged: dict[str, str] = {}  # by run
        self._lost = set(plan.unprepared)  # the data sets that cannot be read
        self._subjects = cache(self._read_subjects)

    def judgement(
        self,
        better: Mapping[int, float],
        than: Mapping[int, float],
        design: Design,
        failed: Sequence[int],
    ) -> Judgement:
        """The result of `judge`, cached."""
        rows = [sorted(row.items()) for row in (better, than)]

        def find() -> dict[str, Any]:
            from eleatt_bench.tables.judge import judge

            return judge(better, than, design, failed).plain()

        found = self._cache.find(["judge", rows, asdict(design), list(failed)], find)
        return Judgement.of_plain(found)

    def samples(self, pairs: Sequence[Pair], metric: str, design: Design) -> Compared:
        """The comparison of predictions, over seeds that are finished in both rows and all folds.

        Seeds are left out whose predictions are missing, damaged or not of the same samples.
        """
        seeds: dict[int, list[Pair]] = {}
        states: list[Any] = []
        settled = True
        for seed, of_seed in groupby(pairs, key=lambda pair: pair[0].seed):
            folds = list(of_seed)
            files = [self._predictions_of(one) for pair in folds for one in pair]
            known = [file for file in files if file is not None]
            if len(known) == len(files):
                seeds[seed] = folds
                settled = settled and all(file.settled for file in known)
                states.append([seed, [pair[0].fold for pair in folds], [f.key for f in known]])
                continue
            lacking = self._without_predictions(
                r for pair in folds for one in pair for r in one.runs
            )
            if lacking:
                self.problems[f"A claim lacks the predictions of {', '.join(lacking)}"] = None
        if not seeds:
            return NOTHING_COMPARED
        data = str(pairs[0][0].runs[0].identity["data"]["name"])

        def found() -> dict[str, Any]:
            prepared = data not in self._lost and [self._plan.data.state(data)]
            answer: dict[str, Any] = self._cache.find(
                ["samples", metric, design.looks, prepared, states],
                lambda: self._find(seeds, metric, design, data),
                keep=settled,
            )
            return answer

        try:
            answer = found()
        except DamagedDataError as error:
            self.problems[str(error)] = None
            self._lost.add(data)
            answer = found()
        self.problems |= dict.fromkeys(answer["damaged"])
        return Compared.of_plain(answer["found"])

    def percent(self, tested: Tested, metric: str) -> float | None:
        """The ``metric`` in % of a run, or of the mean of an ensemble's probabilities.

        None while a run is not finished, if the metric was not measured, and for an ensemble whose
        members' predictions are damaged, missing or not of the same samples.
        """
        if len(tested.runs) == 1:
            record = self._records.get(key(tested.runs[0]))
            return None if record is None else percent(record, metric)
        if any(key(run) not in self._records for run in tested.runs):
            return None
        files = self._predictions_of(tested)
        if files is None:
            names = ", ".join(self._without_predictions(tested.runs))
            self.problems[f"An ensemble lacks the predictions of {names}"] = None
            return None

        def find() -> dict[str, Any]:
            try:
                read = self._read(tested, metric)
            except UserError as error:
                return {"damaged": str(error)}
            return {"found": 100 * float(read.right.mean())} if read is not None else {}

        answer = self._cache.find(["ensemble", metric, files.key], find, keep=files.settled)
        if "damaged" in answer:
            self.problems[answer["damaged"]] = None
        found: float | None = answer.get("found")
        return found

    def collapsed(self, tested: Sequence[Tested], metric: str) -> dict[int, Collapse]:
        """The seeds of a cell that collapsed in any of its folds, and how."""
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
        """The seeds that collapsed in one fold, and how; an ensemble has no curves to look at."""
        known = {seed: self.percent(one, metric) for seed, one in tested.items()}
        accuracies = {seed: value for seed, value in known.items() if value is not None}
        records = {
            seed: self._records[key(one.runs[0])]
            for seed, one in tested.items()
            if len(one.runs) == 1
        }
        files = {seed: self._file(record, EPOCHS) for seed, record in records.items()}
        curves = {seed: file for seed, file in files.items() if file is not None}
        states = [[seed, file.key] for seed, file in curves.items()]

        def find() -> dict[str, list[Any]]:
            from eleatt_bench.runs.curves import CurveReader
            from eleatt_bench.tables.collapse import collapsed

            readers = {seed: CurveReader(self._folder(records[seed])) for seed in curves}
            read = {seed: _curves(reader) for seed, reader in readers.items()}
            damages = [damage for reader in readers.values() if (damage := reader.damage())]
            found = [[seed, how] for seed, how in collapsed(accuracies, read).items()]
            return {"found": found, "damaged": damages}

        answer = self._cache.find(
            ["collapsed", sorted(accuracies.items()), states], find,
            keep=all(file.settled for file in curves.values()),
        )  # fmt: skip
        self.problems |= dict.fromkeys(answer["damaged"])
        return [(seed, how) for seed, how in answer["found"]]

    def keep(self) -> None:
        """Write new results to the cache."""
        self._cache.write()

    def _find(
        self, seeds: Mapping[int, Sequence[Pair]], metric: str, design: Design, data: str
    ) -> dict[str, Any]:
        from eleatt_bench.tables.samples import Gains, compare, gains
        from eleatt_bench.tables.verdicts import levels_of

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
        """The predictions of a run, or the `average` of an ensemble's; as `read_predictions`."""
        read = [self._read_run(run, metric) for run in tested.runs]
        members = [one for one in read if one is not None]
        if len(members) < len(read):
            return None
        try:
            if len(members) == 1:
                return members[0]
            from eleatt_bench.runs.ensembles import average

            return average(members)
        except ValueError as error:
            names = ", ".join(self._records[key(run)]["run_id"] for run in tested.runs)
            raise UserError(f"{names} make no ensemble: {error}") from error

    def _read_run(self, run: PlannedRun, metric: str) -> Predictions | None:
        """The predictions of a run, as `read_predictions`.

        Damaged ones are remembered, because finding the damage may take long.
        """
        from eleatt_bench.runs.predictions import read_predictions

        folder = self._folder(self._records[key(run)])
        if folder.run_id not in self._damaged:
            try:
                return read_predictions(folder, metric)
            except UserError as error:
                self._damaged[folder.run_id] = str(error)
        raise UserError(self._damaged[folder.run_id])

    def _read_subjects(self, data: str) -> dict[bytes, int] | None:
        """The subject of each sample, by its name; None if the data are not here or do not say."""
        return None if data in self._lost else self._plan.data.subjects(data)

    def _folder(self, record: Summary) -> RunFolder:
        return RunFolder(self._plan.runs_dir, record["run_id"])

    def _predictions_of(self, tested: Tested) -> _Files | None:
        """The state of all runs' predictions; None if a run is not finished or has none."""
        records = [self._records.get(key(run)) for run in tested.runs]
        files = [self._file(record, PREDICTIONS) for record in records]
        known = [
            (file, [*file.key, record.get("predictions_digest")])
            for file, record in zip(files, records, strict=True)
            if file is not None and record is not None
        ]
        if len(known) < len(records):
            return None
        return _Files([state for _, state in known], all(file.settled for file, _ in known))

    def _without_predictions(self, runs: Iterable[PlannedRun]) -> list[str]:
        """The names of the finished ``runs`` that have no predictions."""
        records = [self._records[key(run)] for run in runs if key(run) in self._records]
        return [one["run_id"] for one in records if self._file(one, PREDICTIONS) is None]

    def _file(self, record: Summary | None, name: str) -> FileState | None:
        if record is None:
            return None
        return FileState.at(f"{self._plan.runs_dir}/{record['run_id']}/{name}")


def _curves(reader: CurveReader) -> tuple[Floats, Floats]:
    """Learning rate and training accuracy of the epochs that have both, (E,) each."""
    import numpy as np

    found = reader.read()
    rate, accuracy = found["lr"], found["train/accuracy"]
    epochs = [epoch for epoch in rate if epoch in accuracy]
    return np.array([rate[e] for e in epochs]), np.array([accuracy[e] for e in epochs])
