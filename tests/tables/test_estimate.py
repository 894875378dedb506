"""What the missing runs of a table are expected to take."""

from __future__ import annotations

import json

import pytest

from eleatt_bench.launch.devices import UNKNOWN, Memory
from eleatt_bench.runs.identity import run_id
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.tables.estimate import expected, expected_memory


def test_without_finished_runs_nothing_is_known(digits_plan) -> None:
    found = expected([digits_plan])
    assert len(found) == len({run.run_id for run in digits_plan.first_look})
    assert {(one.seconds, one.bytes) for one in found} == {(None, None)}
    assert {one.tables for one in found} == {("digits",)}


def test_other_seeds_of_the_same_row_are_like_it(digits_plan, finish) -> None:
    runs = [run for run in digits_plan.runs if run.row == "GRU"]
    sizes = []
    for run, per_epoch in zip(runs[:2], (0.5, 1.5), strict=True):
        folder = finish(digits_plan, run, accuracy=0.9)
        record = folder.read()
        record["timing"] = {"seconds_per_epoch": per_epoch}
        record["epochs"] = 10
        folder.write(record)
        sizes.append(sum(path.stat().st_size for path in folder.path.rglob("*") if path.is_file()))
    found = {one.run.run_id: one for one in expected([digits_plan])}
    assert not {run.run_id for run in runs[:2]} & set(found)
    assert found[runs[2].run_id].seconds == pytest.approx(10)  # the median of 5 and 15
    assert found[runs[2].run_id].bytes == pytest.approx(sum(sizes) / 2)
    others = [run for run in digits_plan.runs if run.row == "EleAtt-GRU"]
    assert found[others[0].run_id].seconds is None


def test_another_configuration_of_the_same_cell_counts_by_epochs(digits_plan, finish) -> None:
    run = next(run for run in digits_plan.runs if run.row == "GRU")
    folder = finish(digits_plan, run, accuracy=0.9)
    record = folder.read()
    record["timing"], record["epochs"] = {"seconds_per_epoch": 2.0}, 7
    record["identity"] = json.loads(json.dumps(record["identity"]))
    record["identity"]["optimizer"]["lr"] = 0.5
    other = RunFolder(digits_plan.runs_dir, run_id(record["identity"]))
    folder.remove()
    other.write({**record, "run_id": other.run_id})
    found = {one.run.run_id: one for one in expected([digits_plan])}
    epochs = run.identity["trainer"]["max_epochs"]
    assert found[run.run_id].seconds == pytest.approx(2 * epochs)


def test_memory_is_the_most_that_a_like_run_took(digits_plan, finish) -> None:
    runs = [run for run in digits_plan.runs if run.row == "GRU"]
    for run, peak in zip(runs[:2], ({"peak_memory": 500}, {}), strict=True):
        folder = finish(digits_plan, run, accuracy=0.9)
        record = folder.read()
        folder.write({**record, "timing": {"peak_device_memory": 70, **peak}})
    other = next(run for run in digits_plan.runs if run.row == "EleAtt-GRU")
    asked = [runs[2].identity, other.identity]
    assert expected_memory(asked, digits_plan.runs_dir) == [Memory(500, 70), UNKNOWN]
