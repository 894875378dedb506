"""Which runs a table is made of."""

from __future__ import annotations

import pytest

from eleatt_bench.composition import compose_config
from eleatt_bench.config import plain
from eleatt_bench.errors import UserError
from eleatt_bench.runs.identity import identity, run_id
from eleatt_bench.tables.plan import merge, plan


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ELEATT_DATA", raising=False)
    monkeypatch.delenv("ELEATT_RUNS", raising=False)


def test_of_several_overrides_for_one_key_the_last_stays() -> None:
    merged = merge(["experiment=nucla", "seed=1"], ["model=gru"], ["experiment=nucla_aug"])
    assert merged == ("seed=1", "model=gru", "experiment=nucla_aug")


def test_the_digits_table_is_six_rows_of_three_seeds() -> None:
    made = plan("digits")
    assert len(made.runs) == 18
    assert len({run.run_id for run in made.runs}) == 18
    assert {run.seed for run in made.runs} == {0, 1, 2}
    assert made.variation == ()
    assert made.file_stem == "digits"


def test_a_planned_run_is_named_as_the_run_its_overrides_make() -> None:
    made = plan("digits", ["trainer.max_epochs=2"])
    for run in made.runs[::5]:
        config = plain(compose_config(run.overrides))
        assert config["trainer"]["max_epochs"] == 2
        assert run_id(identity(config, run.identity["data"]["digest"])) == run.run_id


def test_what_only_says_where_a_run_is_computed_does_not_change_the_table() -> None:
    same = plan("digits", ["launcher.jobs=3", "trainer=gpu", "trainer.num_threads=1"])
    assert same.variation == ()
    assert [r.run_id for r in same.runs] == [r.run_id for r in plan("digits").runs]


def test_a_variation_is_kept_apart_from_the_table() -> None:
    shorter = plan("digits", ["trainer.max_epochs=2"])
    fewer = plan("digits", ["table.seeds=[0]"])
    assert shorter.variation == ("trainer.max_epochs=2",)
    assert fewer.variation == ("table.seeds=[0]",)
    assert len(fewer.runs) == 6
    assert len({plan("digits").file_stem, shorter.file_stem, fewer.file_stem}) == 3
    assert {r.run_id for r in fewer.runs} < {r.run_id for r in plan("digits").runs}


def test_a_row_says_more_than_the_user() -> None:
    made = plan("digits", ["model=lstm"])
    assert {run.identity["model"]["cell"] for run in made.runs if run.row == "GRU"} == {"gru"}


def test_columns_that_read_the_same_run_share_it() -> None:
    made = plan("table4")
    by_cell = {(run.row, run.column, run.seed): run.overrides for run in made.runs}
    for row in ("Baseline-GRU", "EleAtt-GRU", "EleAtt-GRU(aug.)"):
        for seed in (0, 1, 2):
            clean = by_cell[row, "cross_view_clean", seed]
            assert by_cell[row, "cross_view", seed] == clean


def test_the_rotation_belongs_to_the_augmented_row_alone() -> None:
    rotations = {
        run.row: run.identity["data"]["transforms"]["rotation"]["x"] for run in plan("table4").runs
    }
    assert rotations == {"Baseline-GRU": 0.0, "EleAtt-GRU": 0.0, "EleAtt-GRU(aug.)": 35.0}


def test_without_its_data_a_table_can_be_planned_but_its_runs_have_no_name() -> None:
    made = plan("table4")
    assert made.unprepared == ("nucla",)
    assert {run.run_id for run in made.runs} == {None}


@pytest.mark.parametrize("override", ["seed=1", "+seed=1"])
def test_seeds_are_the_tables(override: str) -> None:
    with pytest.raises(UserError, match=r"table\.seeds=\[0,1,2\]"):
        plan("digits", [override])
