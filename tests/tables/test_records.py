"""Which runs of a table are found, and which are still to be done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eleatt_bench.runs.identity import is_named, run_id
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.runs.wanted import WantedRun
from eleatt_bench.tables.cells import PlannedRun
from eleatt_bench.tables.pending import wanted_now
from eleatt_bench.tables.plan import Plan
from eleatt_bench.tables.records import find_records, key


def test_missing_runs_come_seed_by_seed_so_that_all_rows_grow_together(digits_plan: Plan) -> None:
    assert [run.seed for run in wanted_now(digits_plan, False)] == [0] * 6 + [1] * 6 + [2] * 6


@pytest.mark.parametrize("status", ["running", "failed"])
def test_an_unfinished_run_counts_for_nothing(digits_plan: Plan, finish, status: str) -> None:
    finish(digits_plan, digits_plan.runs[0], status=status, accuracy=0.5)
    assert find_records(digits_plan) == {}
    assert len(wanted_now(digits_plan, False)) == 18


def test_a_damaged_record_counts_for_nothing(digits_plan: Plan, finish) -> None:
    path = finish(digits_plan, digits_plan.runs[0], accuracy=0.5).record
    assert len(wanted_now(digits_plan, False)) == 17
    path.write_text(path.read_text(encoding="utf-8")[:50], encoding="utf-8")
    assert len(wanted_now(digits_plan, False)) == 18


def test_columns_that_read_the_same_run_lack_it_once(table4_plan: Plan) -> None:
    assert len(wanted_now(table4_plan, False)) == len(table4_plan.first_look) / 2


def test_without_the_data_runs_are_matched_by_everything_else(table4_plan: Plan, finish) -> None:
    run = table4_plan.runs[0]
    trained = {**run.identity, "data": {**run.identity["data"], "digest": "abc"}}
    finish(table4_plan, replace(run, identity=trained), accuracy=0.6)
    other = {**trained, "trainer": {**trained["trainer"], "max_epochs": 1}}
    finish(table4_plan, replace(run, identity=other), accuracy=0.1)
    (found,) = find_records(table4_plan).values()
    assert found["metrics"]["test"]["accuracy"] == 0.6


def test_without_the_data_all_runs_are_of_one_version_of_them(table4_plan: Plan, finish) -> None:
    """Of that on which there are most, whatever their names are: others are not compared."""
    there = ["b"], ["a", "b"], ["a", "b"], ["a"], ["b"]
    for digests, run in zip(there, table4_plan.runs[:5], strict=True):
        for digest in digests:
            data = {**run.identity["data"], "digest": digest * 64}
            trained = replace(run, identity={**run.identity, "data": data})
            finish(table4_plan, trained, accuracy=0.6, more={"data_digest": digest * 64})
    found = find_records(table4_plan)
    assert {record["data_digest"] for record in found.values()} == {"b" * 64}
    assert len(found) == 4


def on(run: WantedRun, **digests: str | None) -> Any:
    """The run on these versions of its data; one that is not named here stays as it is."""

    def known(identity: dict[str, Any]) -> dict[str, Any]:
        data = identity["data"]
        found = {**identity, "data": {**data, "digest": digests.get(data["name"], data["digest"])}}
        if "pretraining" in found:
            found["pretraining"] = known(found["pretraining"])
        return found

    this = known(run.identity)
    before = None if run.before is None else on(run.before, **digests)
    name = run_id(this) if is_named(this) else None
    return replace(run, identity=this, run_id=name, before=before)


def pretrained(made: Plan) -> list[PlannedRun]:
    """The runs of the second section, each once."""
    runs = {key(run): run for run in made.first_look if run.before is not None}
    return list(runs.values())


def test_of_data_that_are_here_no_other_version_is_taken(table4_plan: Plan, finish) -> None:
    """Also if those of the pre-training are not here, so that the runs have no names."""
    here = replace(table4_plan, runs=tuple(on(r, nucla="2" * 64) for r in table4_plan.runs))
    first, second = pretrained(here)[:2]
    assert first.run_id is None
    finish(here, on(first, nucla="1" * 64, ntu_v1="a" * 64), accuracy=0.6)
    assert find_records(here) == {}
    found = finish(here, on(second, nucla="2" * 64, ntu_v1="a" * 64), accuracy=0.6)
    assert [record["run_id"] for record in find_records(here).values()] == [found.run_id]


@pytest.mark.parametrize("nucla", [None, "2" * 64])
def test_pretrainings_are_on_one_version_of_their_data(
    table4_plan: Plan, finish, nucla: str | None
) -> None:
    """Runs that are alike in everything but that are not mixed, whatever their names are."""
    here = replace(table4_plan, runs=tuple(on(r, nucla=nucla) for r in table4_plan.runs))
    there = ["b"], ["a", "b"], ["a", "b"], ["a"], ["b"]
    of_b = set()
    for versions, run in zip(there, pretrained(here)[:5], strict=True):
        for version in versions:
            trained = on(run, nucla="2" * 64, ntu_v1=version * 64)
            finish(here, trained.before, accuracy=0.6)
            finish(here, trained, accuracy=0.6)
            if version == "b":
                of_b |= {trained.run_id, trained.before.run_id}
    assert {record["run_id"] for record in find_records(here).values()} == of_b


def test_the_record_of_the_same_run_is_found_wherever_the_runs_lie(
    digits_plan: Plan, finish, tmp_path: Path
) -> None:
    elsewhere = replace(digits_plan, runs_dir=tmp_path / "elsewhere")
    finish(elsewhere, elsewhere.runs[0], accuracy=0.5)
    assert len(find_records(elsewhere)) == 1
    assert find_records(digits_plan) == {}
    assert RunFolder(elsewhere.runs_dir, str(elsewhere.runs[0].run_id)).status() == "finished"
