"""Which runs a table is made of."""

from __future__ import annotations

import shlex
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eleatt_bench.common.errors import UserError
from eleatt_bench.config.compose import compose_config
from eleatt_bench.config.pretraining import source_of
from eleatt_bench.runs.identity import identity, is_place, run_id
from eleatt_bench.tables.plan import every_plan, plan, plans


def test_the_digits_table_begins_with_six_rows_of_three_seeds(planned) -> None:
    made = planned("digits")
    assert len(made.first_look) == len({run.run_id for run in made.first_look}) == 18
    assert {run.seed for run in made.first_look} == {0, 1, 2}
    assert made.variation == ()
    assert made.file_stem == "digits"
    assert [len(runs) for runs in made.by_cell.values()] == [12] * 6


def test_a_planned_run_is_named_as_the_run_its_command_makes(composer) -> None:
    made = plan("digits", ["trainer.max_epochs=2"], composer)
    for run in made.runs[::7]:
        config = compose_config(shlex.split(run.command)[2:])
        assert config["trainer"]["max_epochs"] == 2
        assert run_id(identity(config, run.identity["data"]["digest"])) == run.run_id


ONE_ROW = ('table.rows=[{name: GRU, overrides: ["model=gru"]}]', "table.claims=[]")
"""One is enough where every row would be composed anew."""


def test_what_only_says_where_a_run_is_computed_does_not_change_the_table(composer) -> None:
    places = ["launcher.jobs=3", "trainer=gpu", "trainer.num_threads=1"]
    same = plan("digits", [*places, *ONE_ROW], composer)
    assert same.variation == ONE_ROW
    assert plan("digits", places, composer).variation == ()
    assert [r.run_id for r in same.runs] == [
        r.run_id for r in plan("digits", ONE_ROW, composer).runs
    ]


@given(
    st.lists(
        st.sampled_from(
            ["launcher=slurm", "launcher.poll=3", "launcher=ray", "trainer=gpu", "logger=csv",
             "trainer.num_threads=1", "force=true", "model.backend=scan", "data_dir=data"]
        ),
        max_size=4, unique_by=lambda override: override.partition("=")[0],
    )
)  # fmt: skip
@settings(max_examples=5, deadline=None)
@pytest.mark.slow
def test_nor_is_that_a_part_of_a_variation(composer, places: list[str]) -> None:
    said = [*ONE_ROW, "table.seeds=[3,4]", "optimizer.lr=0.01"]
    places = [one for one in places if one != "launcher.poll=3" or "launcher=slurm" in places]
    assert (
        plan("digits", [*places, *said], composer).file_stem
        == plan("digits", said, composer).file_stem
    )


def test_its_command_finds_the_same_folders_but_its_files_are_the_same(composer, tmp_path) -> None:
    where = [f"runs_dir={tmp_path / 'runs'}", f"data_dir={tmp_path / 'data'}"]
    made = plan("digits", [*where, "quick=true", *ONE_ROW], composer)
    begin = ["eleatt-bench", "reproduce", "digits", "quick=true"]
    assert shlex.split(made.command) == [*begin, *ONE_ROW, *where]
    plain = plan("digits", ["quick=true", *ONE_ROW], composer)
    assert shlex.split(plain.command) == [*begin, *ONE_ROW]
    assert (made.variation, made.file_stem) == (plain.variation, plain.file_stem)


@pytest.mark.slow
def test_a_setting_has_files_of_one_name_however_it_is_typed(composer) -> None:
    """A plan recorded under one spelling would not be found, nor departures from it, by another."""
    plain, *others = (
        plan("digits", [*said, *ONE_ROW], composer)
        for said in (
            ["optimizer.lr=0.002"],
            ["++optimizer.lr=0.002"],
            ["optimizer.lr=0.003", "++optimizer.lr=2e-3"],
        )
    )
    assert plain.file_stem == "digits-9a55da71"
    for other in others:
        assert [run.run_id for run in other.runs] == [run.run_id for run in plain.runs]
        assert other.file_stem == plain.file_stem


