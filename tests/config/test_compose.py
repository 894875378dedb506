"""Hydra in words: what a mistaken override may have meant."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from hypothesis import given, settings
from hypothesis import strategies as st

from eleatt_bench.common import locations
from eleatt_bench.common.errors import UserError
from eleatt_bench.common.locations import config_dir
from eleatt_bench.config.compose import compose_config
from eleatt_bench.config.overrides import check_override
from eleatt_bench.config.setup import hydra_ready, options


@pytest.fixture(autouse=True, scope="module")
def hydra_once() -> Iterator[None]:
    with hydra_ready():
        yield


@pytest.fixture
def no_hydra() -> Iterator[None]:
    """No Hydra program runs, as in a fresh process."""
    before = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    yield
    GlobalHydra.instance().hydra = before


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("modle.hidden_size=3", "Unknown config key 'modle'. Did you mean 'model'?"),
        ("model.hiden_size=3", "'model.hiden_size'. Did you mean 'model.hidden_size'?"),
        ("model.init.chrono_step=9", "Did you mean 'model.init.chrono_steps'?"),
        ("data.transforms.rotatoin=1", "Did you mean 'data.transforms.rotation'?"),
        ("model=eleat_gru", "Unknown option of model 'eleat_gru'. Did you mean 'eleatt_gru'?"),
        ("experiment=nuclaa", "Unknown option of experiment 'nuclaa'. Did you mean 'nucla'?"),
        ("table=tabel4", "Unknown option of table 'tabel4'. Did you mean 'table4'?"),
        ("trainer=cpu/x", "Unknown option of trainer 'cpu/x'. Did you mean 'cpu'?"),
        ("+typo=1", "Unknown config key 'typo'. Choices: data, "),
        ("++typo=1", "Unknown config key 'typo'. Choices: data, "),
        ("typo=1", "Unknown config key 'typo'. Choices: data, "),
        ("~modle", "Unknown config key 'modle'. Did you mean 'model'?"),
        ("data.transforms.rotation=35", "rotation is a section, not a single value: set data.t"),
        ("model.init=[1,2]", "a section, not a single value: set model.init.recurrent_gain, "),
        ("seed", "'seed' is not an override: write KEY=VALUE"),
        ("", "'' is not an override: write KEY=VALUE"),
        ("seed=1.5", "seed: Value '1.5' of type 'float' could not be converted to Integer"),
        ("trainer.precision=32", "trainer.precision: Invalid value '32', expected one of ["),
        ("seed=[1", "no viable alternative at input '[1'"),
        ("seed=1,2", "Ambiguous value for argument 'seed=1,2'"),
        ("~model.gate", "model.gate: ModelConfig (DictConfig) does not support deletion"),
        ("hydra.foo=1", "hydra.foo=1: Hydra's own settings are not for users of this program"),
        ("hydra/launcher=nope", "hydra/launcher=nope: Hydra's own settings are not for users"),
        ("hydra.run.dir=x", "runs_dir=FOLDER says where runs and their logs lie"),
        ("hydra.job.chdir=true", "Hydra's own settings are not for users of this program"),
        ("+hydra.sweep.dir=x", "Hydra's own settings are not for users of this program"),
        ("runs_dir=a=b", """quoted twice, for Hydra and for the shell: "runs_dir='a=b'\""""),
        ("data_dir=~/data", "quoted twice, for Hydra and for the shell: \"data_dir='~/data'\""),
        ("+optimizer.options.lr=3", "optimizer.options.lr has a setting of its own: set optimizer"),
        ("+optimizer.options.x=${oc.env:HOME}", "optimizer.options.x is ${oc.env:HOME}: only data"),
        ("data.name=${oc.env:HOME}", "only data_dir and runs_dir may name environment variables"),
    ],
)
@pytest.mark.few(3)
def test_a_mistake_is_explained_in_one_line(override: str, says: str) -> None:
    with pytest.raises(UserError) as raised:
        compose_config(["experiment=nucla", override])
    message = str(raised.value)
    assert says in message
    assert "\n" not in message
    for of_omegaconf in ("full_key", "reference_type", "object_type"):
        assert of_omegaconf not in message


def test_the_choices_of_a_nested_key_are_its_neighbours() -> None:
    with pytest.raises(UserError) as raised:
        check_override("model.init.gain=1")
    assert str(raised.value).endswith(
        "Choices: model.init.chrono_steps, model.init.forget_bias, model.init.recurrent_gain"
    )


@pytest.mark.parametrize(
    "override",
    [
        "model=gru,eleatt_gru",
        "model=choice(gru,lstm)",
        "seed=range(0,3)",
        "table=null",
        "+model.gate=null",
        "++optimizer.options.betas=[0.8,0.9]",
        "optimizer.options.anything.below=1",
        "data_dir='/a=b'",
        'model="gru"',
        "model=gru, eleatt_gru",
        "data.transforms.rotation={x: 1, y: 2}",
        "data.transforms.rotation=choice({x: 1},{y: 1})",
        "+optimizer.options.sweeps={}",
        "model.init=${model.init}",
        "hydra/sweeper=eleatt_table",
    ],
)
def test_what_exists_is_let_through(override: str) -> None:
    check_override(override)


