"""The plan of a table is recorded before its seeds are seen, and changes of it are told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eleatt_bench.common.errors import UserError
from eleatt_bench.runs.identity import but_numbers, run_id, with_seed
from eleatt_bench.tables.build import table
from eleatt_bench.tables.cells import PlannedRun
from eleatt_bench.tables.departures import held_against
from eleatt_bench.tables.plan import Plan, plan
from eleatt_bench.tables.recorded import declarations, plan_path, read_plan, record_plan
from eleatt_bench.tables.spec import declared
from eleatt_bench.tables.table import Table


def finish_all(made: Plan, finish, count: int) -> None:
    for run in made.runs:
        if run.turn < count:
            finish(made, run, accuracy=0.8 + (run.row == "EleAtt-GRU") / 10 + run.seed / 1000)


def changed(made: Plan, **more: Any) -> Plan:
    """The plan as if the table's file said otherwise."""
    return replace(made, spec=declared({**made.spec, **more}))


def told(made: Table) -> list[str]:
    return [note for note in made.notes if "PLAN" in note or "plan.json" in note]


def exploratory(made: Table) -> list[bool]:
    return [claim.judgement.exploratory for claim in made.claims]


def test_a_plan_is_recorded_once_and_says_all_that_judges(digits_plan: Plan) -> None:
    record_plan(digits_plan)
    path = plan_path(digits_plan)
    assert path == digits_plan.runs_dir / "tables" / "digits.plan.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    measured = content["claims"][0].pop("measured")
    assert (measured["metric"], measured["folds"]) == ("accuracy", [0])
    settings_of = {run.row: but_numbers(run.identity) for run in digits_plan.runs}
    assert measured["better"] == [settings_of["EleAtt-GRU"]]
    assert measured["than"] == [settings_of["GRU"]]
    assert content["claims"][0] == {
        "section": "", "better": "EleAtt-GRU", "than": "GRU", "column": "accuracy",
        "seeds": list(range(12)), "looks": [3, 6, 12], "paper": None, "margin": 1.0,
        "seen": 0, "late": False,
    }  # fmt: skip
    written = path.stat().st_mtime_ns
    record_plan(digits_plan)
    assert path.stat().st_mtime_ns == written
    assert read_plan(digits_plan).claims == declarations(digits_plan)


def test_seeds_are_not_exchanged_for_others_after_they_were_seen(digits_plan: Plan, finish) -> None:
    """Of the new seeds none is finished, but the claim was looked at with the old ones."""
    record_plan(digits_plan)
    written = plan_path(digits_plan).read_bytes()
    finish_all(digits_plan, finish, 3)
    others = changed(digits_plan, seeds=list(range(20, 32)))
    moved = replace(others, runs=tuple(
        replace(run, seed=run.seed + 20, run_id=None,
                identity=with_seed(run.identity, run.seed + 20, ["seed", "data.val_seed"]))
        for run in digits_plan.runs
    ))  # fmt: skip
    record_plan(moved)
    assert plan_path(digits_plan).read_bytes() == written
    finish_all(moved, finish, 3)
    assert all(exploratory(table(moved)))
    assert any("seeds 0, 1, 2" in note and "20, 21" in note for note in told(table(moved)))


def test_a_rehearsal_has_no_plan(digits_plan: Plan, finish) -> None:
    quick = replace(digits_plan, quick=True)
    record_plan(quick)
    assert not plan_path(quick).exists()
    finish_all(quick, finish, 2)
    assert not any(exploratory(table(quick)))
    assert told(table(quick)) == []


def test_what_goes_as_planned_needs_no_word(digits_plan: Plan, finish) -> None:
    record_plan(digits_plan)
    for count in (3, 6):
        finish_all(digits_plan, finish, count)
        record_plan(digits_plan)
        found = table(digits_plan)
        assert (told(found), exploratory(found)) == ([], [False] * 3)


def test_before_any_seed_was_seen_a_plan_may_change(digits_plan: Plan, finish) -> None:
    record_plan(digits_plan)
    other = changed(digits_plan, looks=[4, 8], columns=[{**digits_plan.spec["columns"][0],
                                                         "looks": [4, 8]}])  # fmt: skip
    record_plan(other)
    finish_all(digits_plan, finish, 4)
    found = table(other)
    assert (told(found), exploratory(found)) == ([], [False] * 3)


