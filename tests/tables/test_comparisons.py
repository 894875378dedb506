"""Comparisons are found again, until a run's predictions are others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from eleatt_bench.common import files
from eleatt_bench.runs import predictions
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.tables.build import table
from eleatt_bench.tables.plan import Plan, plan
from eleatt_bench.tables.table import SampleTest


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(files, "_FINE_STEP", 0)  # what is written is settled at once


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The predictions that were read."""
    found: list[Path] = []
    read = predictions.read_predictions

    def counted(folder: RunFolder, metric: str) -> object:
        found.append(folder.predictions)
        return read(folder, metric)

    monkeypatch.setattr(predictions, "read_predictions", counted)
    return found


def same(made: Plan) -> tuple[SampleTest, ...]:
    """Those of EleAtt-GRU better than GRU."""
    return table(made).claims[0].tests


def runs(made: Plan, row: str) -> list:
    """Those of the first look."""
    return [run for run in made.first_look if run.row == row]


def test_predictions_are_read_once(digits_plan: Plan, finish, reads: list[Path]) -> None:
    for row, right in (("EleAtt-GRU", [1, 1, 1]), ("GRU", [1, 0, 0])):
        for run in runs(digits_plan, row):
            finish(digits_plan, run, right=right)
    first = same(digits_plan)
    assert [(test.seed, test.better_only, test.p) for test in first] == [
        (seed, 2, 0.5) for seed in (0, 1, 2)
    ]
    assert len(reads) == 6
    assert same(digits_plan) == first
    assert len(reads) == 6


def test_a_run_that_was_trained_anew_is_read_again(
    digits_plan: Plan, finish, reads: list[Path]
) -> None:
    (better, *_), (than, *_) = (runs(digits_plan, row) for row in ("EleAtt-GRU", "GRU"))
    finish(digits_plan, better, right=[1, 1, 1])
    folder = finish(digits_plan, than, right=[1, 1, 0])
    assert same(digits_plan)[0].better_only == 1
    before = folder.predictions.stat()
    finish(digits_plan, than, right=[1, 0, 0])
    assert folder.predictions.stat().st_size == before.st_size
    assert same(digits_plan)[0].better_only == 2
    folder.predictions.unlink()
    assert same(digits_plan) == ()
    assert len(reads) == 4


def test_the_same_file_by_another_time_is_read_again(
    digits_plan: Plan, finish, reads: list[Path]
) -> None:
    for row in ("EleAtt-GRU", "GRU"):
        folder = finish(digits_plan, runs(digits_plan, row)[0], right=[1, 0])
    first = same(digits_plan)
    os.utime(folder.predictions, ns=(0, 0))
    assert same(digits_plan) == first
    assert len(reads) == 4


def test_that_the_samples_are_others_is_kept_too(
    digits_plan: Plan, finish, reads: list[Path]
) -> None:
    finish(digits_plan, runs(digits_plan, "EleAtt-GRU")[0], right=[1, 1, 1])
    finish(digits_plan, runs(digits_plan, "GRU")[0], right=[1, 1])
    for _ in range(2):
        assert same(digits_plan) == ()
    assert len(reads) == 2


def test_an_interval_comes_back_as_it_was(tmp_path: Path, finish, composer, reads) -> None:
    columns = 'table.columns=[{name: accuracy, overrides: ["experiment=sysu"], folds: [0,1]}]'
    made = plan("digits", [columns, "table.seeds=[0]", f"runs_dir={tmp_path / 'runs'}"], composer)
    for run in runs(made, "EleAtt-GRU"):
        finish(made, run, right=[1, 1, 1, 1])
    for run in runs(made, "GRU"):
        finish(made, run, right=[run.fold, 0, 1, 0])
    first = same(made)
    assert first[0].interval is not None
    assert same(made) == first
    assert len(reads) == 4


def test_a_judgement_comes_back_as_it_was(digits_plan: Plan, finish, monkeypatch) -> None:
    for row, accuracies in (("EleAtt-GRU", (0.61, 0.64, 0.67)), ("GRU", (0.6, 0.62, 0.64))):
        for run, accuracy in zip(runs(digits_plan, row), accuracies, strict=False):
            finish(digits_plan, run, accuracy=accuracy)
    first = [claim.judgement for claim in table(digits_plan).claims]
    assert (first[0].count, first[0].next_look) == (3, 6)
    with monkeypatch.context() as patch:
        patch.setattr("eleatt_bench.tables.judge.judge", None)
        assert [claim.judgement for claim in table(digits_plan).claims] == first
    finish(digits_plan, runs(digits_plan, "GRU")[0], accuracy=0.5)
    assert table(digits_plan).claims[0].judgement != first[0]


def test_what_came_of_a_file_that_was_just_written_is_not_kept(
    digits_plan: Plan, finish, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_FINE_STEP", 10**12)
    for row in ("EleAtt-GRU", "GRU"):
        finish(digits_plan, runs(digits_plan, row)[0], right=[1, 0])
    first = same(digits_plan)
    assert same(digits_plan) == first
    assert len(reads) == 4
