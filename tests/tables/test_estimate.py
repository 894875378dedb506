"""What the missing runs of a table are expected to take."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from eleatt_bench.launch.devices import UNKNOWN, Memory
from eleatt_bench.runs.identity import run_id
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.tables.estimate import expected, expected_memory
from eleatt_bench.tables.parameters import parameters
from eleatt_bench.tables.plan import Plan, plan


def unknown(made: Plan) -> Plan:
    """The plan of a table whose recipe does not say what its runs cost."""
    columns = [{**column, "minutes": None} for column in made.spec["columns"]]
    return replace(made, spec={**made.spec, "columns": columns})


def test_without_finished_runs_nothing_is_known(digits_plan) -> None:
    looks = expected([unknown(digits_plan), unknown(digits_plan)])
    assert [len(found) for found in looks] == [18, 18, 36]
    found = [one for look in looks for one in look]
    assert len({one.run.run_id for one in found}) == 72
    assert {(one.seconds, one.bytes, one.waits_for) for one in found} == {(None, None, ())}
    assert {one.tables for one in found} == {("digits",)}


def test_without_finished_runs_the_recipe_tells(digits_plan, composer) -> None:
    (column,) = digits_plan.spec["columns"]
    (first, *_) = expected([digits_plan])
    assert {one.seconds for one in first} == {60 * column["minutes"]}
    assert first[0].source.startswith("by the table's file")
    typed = plan("digits", ["table.seeds=[0,1]"], composer)
    assert expected([typed])[0][0].seconds == 60 * column["minutes"]
    for other in (["trainer.max_epochs=2"], ["quick=true"]):
        assert expected([plan("digits", other, composer)])[0][0].seconds is None


def test_runs_that_lack_their_data_wait_for_them(table4_plan) -> None:
    first, second, _ = expected([table4_plan])
    scratch = [one for one in first if not one.run.before]
    assert {one.waits_for for one in scratch} == {("nucla",), ("ntu_v1",)}
    assert {one.waits_for for one in first if one.run.before} == {("nucla", "ntu_v1")}
    assert len(first) == len(second) == 3 * 15


def test_decided_claims_need_no_further_look(digits_plan, finish) -> None:
    for run in digits_plan.first_look:
        gain = 0.1 + run.seed / 1000 if run.row == "EleAtt-GRU" else 0
        noise = (run.seed - 1) / 10 if run.row == "EleAtt-RNN" else 0
        finish(digits_plan, run, accuracy=0.7 + gain + noise)
    first, second, third = ([one.run for one in look] for look in expected([digits_plan]))
    assert first == []
    assert {run.row for run in second} == {"EleAtt-LSTM", "LSTM", "EleAtt-RNN", "RNN"}
    assert [{run.seed for run in look} for look in (second, third)] == [{3, 4, 5}, {*range(6, 12)}]


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
    found = {one.run.run_id: one for one in expected([unknown(digits_plan)])[0]}
    assert not {run.run_id for run in runs[:2]} & set(found)
    assert found[runs[2].run_id].seconds == pytest.approx(10)  # the median of 5 and 15
    assert found[runs[2].run_id].bytes == pytest.approx(sum(sizes) / 2)
    others = [run for run in digits_plan.runs if run.row == "EleAtt-GRU"]
    assert found[others[0].run_id].seconds is None, "another network"


def test_another_configuration_of_the_same_cell_counts_by_epochs(digits_plan, finish) -> None:
    run = next(run for run in digits_plan.runs if run.row == "GRU")
    folder = finish(digits_plan, run, accuracy=0.9)
    record = folder.read()
    record["timing"], record["epochs"] = {"seconds_per_epoch": 2.0}, 7
    record["parameters"] = parameters(run.identity)
    record["identity"] = json.loads(json.dumps(record["identity"]))
    record["identity"]["optimizer"]["lr"] = 0.5
    other = RunFolder(digits_plan.runs_dir, run_id(record["identity"]))
    folder.remove()
    other.write({**record, "run_id": other.run_id})
    found = {one.run.run_id: one for one in expected([digits_plan])[0]}
    epochs = run.identity["trainer"]["max_epochs"]
    assert found[run.run_id].seconds == pytest.approx(2 * epochs)


@pytest.mark.parametrize(
    ("section", "key", "value", "times"),
    [
        ("trainer", "max_epochs", 20, 2),
        ("data", "limit", 100, None),
        ("", "quick", True, None),
        ("model", "hidden_size", 64, 32 * 41 * 3 / (64 * 73 * 3)),  # nearly
        ("model", "num_layers", 2, 32 * 41 * 3 / (32 * 41 * 3 + 32 * 65 * 3)),
    ],
)
def test_other_runs_are_scaled_to_the_one_that_is_wanted(
    digits_plan, finish, section: str, key: str, value, times: float | None
) -> None:
    made = unknown(digits_plan)
    run = next(run for run in made.runs if run.row == "GRU")
    other = json.loads(json.dumps(run.identity))
    (other[section] if section else other)[key] = value
    epochs = other["trainer"]["max_epochs"]
    more = {"parameters": parameters(other), "epochs": epochs, "samples": {"train": 1000}}
    finish(made, replace(run, identity=other, run_id=run_id(other)), accuracy=0.9, more=more)
    (found,) = [one for one in expected([made])[0] if one.run.run_id == run.run_id]
    if times is None:
        assert found.seconds is None
    else:
        wanted = 2.0 * run.identity["trainer"]["max_epochs"]
        assert found.seconds == pytest.approx(
            wanted * (1 if key == "max_epochs" else times), rel=0.1
        )


def test_fewer_samples_take_less(digits_plan, finish, composer) -> None:
    run = next(run for run in digits_plan.runs if run.row == "GRU")
    more = {"samples": {"train": 1000}, "epochs": 40, "parameters": parameters(run.identity)}
    finish(digits_plan, run, accuracy=0.9, more=more)
    limited = plan("digits", ["data.limit=250", f"runs_dir={digits_plan.runs_dir}"], composer)
    found = [one.seconds for one in expected([limited])[0] if one.run.row == "GRU"]
    assert found == pytest.approx([80 / 4] * 3)


def test_what_a_gpu_took_is_no_guide_for_a_cpu(digits_plan, finish, composer) -> None:
    runs = [run for run in digits_plan.runs if run.row == "GRU"]
    finish(digits_plan, runs[0], accuracy=0.9, more={"accelerator": "cuda", "epochs": 10})
    for accelerator, seconds in (("cpu", None), ("gpu", 20.0), ("auto", 20.0)):
        made = replace(unknown(digits_plan), accelerator=accelerator)
        found = {one.run.run_id: one.seconds for one in expected([made])[0]}
        assert found[runs[1].run_id] == seconds


def test_memory_is_the_most_that_a_like_run_took(digits_plan, finish) -> None:
    runs = [run for run in digits_plan.runs if run.row == "GRU"]
    for run, peak in zip(runs[:2], ({"peak_memory": 500}, {}), strict=True):
        folder = finish(digits_plan, run, accuracy=0.9)
        record = folder.read()
        folder.write({**record, "timing": {"peak_device_memory": 70, **peak}})
    other = next(run for run in digits_plan.runs if run.row == "EleAtt-GRU")
    asked = [runs[2].identity, other.identity]
    assert expected_memory(asked, digits_plan.runs_dir) == [Memory(500, 70), UNKNOWN]