def test_a_plan_changed_after_seeds_were_seen_is_told_and_explores(
    digits_plan: Plan, finish
) -> None:
    record_plan(digits_plan)
    before = plan_path(digits_plan).read_bytes()
    finish_all(digits_plan, finish, 3)
    column = {**digits_plan.spec["columns"][0], "looks": [4]}
    claims = [{**claim, "margin": 2.5} for claim in digits_plan.spec["claims"]]
    other = changed(digits_plan, columns=[column], claims=claims, seeds=list(range(12)))
    record_plan(other)
    assert plan_path(digits_plan).read_bytes() == before, "what was declared stays"
    found = table(other)
    assert exploratory(found) == [True] * 3
    (note,) = told(found)
    assert "changed after seeds were seen: looks 3, 6, 12 → 4; margin 1 → 2.5" in note
    assert "3 claims" in note
    assert str(plan_path(digits_plan)) in note


def trained_otherwise(made: Plan, rows: Sequence[str], **model: Any) -> Plan:
    """The plan as if these rows' settings were others in the table's file."""

    def otherwise(run: PlannedRun) -> PlannedRun:
        identity = {**run.identity, "model": {**run.identity["model"], **model}}
        return replace(run, identity=identity, run_id=run_id(identity))

    runs = tuple(otherwise(run) if run.row in rows else run for run in made.runs)
    return replace(made, runs=runs)


@pytest.mark.parametrize(
    ("rows", "what"),
    [(["EleAtt-GRU"], "the better row"), (["GRU"], "the other row"),
     (["EleAtt-GRU", "GRU"], "both rows")],
)  # fmt: skip
def test_settings_changed_after_seeds_were_seen_explore(
    digits_plan: Plan, finish, rows: list[str], what: str
) -> None:
    """Of the new settings no run is finished when the table is asked for again."""
    record_plan(digits_plan)
    written = plan_path(digits_plan).read_bytes()
    finish_all(digits_plan, finish, 3)
    wider = trained_otherwise(digits_plan, rows, hidden_size=97)
    record_plan(wider)
    assert plan_path(digits_plan).read_bytes() == written
    finish_all(wider, finish, 3)
    found = table(wider)
    assert exploratory(found) == [True, False, False]
    (note,) = told(found)
    assert f"1 claim changed after seeds were seen: settings of the runs of {what} (Ele" in note


def test_settings_may_change_before_both_rows_were_seen(digits_plan: Plan, finish) -> None:
    record_plan(digits_plan)
    for run in digits_plan.runs:
        if run.row == "GRU" and run.turn < 3:
            finish(digits_plan, run, accuracy=0.8)
    wider = trained_otherwise(digits_plan, ["EleAtt-GRU"], hidden_size=97)
    record_plan(wider)
    finish_all(wider, finish, 3)
    found = table(wider)
    assert (told(found), exploratory(found)) == ([], [False] * 3)


def test_another_metric_or_other_folds_explore(digits_plan: Plan, finish) -> None:
    record_plan(digits_plan)
    finish_all(digits_plan, finish, 3)
    clean = {**digits_plan.spec["columns"][0], "metric": "accuracy_clean"}
    other = changed(digits_plan, columns=[clean])
    moved = replace(other, runs=tuple(replace(run, fold=1) for run in digits_plan.runs))
    (note,) = departed(moved)
    assert "seen: metric accuracy → accuracy_clean; folds 0 → 1 (" in note


def departed(made: Plan) -> list[str]:
    """What is said of the plan's claims, all of which are judged as others are."""
    claims = table(
        replace(
            made,
            spec=changed(made, columns=[{**made.spec["columns"][0], "metric": "accuracy"}]).spec,
        )
    ).claims
    found, notes = held_against(made, claims)
    assert all(claim.judgement.exploratory for claim in found)
    return notes


def test_what_a_later_recipe_computes_is_the_same_claim(digits_plan: Plan, finish) -> None:
    record_plan(digits_plan)
    written = plan_path(digits_plan).read_bytes()

    def later(run: PlannedRun) -> PlannedRun:
        identity = {**run.identity, "recipe_version": run.identity["recipe_version"] + 1}
        return replace(run, identity=identity, run_id=run_id(identity))

    newer = replace(digits_plan, runs=tuple(map(later, digits_plan.runs)))
    record_plan(newer)
    assert plan_path(digits_plan).read_bytes() == written
    finish_all(digits_plan, finish, 3)
    other = changed(newer, claims=[{**one, "margin": 3.0} for one in newer.spec["claims"]])
    record_plan(other)
    assert plan_path(digits_plan).read_bytes() == written, "the older runs were seen"