@pytest.mark.slow
def test_a_group_that_changes_the_runs_stays(composer) -> None:
    made = plan("digits", ["scheduler=cosine", "trainer=gpu", *ONE_ROW], composer)
    assert made.variation == (*ONE_ROW, "scheduler=cosine")


@pytest.mark.parametrize(
    "said",
    [("scheduler=step", "scheduler.options.step_size=3"),
     ("optimizer=sgd", "optimizer.options.momentum=0.8")],
)  # fmt: skip
@pytest.mark.slow
def test_a_group_that_others_are_about_stays(composer, said: tuple[str, ...]) -> None:
    """Without it they could not be composed."""
    made = plan("digits", [*said, "launcher.jobs=2", *ONE_ROW], composer)
    assert made.variation == (*ONE_ROW, *said)


def test_a_variation_is_kept_apart_from_the_table(composer) -> None:
    own, shorter = plan("digits", (), composer), plan("digits", ["trainer.max_epochs=2"], composer)
    fewer = plan("digits", ["table.seeds=[0]"], composer)
    assert shorter.variation == ("trainer.max_epochs=2",)
    assert fewer.variation == ("table.seeds=[0]",)
    assert len(fewer.runs) == 6
    assert len({own.file_stem, shorter.file_stem, fewer.file_stem}) == 3
    assert {r.run_id for r in fewer.runs} < {r.run_id for r in own.runs}


@pytest.mark.parametrize(
    ("table", "typed", "says"),
    [
        (
            "digits",
            "model=lstm",
            "model=lstm: table digits sets it itself, 'EleAtt-GRU' has model=eleatt_gru",
        ),
        ("table7", "model.hidden_size=50", "table7 sets it itself, .* has model.hidden_size="),
        ("table4", "pretraining=digits", "itself, 'pre-trained on NTU RGB.D' has pretraining="),
    ],
)
@pytest.mark.few(1)
def test_what_a_row_sets_cannot_be_typed(table: str, typed: str, says: str, composer) -> None:
    with pytest.raises(UserError, match=says):
        plan(table, [typed], composer)
    assert plan("nucla", ["model.num_layers=2"], composer).variation == (), "no row sets that"


@pytest.mark.parametrize(
    ("table", "typed", "one", "other"),
    [
        ("table2", "data.protocol=cross_view", "column 'cross_subject'", "column 'cross_view'"),
        ("table4", "pretraining=ntu_v1", "section 'from scratch'", "section 'pre-trained on"),
        ("table2", "model.num_layers=1", "row '1-sRNN'", "row '3-sRNN'"),
        ("digits", "model.gate=softmax", "row 'EleAtt-GRU'", "row 'GRU'"),
        ("digits", "model.cell=lstm", "row 'EleAtt-GRU'", "row 'EleAtt-LSTM'"),
    ],
)
@pytest.mark.few(1)
def test_nor_can_what_makes_two_of_its_columns_sections_or_rows_one(
    table: str, typed: str, one: str, other: str, composer
) -> None:
    says = f"{typed}: table {table} would then have the same runs in {one} as in {other}"
    with pytest.raises(UserError, match=says):
        plan(table, ["table.seeds=[0]", typed], composer)


@pytest.mark.slow
def test_a_setting_that_the_rows_of_a_variation_need_can_be_typed(composer) -> None:
    rows = (
        'table.rows=[{name: SGD, overrides: ["optimizer.options.momentum=0.8"]}]',
        "table.claims=[]",
    )
    made = plan("digits", [*rows, "optimizer=sgd"], composer)
    assert {run.identity["optimizer"]["options"]["momentum"] for run in made.runs} == {0.8}
    assert made.variation == (*rows, "optimizer=sgd")


def test_columns_that_read_the_same_run_share_it(planned) -> None:
    by_cell = planned("table4").by_cell
    for section, row, column in by_cell:
        other = by_cell[section, row, "cross_view_clean"]
        if column == "cross_view":
            mine = by_cell[section, row, column]
            assert [run.overrides for run in mine] == [run.overrides for run in other]


