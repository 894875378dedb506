"""From records on disk to the numbers of a table."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from eleatt_bench.common.errors import UserError
from eleatt_bench.data import catalog
from eleatt_bench.data.store import Sample
from eleatt_bench.data.writing import write_store
from eleatt_bench.tables.build import table
from eleatt_bench.tables.estimate import expected
from eleatt_bench.tables.parameters import count
from eleatt_bench.tables.plan import Plan, plan
from eleatt_bench.tables.table import RunSource, SeedResult, Table, TableCell


def cell_of(made: Table, row: str, column: int = 0) -> TableCell:
    return next(r for r in made.rows if r.name == row).cells[column]


def runs_of(made: Plan, row: str, column: str = "accuracy") -> list:
    """Those of the first look."""
    return [run for run in made.first_look if (run.row, run.column) == (row, column)]


def test_without_any_run_every_cell_is_empty(digits_plan: Plan) -> None:
    result = table(digits_plan)
    assert all(cell.values == () and cell.mean is None for row in result.rows for cell in row.cells)
    assert (result.finished, result.runs) == (0, 18)
    # 3N(D+N+1) of the GRU, D(D+N+1) of the gate, 10 classes: D = 8, N = 32
    assert cell_of(result, "EleAtt-GRU").parameters == 3 * 32 * 41 + 8 * 41 + 10 * 33


def test_a_cell_is_the_mean_over_its_finished_seeds(digits_plan: Plan, finish) -> None:
    accuracies = [0.91, 0.93]
    for run, accuracy in zip(runs_of(digits_plan, "GRU"), accuracies, strict=False):
        finish(digits_plan, run, accuracy=accuracy, seconds=4 * accuracy)
    result = table(digits_plan)
    cell = cell_of(result, "GRU")
    assert cell.by_seed == pytest.approx({0: 91.0, 1: 93.0})
    assert (len(cell.results), cell.runs, cell.finished) == (3, 3, 2)
    assert cell.mean == pytest.approx(92.0)
    assert cell.std == pytest.approx(100 * statistics.stdev(accuracies))
    assert cell.fold_std is None
    assert cell.parameters == 321
    assert cell.seconds == pytest.approx({"a CPU, 1 thread, scan": 4 * 0.92})
    assert (result.finished, result.runs) == (2, 18)


def test_an_accuracy_names_its_run_and_the_digest_of_its_data(digits_plan: Plan, finish) -> None:
    run = runs_of(digits_plan, "GRU")[1]
    folder = finish(digits_plan, run, accuracy=0.9)
    cell = cell_of(table(digits_plan), "GRU")
    assert [result.runs for result in cell.results] == [
        (None,), (RunSource(folder.run_id, "d" * 64),), (None,)
    ]  # fmt: skip


@given(st.lists(st.floats(0, 100), min_size=1, max_size=8))
def test_the_interval_is_scipys_as_far_as_accuracies_go(values: list[float]) -> None:
    cell = TableCell(tuple(SeedResult(k, (v,)) for k, v in enumerate(values)), None)
    if len(values) < 3:
        assert cell.interval is None
        return
    spread = statistics.stdev(values) / len(values) ** 0.5
    center = statistics.fmean(values)
    low, high = stats.t.interval(0.95, len(values) - 1) if spread else (0.0, 0.0)
    expected = (max(0.0, center + low * spread), min(100.0, center + high * spread))
    assert cell.interval == pytest.approx(expected)


def test_times_of_different_devices_are_not_mixed(digits_plan: Plan, finish) -> None:
    for run, seconds in zip(runs_of(digits_plan, "GRU"), (2.0, 4.0, None), strict=True):
        finish(digits_plan, run, accuracy=0.5, seconds=seconds, device=f"CPU {seconds}")
    seconds = cell_of(table(digits_plan), "GRU").seconds
    assert seconds == {"CPU 2.0, 1 thread, scan": 2.0, "CPU 4.0, 1 thread, scan": 4.0}


def test_a_run_that_a_machine_slept_through_does_not_count(digits_plan: Plan, finish) -> None:
    for run, seconds in zip(runs_of(digits_plan, "GRU"), (2.0, 150.0, 3.0), strict=True):
        finish(digits_plan, run, accuracy=0.5, seconds=seconds)
    (seconds,) = (cell_of(table(digits_plan), "GRU").seconds or {}).values()
    assert seconds == 3.0


def test_the_last_part_of_a_run_does_not_count(digits_plan: Plan, finish) -> None:
    for run, seconds in zip(runs_of(digits_plan, "GRU"), (2.0, 5.0, 4.0), strict=True):
        folder = finish(digits_plan, run, accuracy=0.5, seconds=seconds)
        if seconds > 2:  # an earlier version timed the last process alone
            record = folder.read()
            record["timing"]["resumed_after_epoch"] = 7
            folder.write(record | ({"devices": [["a CPU", 9]]} if seconds == 4 else {}))
    (found,) = (cell_of(table(digits_plan), "GRU").seconds or {}).values()
    assert found == 3.0


def test_columns_read_their_own_metric_of_the_same_run(table4_plan: Plan, finish) -> None:
    made = replace(table4_plan, runs=tuple(r for r in table4_plan.runs if r.seed < 3))
    section = made.runs[0].section
    for run in made.by_cell[section, "EleAtt-GRU", "cross_view"]:
        finish(made, run, accuracy=0.60 + run.seed / 100, accuracy_clean=0.50)
    result = table(made)
    assert cell_of(result, "EleAtt-GRU").mean == pytest.approx(61.0)
    assert cell_of(result, "EleAtt-GRU").difference == pytest.approx(61.0 - 89.0)
    assert cell_of(result, "EleAtt-GRU", 1).mean == pytest.approx(50.0)
    assert cell_of(result, "EleAtt-GRU", 1).paper is None
    assert result.finished == 3
    assert any("eleatt-bench data prepare nucla" in note for note in result.notes)


def test_cited_rows_have_the_papers_numbers_alone(table4_plan: Plan) -> None:
    result = table(table4_plan)
    assert [(row.name, row.cells[0].paper) for row in result.cited] == [
        ("HOJ3D", 54.5),
        ("AE", 76.0),
        ("VA-LSTM", 70.7),
        ("HBRNN-L", 78.5),
    ]
    assert all(cell.results == () for row in result.cited for cell in row.cells)


def test_folds_are_averaged_within_a_seed_before_seeds_are() -> None:
    results = (
        SeedResult(0, (60.0, 62.0, 70.0)),
        SeedResult(1, (50.0, None, 99.0)),  # a fold is missing: progress, not a result
        SeedResult(2, (64.0, 66.0, 68.0)),
    )
    cell = TableCell(results, paper=65.0)
    assert cell.by_seed == {0: 64.0, 2: 66.0}
    assert cell.mean == 65.0
    assert cell.std == pytest.approx(2**0.5)
    assert cell.fold_std == pytest.approx((statistics.stdev((60, 62, 70)) + 2.0) / 2)
    assert cell.difference == 0.0
    assert (cell.runs, cell.finished) == (9, 8)


@pytest.mark.slow
def test_a_table_of_folds_counts_them(tmp_path, finish, composer) -> None:
    columns = 'table.columns=[{name: accuracy, overrides: ["experiment=dhg"], folds: all}]'
    made = plan("digits", [columns, "table.seeds=[0,1]", f"runs_dir={tmp_path}"], composer)
    for run in runs_of(made, "GRU"):
        if (run.seed, run.fold) != (1, 7):
            finish(made, run, accuracy=0.5 + run.fold / 100)
    result = table(made)
    cell = cell_of(result, "GRU")
    assert result.columns[0].folds == 20
    assert cell.by_seed == pytest.approx({0: 59.5})
    assert cell.std is None
    assert cell.fold_std == pytest.approx(statistics.stdev(range(20)))
    assert (cell.finished, cell.runs) == (39, 40)
    assert any("A variation of the table" in note for note in result.notes)


@pytest.fixture
def features(tmp_path: Path) -> Callable[[str], None]:
    """Prepare JHMDB as features of four values, from a network with such weights."""

    def prepare(weights: str) -> None:
        splits = {f"split_{number}": 0 for number in (1, 2, 3)}
        write_store(
            catalog.store_path(tmp_path, "jhmdb"),
            name="jhmdb",
            samples=[Sample("clip", np.ones((2, 4), np.float32), 0, splits)],
            class_names=["no", "yes"],
            layout={"kind": "features", "backbone": "mean", "weights": weights},
            source="a test",
        )

    return prepare


@pytest.mark.slow
def test_networks_on_features_take_what_the_backbone_of_the_store_makes(
    tmp_path: Path, composer, features, finish
) -> None:
    """Without a store, what that of the commands makes: 2,048 values."""
    features("of a test")
    made = plan("table1", [f"data_dir={tmp_path}", f"runs_dir={tmp_path}"], composer)
    videos, clips = table(made).rows[0].cells[::2][:2]
    model = made.runs[0].identity["model"]
    assert videos.parameters == count(model, 2048, 60) == 7_113_276
    one_layer = {**model, "num_layers": 1}
    assert clips.parameters == count(one_layer, 4, 21)

    small = plan("table1", ["model.hidden_size=256", *made.folders], composer)
    done = next(run for run in small.runs if run.column == "jhmdb_1")
    size = count({**one_layer, "hidden_size": 256}, 4, 21)
    finish(small, done, accuracy=0.5, more={"parameters": size, "samples": {"train": 660}})
    found = next(one for one in expected([made])[0] if one.run.identity["data"]["name"] == "jhmdb")
    assert found.seconds == pytest.approx(2.0 * 60 * clips.parameters / size)


@pytest.mark.parametrize(("weights", "warned"), [("random", True), ("of a test", False)])
@pytest.mark.few(1)
def test_features_of_a_network_that_was_never_trained_are_shouted_about(
    tmp_path: Path, composer, features, weights: str, warned: bool
) -> None:
    features(weights)
    notes = table(plan("table1", [f"data_dir={tmp_path}", "table.seeds=[0]"], composer)).notes
    assert any(note.startswith("RANDOM WEIGHTS: ") and "jhmdb" in note for note in notes) == warned


def test_a_damaged_store_is_as_none_and_what_mends_it_is_told(tmp_path: Path, composer) -> None:
    store = catalog.store_path(tmp_path, "nucla")
    store.parent.mkdir(parents=True)
    store.write_bytes(b"half of a store")
    made = plan("table4", [f"data_dir={tmp_path}", "table.seeds=[0]"], composer)
    assert made.unprepared == ("ntu_v1", "nucla")
    assert {run.run_id for run in made.runs} == {None}
    said = (
        "Data set nucla cannot be read here, so runs were matched by everything but the data's "
        f"digest. {store} is not an HDF5 file. Make it anew with: "
        "eleatt-bench data prepare nucla --source PATH"
    )
    assert said in table(made).notes
    with pytest.raises(UserError, match="Unknown data set"):
        plan("digits", ["data.name=nucal"], composer)


def test_incomplete_data_that_runs_begin_with_are_named(tmp_path: Path, composer) -> None:
    write_store(
        catalog.store_path(tmp_path, "ntu_v1"),
        name="ntu",
        samples=[Sample(f"S00{n}", np.ones((2, 150), np.float32), n, {"setup": n}) for n in (1, 2)],
        class_names=["no", "yes", "maybe"],
        layout={"kind": "features"},
        source="a test",
    )
    notes = table(plan("table4", [f"data_dir={tmp_path}", "table.seeds=[0]"], composer)).notes
    said = "DATA SET ntu_v1: 2 of 56,578: incomplete, not comparable with published results"
    assert said in notes


def test_a_table_says_of_which_commits_its_runs_are(digits_plan: Plan, finish) -> None:
    def notes(*commits: str | None) -> list[str]:
        for run, commit in zip(digits_plan.runs, commits, strict=False):
            more = {"git_commit": commit, "predictions_digest": "d"}
            finish(digits_plan, run, accuracy=0.5, more=more)
        return [note for note in table(digits_plan).notes if "commit" in note]

    one, two = "1" * 40, "2" * 40
    assert notes(one, one) == []
    assert notes(one, one, two) == ["The runs are of 2 commits: 1111111 (2), 2222222 (1)"]
    (changed,) = notes(one, one, one + "+changes")
    assert changed == (
        "The runs are of 2 commits: 1111111 (2), 1111111+changes (1); 1 run of a checkout with "
        "changes"
    )
    (many,) = notes(one, two, "3" * 40, "4" * 40, None)
    assert many.startswith("The runs are of 5 commits: ")
    assert many.endswith(" and 2 more")
    assert len(many) < 100


def test_a_table_goes_on_without_what_is_damaged_and_says_so(digits_plan: Plan, finish) -> None:
    for row in ("EleAtt-GRU", "GRU"):
        for run in runs_of(digits_plan, row):
            folder = finish(digits_plan, run, right=[1, 0, 1])
    folder.predictions.write_bytes(b"half of")
    broken = finish(digits_plan, runs_of(digits_plan, "LSTM")[0], accuracy=0.5)
    broken.record.write_text("{}")
    made = table(digits_plan)
    assert [test.seed for test in made.claims[0].tests] == [0, 1]
    notes = [note for note in made.notes if "is damaged" in note]
    assert [note.split(" is damaged")[0] for note in notes] == [
        str(broken.record), str(folder.predictions),
    ]  # fmt: skip
    assert made.finished == 6
    assert any("The predictions of 6 runs are unverified" in note for note in made.notes)
    again = table(digits_plan)
    assert (again.claims, again.notes) == (made.claims, made.notes), "also from what is kept"


def test_a_column_of_what_runs_did_not_measure_says_so(digits_plan: Plan, finish) -> None:
    clean = {**digits_plan.spec["columns"][0], "metric": "accuracy_clean"}
    asked = replace(digits_plan, spec={**digits_plan.spec, "columns": [clean]})
    for run in digits_plan.runs[:2]:
        finish(digits_plan, run, right=[1, 0])
    (note,) = (note for note in table(asked).notes if "did not measure" in note)
    assert not any("is damaged" in note for note in table(asked).notes)
    assert note.startswith("Column accuracy shows accuracy_clean, which 2 finished runs did")
    assert not any("did not measure" in note for note in table(digits_plan).notes)