def test_a_plan_of_an_earlier_version_says_nothing_of_settings(digits_plan: Plan, finish) -> None:
    record_plan(digits_plan)
    path, content = plan_path(digits_plan), json.loads(plan_path(digits_plan).read_text("utf-8"))
    for claim in content["claims"]:
        del claim["measured"]
    finish_all(digits_plan, finish, 3)
    path.write_text(json.dumps(content), encoding="utf-8")
    record_plan(digits_plan)
    assert json.loads(path.read_text(encoding="utf-8")) == content
    wider = trained_otherwise(digits_plan, ["GRU"], hidden_size=97)
    finish_all(wider, finish, 3)
    assert exploratory(table(wider)) == [False] * 3


def test_claims_are_held_against_the_plan_one_by_one(digits_plan: Plan, finish) -> None:
    first, second, third = digits_plan.spec["claims"]
    record_plan(changed(digits_plan, claims=[first, third]))
    finish_all(digits_plan, finish, 3)
    other = changed(digits_plan, claims=[first, second])
    found = table(other)
    assert exploratory(found) == [False, True]
    added, dropped = told(found)
    assert "1 claim declared after seeds of them were seen (EleAtt-LSTM > LSTM" in added
    assert "1 claim no longer made (EleAtt-RNN > RNN" in dropped
    record_plan(other)
    assert exploratory(table(other)) == [False, True], "to record it now does not help"


@pytest.mark.parametrize("left", [[], [{"better": "LSTM", "than": "RNN"}]])
def test_a_claim_that_was_seen_is_not_dropped_without_a_word(
    digits_plan: Plan, finish, left: list[dict[str, Any]]
) -> None:
    """Nor if the table is left with no claim at all, or with none of which a seed is finished."""
    record_plan(digits_plan)
    for run in digits_plan.runs:
        if run.row in ("EleAtt-GRU", "GRU", "RNN") and run.turn < 3:
            finish(digits_plan, run, accuracy=0.8)
    claims = [{"columns": [], "margin": None, **claim} for claim in left]
    other = changed(digits_plan, claims=claims)
    for _ in range(2):
        assert any("no longer made (EleAtt-GRU > GRU" in note for note in told(table(other)))
        record_plan(other)  # does not help


def test_looks_that_are_typed_once_seeds_are_seen_explore(
    digits_plan: Plan, finish, composer, tmp_path: Path
) -> None:
    record_plan(digits_plan)
    finish_all(digits_plan, finish, 4)
    asked = ["table.seeds=[0,1,2,3]", f"data_dir={digits_plan.data_dir}",
             f"runs_dir={digits_plan.runs_dir}"]  # fmt: skip
    typed = plan("digits", asked, composer)
    assert exploratory(table(typed)) == [True] * 3
    record_plan(typed)
    found = table(typed)
    assert exploratory(found) == [True] * 3
    assert "declared after 4 seeds of them were seen" in told(found)[0]
    assert exploratory(table(digits_plan)) == [False] * 3


@pytest.mark.slow
def test_looks_that_are_typed_before_are_a_plan_like_any(finish, composer, tmp_path: Path) -> None:
    typed = plan("digits", ["table.looks=[3,5]", f"runs_dir={tmp_path / 'runs'}"], composer)
    record_plan(typed)
    finish_all(typed, finish, 3)
    assert exploratory(table(typed)) == [False] * 3


