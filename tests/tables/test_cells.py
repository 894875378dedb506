"""From records on disk to the numbers of a table."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest

from eleatt_bench.runs.record import RunFolder
from eleatt_bench.tables.cells import missing, table
from eleatt_bench.tables.plan import Plan, PlannedRun, plan


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ELEATT_DATA", raising=False)
    monkeypatch.delenv("ELEATT_RUNS", raising=False)


def finish(made: Plan, run: PlannedRun, status: str = "finished", **metrics: float) -> None:
    """Leave the record that ``run`` would leave."""
    name = run.run_id or "elsewhere-" + str(abs(hash(json.dumps(run.identity, sort_keys=True))))
    folder = RunFolder(made.runs_dir, name)
    record = {
        "run_id": name,
        "status": status,
        "identity": run.identity,
        "metrics": {"test": metrics},
        "parameters": 321,
    }
    folder.write(record)


def runs_of(made: Plan, row: str) -> list[PlannedRun]:
    return [run for run in made.runs if run.row == row]


def test_without_any_run_every_cell_is_empty_and_all_runs_are_missing() -> None:
    made = plan("digits")
    result = table(made)
    assert all(cell.values == () and cell.mean is None for row in result.rows for cell in row.cells)
    assert (result.finished, result.runs) == (0, 18)
    assert len(missing(made)) == 18


def test_missing_runs_come_seed_by_seed_so_that_all_rows_grow_together() -> None:
    assert [run.seed for run in missing(plan("digits"))] == [0] * 6 + [1] * 6 + [2] * 6


def test_a_cell_is_the_mean_over_its_finished_seeds() -> None:
    made = plan("digits")
    accuracies = [0.91, 0.93]
    for run, accuracy in zip(runs_of(made, "GRU"), accuracies, strict=False):
        finish(made, run, accuracy=accuracy)
    result = table(made)
    (cell,) = next(row for row in result.rows if row.name == "GRU").cells
    assert cell.values == pytest.approx((91.0, 93.0))
    assert cell.seeds == 3
    assert cell.mean == pytest.approx(92.0)
    assert cell.std == pytest.approx(100 * statistics.stdev(accuracies))
    assert (result.finished, result.runs) == (2, 18)
    assert len(missing(made)) == 16


@pytest.mark.parametrize("status", ["running", "failed"])
def test_an_unfinished_run_counts_for_nothing(status: str) -> None:
    made = plan("digits")
    finish(made, made.runs[0], status=status, accuracy=0.5)
    assert table(made).finished == 0
    assert len(missing(made)) == 18


def test_a_damaged_record_counts_for_nothing() -> None:
    made = plan("digits")
    finish(made, made.runs[0], accuracy=0.5)
    path = RunFolder(made.runs_dir, str(made.runs[0].run_id)).record
    path.write_text(path.read_text(encoding="utf-8")[:50], encoding="utf-8")
    assert table(made).finished == 0


def test_columns_read_their_own_metric_of_the_same_run() -> None:
    made = plan("table4")
    for run in runs_of(made, "EleAtt-GRU"):
        finish(made, run, accuracy=0.60 + run.seed / 100, accuracy_clean=0.50)
    result = table(made)
    row = next(row for row in result.rows if row.name == "EleAtt-GRU")
    assert row.cells[0].mean == pytest.approx(61.0)
    assert row.cells[1].mean == pytest.approx(50.0)
    assert row.cells[0].paper == 89.0
    assert row.cells[1].paper is None
    assert row.parameters == 321
    assert (result.finished, result.runs) == (3, 9)


def test_without_the_data_runs_are_matched_by_everything_else_and_it_says_so() -> None:
    made = plan("table4")
    run = made.runs[0]
    trained = {**run.identity, "data": {**run.identity["data"], "digest": "abc"}}
    finish(made, PlannedRun(run.row, run.column, run.seed, (), trained, None), accuracy=0.6,
           accuracy_clean=0.5)  # fmt: skip
    other = {**trained, "trainer": {**trained["trainer"], "max_epochs": 1}}
    finish(made, PlannedRun(run.row, run.column, run.seed, (), other, None), accuracy=0.1,
           accuracy_clean=0.1)  # fmt: skip
    result = table(made)
    assert result.finished == 1
    assert result.rows[0].cells[0].values == pytest.approx((60.0,))
    assert any("eleatt-bench data prepare nucla" in note for note in result.notes)


def test_cited_rows_have_the_papers_numbers_alone() -> None:
    result = table(plan("table4"))
    assert [(row.name, row.cells[0].paper) for row in result.cited] == [
        ("HOJ3D", 54.5),
        ("AE", 76.0),
        ("VA-LSTM", 70.7),
        ("HBRNN-L", 78.5),
    ]
    assert all(cell.seeds == 0 for row in result.cited for cell in row.cells)
    assert result.paper_note == "with NTU pre-training"


def test_the_record_of_the_same_run_is_found_wherever_the_runs_lie(tmp_path: Path) -> None:
    made = plan("digits", [f"runs_dir={tmp_path / 'elsewhere'}"])
    finish(made, made.runs[0], accuracy=0.5)
    assert made.runs_dir == tmp_path / "elsewhere"
    assert table(made).finished == 1
    assert table(plan("digits")).finished == 0