def test_the_rotation_belongs_to_the_augmented_row_alone(planned) -> None:
    rotations = {
        run.row: run.identity["data"]["transforms"]["rotation"]["x"]
        for run in planned("table4").runs
    }
    assert rotations == {"Baseline-GRU": 0.0, "EleAtt-GRU": 0.0, "EleAtt-GRU(aug.)": 35.0}


def test_without_its_data_a_table_can_be_planned_but_its_runs_have_no_name(planned) -> None:
    made = planned("table4")
    assert "nucla" in made.unprepared
    assert {run.run_id for run in made.runs} == {None}


def test_a_column_of_folds_has_a_run_for_each(composer) -> None:
    columns = (
        'table.columns=[{name: all, overrides: ["experiment=sysu"], folds: all}, '
        '{name: two, overrides: ["experiment=sysu"], folds: [3, 1]}, '
        '{name: one, overrides: ["experiment=sysu"]}]'
    )
    made = plan("digits", [columns, "table.claims=[]", "table.seeds=[4]"], composer)
    folds = {
        column: [(run.identity["data"]["fold"], run.fold) for run in runs]
        for (_, row, column), runs in made.by_cell.items()
        if row == "GRU"
    }
    assert folds["all"] == [(fold, fold) for fold in range(30)]
    assert folds["two"] == [(3, 3), (1, 1)]
    assert folds["one"] == [(0, 0)]
    command = made.by_cell["", "GRU", "two"][0].command
    assert command == "eleatt-bench train experiment=sysu model=gru data.fold=3 seed=4"


@pytest.mark.parametrize(
    ("said", "seeds", "looks"),
    [
        ((), range(12), [3, 6, 12]),
        (["table.seeds=[4,1]"], [4, 1], [2]),
        (["table.looks=[4,8]"], range(8), [4, 8]),
        (["table.seeds=[7,3,5,1]", "table.looks=[2,3]"], [7, 3, 5, 1], [2, 3]),
        (["quick=true"], [0, 1], [2]),
        (["quick=true", "table.seeds=[9]"], [9], [1]),
    ],
)
def test_seeds_and_looks_are_those_that_are_typed_or_else_the_tables(
    composer, said, seeds, looks
) -> None:
    made = plan("digits", said, composer)
    (column,) = made.spec["columns"]
    assert (column["seeds"], column["looks"]) == (list(seeds), looks)
    runs = made.by_cell["", "GRU", "accuracy"]
    assert [run.seed for run in runs] == list(seeds)
    first = [run.seed for run in made.first_look if run.row == "GRU"]
    assert first == list(seeds)[: looks[0]]
    assert made.undeclared == any(o.startswith("table.") for o in said)
    assert bool(made.variation) == made.undeclared


def test_a_column_may_have_looks_of_its_own(composer) -> None:
    columns = "table.columns=[{name: cheap, looks: [5, 10]}, {name: dear}]"
    made = plan("digits", [columns], composer)
    assert [column["looks"] for column in made.spec["columns"]] == [[5, 10], [3, 6, 12]]
    assert len(made.by_cell["", "GRU", "cheap"]) == 10
    typed = plan("digits", [columns, "table.looks=[4]"], composer)
    assert [column["looks"] for column in typed.spec["columns"]] == [[4], [4]]