def test_a_table_of_runs_that_were_there_before_says_so(digits_plan: Plan, finish) -> None:
    finish_all(digits_plan, finish, 3)
    record_plan(digits_plan)
    found = table(digits_plan)
    assert exploratory(found) == [False] * 3
    assert "recorded when 3 seeds of them were finished" in told(found)[0]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_plan_is_one_sentence_with_its_remedy(digits_plan: Plan, data) -> None:
    path = plan_path(digits_plan)
    path.unlink(missing_ok=True)
    record_plan(digits_plan)
    text = path.read_text(encoding="utf-8")
    cut = data.draw(st.integers(0, len(text) - 2))
    damage = st.sampled_from(["", "[]", '{"claims": [1]}', '{"claims": {}}', "\ud800", "[" * 9999])
    content = text[:cut] + data.draw(damage)
    path.write_text(content, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(UserError, match="damaged") as caught:
        record_plan(digits_plan)
    assert f"Remove it, and {digits_plan.command}" in str(caught.value)
    assert path.read_text(encoding="utf-8", errors="surrogatepass") == content


@pytest.mark.parametrize(
    ("key", "value"),
    [("looks", [6, 3]), ("looks", ["3"]), ("looks", [3, 6, 12, 24]), ("seeds", 3), ("margin", 0),
     ("margin", "1"), ("margin", True), ("paper", [1]), ("column", None), ("seen", -1),
     ("measured", None), ("measured", {"metric": "loss", "folds": [0]}),
     ("measured", {"metric": "accuracy", "folds": [0], "better": ["a"], "than": [1]})],
)  # fmt: skip
def test_values_that_no_plan_has_are_damage(digits_plan: Plan, finish, key: str, value) -> None:
    record_plan(digits_plan)
    finish_all(digits_plan, finish, 3)
    path = plan_path(digits_plan)
    content = json.loads(path.read_text(encoding="utf-8"))
    content["claims"][0][key] = value
    path.write_text(json.dumps(content), encoding="utf-8")
    found = table(digits_plan)
    assert exploratory(found) == [True] * 3
    (note,) = told(found)
    assert "is damaged" in note


def of_seed(run: PlannedRun, val_seed: int) -> PlannedRun:
    identity = with_seed(run.identity, val_seed, ["data.val_seed"])
    return replace(run, identity=identity, run_id=run_id(identity))


def test_a_setting_that_follows_the_seed_is_not_that_of_the_first(
    digits_plan: Plan, finish
) -> None:
    """With seed 0 alone a validation set that is fixed at 0 is not told from one that follows."""
    record_plan(digits_plan)
    finish_all(digits_plan, finish, 3)
    fixed = replace(digits_plan, runs=tuple(of_seed(run, 0) for run in digits_plan.runs))
    finish_all(fixed, finish, 3)
    found = table(fixed)
    assert exploratory(found) == [True] * 3
    assert "seen: settings of the runs of both rows (" in told(found)[0]


def test_other_data_are_something_else_that_is_compared(digits_plan: Plan, finish) -> None:
    def on(run: PlannedRun, digest: str | None) -> PlannedRun:
        identity = {**run.identity, "data": {**run.identity["data"], "digest": digest}}
        return replace(run, identity=identity, run_id=digest and run_id(identity))

    record_plan(digits_plan)
    written = plan_path(digits_plan).read_bytes()
    finish_all(digits_plan, finish, 3)
    elsewhere = replace(digits_plan, runs=tuple(on(run, None) for run in digits_plan.runs))
    record_plan(elsewhere)
    assert exploratory(table(elsewhere)) == [False] * 3, "which data it would be is not known"
    other = replace(digits_plan, runs=tuple(on(run, "f" * 64) for run in digits_plan.runs))
    record_plan(other)
    assert plan_path(digits_plan).read_bytes() == written
    finish_all(other, finish, 3)
    found = table(other)
    assert exploratory(found) == [True] * 3
    own = digits_plan.runs[0].identity["data"]["digest"]
    assert f"seen: data {own[:12]} → ffffffffffff (" in told(found)[0]


def test_data_that_come_later_complete_a_plan(digits_plan: Plan) -> None:
    bare = tuple(
        replace(run, run_id=None,
                identity={**run.identity, "data": {**run.identity["data"], "digest": None}})
        for run in digits_plan.runs
    )  # fmt: skip
    record_plan(replace(digits_plan, runs=bare))
    record_plan(digits_plan)
    assert read_plan(digits_plan).claims == declarations(digits_plan)
    written = plan_path(digits_plan).read_bytes()
    record_plan(replace(digits_plan, runs=bare))
    assert plan_path(digits_plan).read_bytes() == written


def test_a_claim_that_goes_before_it_was_seen_is_forgotten(digits_plan: Plan, finish) -> None:
    first, *others = digits_plan.spec["claims"]
    record_plan(digits_plan)
    record_plan(changed(digits_plan, claims=others))
    finish_all(digits_plan, finish, 3)
    assert told(table(changed(digits_plan, claims=others))) == []
    assert "declared after seeds" in told(table(digits_plan))[0]
    record_plan(changed(digits_plan, claims=[first]))
    left = table(changed(digits_plan, claims=[first]))
    names = "EleAtt-LSTM > LSTM, accuracy; EleAtt-RNN > RNN, accuracy"
    assert f"2 claims no longer made ({names})" in told(left)[1], "in the order of the plan"


def test_a_table_without_a_plan_says_so(digits_plan: Plan, finish) -> None:
    assert told(table(digits_plan)) == []
    finish_all(digits_plan, finish, 3)
    found = table(digits_plan)
    assert exploratory(found) == [False] * 3
    (note,) = told(found)
    assert "3 claims not recorded before seeds of them were seen (" in note