def test_one_wrong_choice_among_several_is_found() -> None:
    with pytest.raises(UserError, match=r"'eleatt_lsmt'\. Did you mean 'eleatt_lstm'"):
        check_override("model=gru,eleatt_lsmt")


@pytest.mark.parametrize(
    ("override", "mend"),
    [
        ("data.transforms.rotation={}", "set data.transforms.rotation.x, data.transforms.rot"),
        ("data.transforms={rotation: {}}", "set data.transforms.rotation.x, data.transforms.rot"),
        ("++optimizer.options={}", "~optimizer.options.NAME takes one out, optimizer.options.N"),
        ("optimizer.options={},{momentum: 0.5}", "~optimizer.options.NAME takes one out"),
        ("launcher.env=choice({},{A: 1})", "~launcher.env.NAME takes one out"),
    ],
)
def test_an_empty_mapping_is_not_taken_for_none(override: str, mend: str) -> None:
    with pytest.raises(UserError) as raised:
        check_override(override)
    told = f"{override}: an empty mapping changes nothing, because mappings are merged: {mend}"
    assert str(raised.value).startswith(told)


def test_a_key_is_taken_out_of_a_mapping_as_the_refusal_says() -> None:
    said = ["optimizer=sgd", "~optimizer.options.momentum"]
    assert "momentum" not in compose_config(said)["optimizer"]["options"]


def test_an_override_without_a_key_is_none() -> None:
    with pytest.raises(UserError, match="'=1' is not an override: write KEY=VALUE"):
        check_override("=1")


def test_a_group_can_be_taken_out() -> None:
    check_override("~experiment")


def test_a_group_that_cannot_be_null_is_refused_in_words() -> None:
    with pytest.raises(UserError):
        compose_config(["model=null"])


def test_a_path_into_a_table_that_is_not_chosen_is_refused_in_words() -> None:
    with pytest.raises(UserError):
        compose_config(["+table.rows.0.foo=1"])


def test_a_key_is_looked_up_in_the_schema_of_the_verb() -> None:
    check_override("run=x", "eval")
    with pytest.raises(UserError, match="Unknown config key 'run'"):
        check_override("run=x", "train")
    with pytest.raises(UserError, match="Unknown config key 'seed'"):
        check_override("seed=1", "eval")


WORDS = st.sampled_from(["model", "data", "hydra", "init", "seed", "gru", "null", "=", ".", "/"])
SIGNS = st.sampled_from(["", "+", "++", "~", "@", ",", "(", "[", "${", "\n"])


@settings(deadline=None)  # the first look at the options reads the disk
@given(st.text(max_size=20) | st.lists(WORDS | SIGNS, max_size=7).map("".join))
def test_any_text_is_let_through_or_refused_in_words(override: str) -> None:
    with suppress(UserError):
        check_override(override)


def test_the_user_has_the_last_word() -> None:
    said = ["trainer.max_epochs=3", "optimizer.lr=0.1", "model.hidden_size=7"]
    for order in (["experiment=nucla", *said], [*said, "experiment=nucla"]):
        cfg = compose_config(order)
        assert (
            cfg["trainer"]["max_epochs"],
            cfg["optimizer"]["lr"],
            cfg["model"]["hidden_size"],
        ) == (3, 0.1, 7)
    assert compose_config(["seed=1", "seed=2"])["seed"] == 2


def test_the_options_of_a_group_are_its_files() -> None:
    for group in (path for path in config_dir().iterdir() if path.is_dir()):
        assert options(group.name) == sorted(path.stem for path in group.glob("*.yaml"))


@pytest.mark.usefixtures("no_hydra")
def test_a_composition_leaves_no_hydra_behind() -> None:
    compose_config(["experiment=digits"])
    assert not GlobalHydra.instance().is_initialized()
    with pytest.raises(UserError):
        compose_config(["seed=nope"])
    assert not GlobalHydra.instance().is_initialized()


@pytest.mark.usefixtures("no_hydra")
def test_the_folder_where_one_works_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert compose_config(["experiment=nucla"])["data"]["name"] == "nucla"
    assert list(tmp_path.iterdir()) == []


def test_the_configs_of_an_installed_package_lie_inside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site-packages" / "eleatt_bench"
    package.mkdir(parents=True)
    monkeypatch.setattr(locations, "PACKAGE", package)
    with pytest.raises(UserError, match=r"No configs beside .*pip install --force-reinstall"):
        config_dir()
    (package / "configs").mkdir()
    (package / "configs" / "train.yaml").touch()
    assert config_dir() == package / "configs"