def test_a_plan_of_other_looks_or_claims_has_files_of_its_own(composer) -> None:
    stems = {
        plan("digits", said, composer).file_stem
        for said in ((), ["table.looks=[6,12]"], ["table.claims=[]"], ["table.seeds=[0,1,2]"])
    }
    assert len(stems) == 4


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("seed=1", r"table\.seeds=\[0,1,2\]"),
        ("+seed=1", r"table\.seeds=\[0,1,2\]"),
        ("data.fold=1", "by column: leave data.fold out"),
        ("table.seeds=[]", "Table digits has no seeds"),
        ("table.seeds=[0,0]", "has seed 0 twice"),
        ("table.looks=[]", "Table digits has no seeds"),
        ("table.looks=[5,3]", "Table digits, column accuracy: looks are .5, 3.; they must be"),
        ("table.looks=[0,3]", "each larger than the one before"),
        ("table.looks=[-3]", "each larger than the one before"),
        ("table.looks=[3,1000000000]", "1,000 seeds are the most"),
        ("table.columns=[{name: a, looks: [3, 3]}]", "column a: looks are .3, 3."),
        ("table.columns=[{name: a, minutes: -1}]", "column a: minutes are -1.0; they must be"),
        ("table.claims=[{better: GRU, than: GRU}]", "row 'GRU' is better than itself"),
        (
            f"table.claims=[{', '.join(2 * ['{better: GRU, than: RNN}'])}]",
            "has claim 'GRU > RNN, accuracy' twice",
        ),
        ("table.claims=[{better: GRU, than: RNN, margin: 0}]", "GRU > RNN: a margin is 0"),
        ("table.claims=[{better: GRU, than: RNN, margin: nan}]", "must be a finite number"),
        ("table.columns=[{name: a, metric: acuracy}]", "metric of table digits.*'accuracy'"),
        ("table.columns=[{name: a, metric: loss}]", "metric of table digits.*loss"),
        ("table.columns=[]", "Table digits has no columns"),
        ("table.columns=[{name: a}, {name: a}]", "has column 'a' twice"),
        ("table.columns=[{name: accuracy, folds: some}]", "must be all, or a list"),
        ("table.columns=[{name: accuracy, folds: [1, 1]}]", "must be all, or a list"),
        ("table.columns=[{name: accuracy, folds: []}]", "must be all, or a list"),
        ("table.claims=[{better: EleAtt-GRU, than: GRUU}]", "Did you mean 'GRU'"),
        ("table.claims=[{better: GRU, than: RNN, columns: [acc]}]", "Did you mean 'accuracy'"),
        ("table.cited=[{name: GRU}]", "has row 'GRU' twice"),
        ("table.cited=[{name: X, paper: {accurcy: 1}}]", "Did you mean 'accuracy'"),
    ],
)
@pytest.mark.few(9)
def test_what_makes_no_table(composer, override: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        plan("digits", [override], composer)


@pytest.mark.parametrize("name", [pytest.param("table5", marks=pytest.mark.slow), "digits"])
@pytest.mark.few(1)
def test_seeds_that_are_planned_at_once_are_as_one_by_one(
    name: str, composer, planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a table, and of one with folds, and pre-trainings in some of its rows."""
    made = planned(name)
    monkeypatch.setattr(type(composer), "seed_keys", lambda *_: None)
    alone = plan(name, [f"data_dir={made.data_dir}"], composer)
    assert made.runs == alone.runs


def test_which_settings_are_the_seed(composer) -> None:
    keys = ("seed", "data.val_seed")
    assert composer.seed_keys(["experiment=digits"], [0, 5]) == keys
    assert composer.seed_keys(["experiment=digits", "data.val_seed=3"], [0]) == keys[:1]
    for said in ("data.val_seed=0", "data.limit=${seed}", "model.dropout=0.${seed}"):
        seeds = [0, 10**9] if said == "data.val_seed=0" else [1]
        assert composer.seed_keys(["experiment=digits", said], seeds) is None


def test_a_variation_is_one_however_it_is_typed(composer) -> None:
    said = ["table.looks=[4, 8]", "optimizer.lr=1e-2", "trainer.max_epochs=3"]
    same = ["trainer.max_epochs=3", "optimizer.lr=0.01", "table.looks=[4,8]"]
    one, other = plan("digits", said, composer), plan("digits", same, composer)
    assert one.file_stem == other.file_stem
    assert one.variation != other.variation, "what is shown is what was typed"
    assert plan("digits", said[:2], composer).file_stem != one.file_stem
    whole = [plan("digits", [f"optimizer.lr={one}"], composer) for one in ("1", "1.0", "10e-1")]
    assert len({made.file_stem for made in whole}) == 1


def test_a_table_has_one_name(composer) -> None:
    with pytest.raises(UserError, match="table=table4: a table is asked for by its name alone"):
        plan("digits", ["table=table4"], composer)
    with pytest.raises(UserError, match=r"table\.name=table4: a table's name is that of its file"):
        plan("digits", ["table.name=table4"], composer)


@pytest.mark.parametrize("make", [plan, plans, lambda name: every_plan()])
def test_and_that_is_the_name_of_its_file(make, tmp_path, monkeypatch) -> None:
    """Else it would have the files, the recorded plan and the commands of another table."""
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "ours.yaml").write_text(
        "name: digits\ntitle: Ours\nlooks: [3]\ncolumns: [{name: a}]\nrows: [{name: GRU}]\n"
    )
    monkeypatch.setenv("ELEATT_CONFIGS", str(tmp_path))
    says = "table/ours.yaml says name: digits; its name is that of its file: name: ours"
    with pytest.raises(UserError, match=says):
        make("ours")


def test_also_where_it_is_one_of_several(tmp_path, monkeypatch) -> None:
    (tmp_path / "table").mkdir()
    for name, text in (
        ("all", "name: all\ntitle: All\ntables: [ours]\n"),
        ("ours", "name: digits\ntitle: Ours\ncolumns: [{name: a}]\nrows: [{name: GRU}]\n"),
    ):
        (tmp_path / "table" / f"{name}.yaml").write_text(text)
    monkeypatch.setenv("ELEATT_CONFIGS", str(tmp_path))
    with pytest.raises(UserError, match=r"table/ours\.yaml says name: digits"):
        plans("all")


def test_of_an_override_that_is_typed_twice_the_last_counts(composer) -> None:
    said = ["optimizer.lr=0.001", "optimizer.lr=0.02"]
    one, other = plan("digits", said, composer), plan("digits", said[::-1], composer)
    assert one.file_stem == plan("digits", said[1:], composer).file_stem
    assert other.file_stem == plan("digits", said[:1], composer).file_stem


@pytest.mark.slow
def test_a_pretraining_on_the_same_data_has_the_fold_that_its_run_has(composer) -> None:
    made = plan("table5", ["pretraining=sysu", "table.seeds=[0]", "table.sections=[]"], composer)
    before = {
        (run.identity["data"]["fold"], run.before.identity["data"]["fold"])
        for run in made.runs
        if run.before is not None and run.before.identity["data"]["name"] == "sysu"
    }
    assert before == {(fold, fold) for fold in range(30)}
    one = next(run for run in made.runs if run.fold == 7 and run.before is not None)
    source = source_of(composer.config(one.overrides), composer, is_place)
    assert source is not None
    assert source.config["data"]["fold"] == 7


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        ("experiment=rotating", r"own, row 'GRU': data.fold follows the seed"),
        ("model.gated_layers=[0]", r"own, row 'GRU': model.gated_layers is set, but model.gate"),
    ],
)
@pytest.mark.few(1)
def test_a_row_that_makes_no_sense_is_named(
    tmp_path: Path, monkeypatch, said: str, refusal: str
) -> None:
    """A fold that follows the seed would be shown as fold 0."""
    table = f"""\
        name: own
        title: a title
        looks: [3]
        columns: [{{name: accuracy}}]
        rows: [{{name: GRU, overrides: [model=gru, "{said}"]}}]
    """
    experiment = """\
        # @package _global_
        defaults: [dhg]
        data: {fold: "${seed}"}
    """
    for group, name, text in (
        ("table", "own", table),
        ("experiment", "rotating", experiment),
    ):
        (tmp_path / group).mkdir()
        (tmp_path / group / f"{name}.yaml").write_text(textwrap.dedent(text))
    monkeypatch.setenv("ELEATT_CONFIGS", str(tmp_path))
    with pytest.raises(UserError, match=refusal):
        plan("own")
