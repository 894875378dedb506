"""Which run another one's weights come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.literal import literal
from eleatt_bench.config.composer import Composer
from eleatt_bench.config.pretraining import source_of
from eleatt_bench.data import catalog
from eleatt_bench.data.protocols import Split, split
from eleatt_bench.runs.identity import identity, is_place, run_id
from eleatt_bench.training import folder
from eleatt_bench.training.folder import wanted_run


@pytest.mark.parametrize("typed", [[], ["data.val_seed=7"], ["data.val_fraction=0.2"]], ids=str)
def test_of_the_same_data_it_leaves_out_the_same_validation_samples(
    composer, tmp_path: Path, typed: list[str]
) -> None:
    folders = [f"data_dir={tmp_path}", f"runs_dir={tmp_path}"]
    config = composer.config([*folders, "pretraining=digits", "seed=2", *typed])
    source = source_of(config, composer, is_place)
    assert source is not None
    store = catalog.open_store(tmp_path, "digits")

    def split_of(data: dict[str, Any]) -> Split:
        keys = ("val_fraction", "val_seed")
        return split(store, data["protocol"], **{key: data[key] for key in keys})

    ours, theirs = split_of(config["data"]), split_of(source.config["data"])
    assert ours.val.tolist() == theirs.val.tolist()
    assert (source.overrides == ("experiment=digits", "seed=2", *folders)) == (not typed)


@pytest.mark.parametrize(
    "overrides",
    [
        ["experiment=nucla", "model=gru"],
        ["experiment=nucla_aug", "model=eleatt_lstm", "seed=3"],
        ["experiment=nucla", "model=eleatt_gru", "model.gated_layers=[0,2]", "model.num_layers=4"],
        ["experiment=nucla", "quick=true", "seed=7", "trainer=gpu", "trainer.num_threads=2"],
        ["experiment=nucla", "model.init.chrono_steps=9", "runs_dir='a b/it\\'s'", "data_dir=/x/y"],
    ],
    ids=" ".join,
)
@pytest.mark.few(1)
def test_its_overrides_compose_to_its_configuration(composer, overrides: list[str]) -> None:
    config = composer.config([*overrides, "pretraining=ntu"])
    source = source_of(config, composer, is_place)
    assert source is not None
    assert Composer().config(source.overrides) == source.config
    assert source.config["pretraining"] is None


def test_it_is_the_named_experiment_with_the_rows_own_network_and_augmentation(composer) -> None:
    config = composer.config(
        ["experiment=nucla_aug", "model=eleatt_lstm", "model.hidden_size=12", "seed=5",
         "optimizer.lr=0.1", "trainer.max_epochs=3", "pretraining=ntu", "trainer=gpu"]
    )  # fmt: skip
    source = source_of(config, composer, is_place)
    assert source is not None
    ours = composer.config(["experiment=ntu"])
    for key in ("optimizer", "scheduler"):
        assert source.config[key] == ours[key]
    assert source.config["trainer"] == {**ours["trainer"], "accelerator": "gpu"}
    assert source.config["model"] == config["model"]
    assert source.config["seed"] == 5
    theirs = source.config["data"]
    assert (theirs["name"], theirs["protocol"]) == ("ntu", "cross_subject")
    assert theirs["transforms"] == {
        **config["data"]["transforms"],
        "origin": ours["data"]["transforms"]["origin"],
    }
    assert config["data"]["transforms"]["origin"] != theirs["transforms"]["origin"]


def test_of_the_same_data_it_has_the_fold(composer) -> None:
    """Or it would learn from what the run tests on."""
    config = composer.config(["experiment=dhg", "data.fold=3", "pretraining=dhg"])
    source = source_of(config, composer, is_place)
    assert source is not None
    assert source.config["data"]["fold"] == 3
    assert Composer().config(source.overrides) == source.config


@pytest.mark.slow
def test_rows_that_need_the_same_one_share_it(composer) -> None:
    def name(*overrides: str) -> str:
        source = source_of(composer.config([*overrides, "pretraining=ntu"]), composer, is_place)
        assert source is not None
        return run_id(identity(source.config, "d" * 64))

    shared = name("experiment=nucla", "model=gru")
    assert name("experiment=sysu", "model=gru", "data.fold=3") == shared
    assert name("experiment=nucla", "model=gru", "trainer=gpu") == shared
    for other in (["model=lstm"], ["model=gru", "seed=1"], ["model=gru", "quick=true"]):
        assert name("experiment=nucla", *other) != shared
    assert name("experiment=nucla_aug", "model=gru") != shared


def test_none_and_unknown(composer) -> None:
    assert source_of(composer.config(["experiment=nucla"]), composer, is_place) is None
    with pytest.raises(UserError, match=r"option of experiment 'ntuu'.* Did you mean 'ntu'"):
        source_of(composer.config(["pretraining=ntuu"]), composer, is_place)


def test_a_pretraining_begins_from_scratch(composer, monkeypatch) -> None:
    config = composer.config(["pretraining=digits"])

    class Other(Composer):
        def config(self, overrides: Any) -> dict[str, Any]:
            return {**super().config(overrides), "pretraining": "ntu"}

    with pytest.raises(UserError, match="begins with weights of ntu itself"):
        source_of(config, Other(), is_place)


def test_a_run_is_named_after_its_pretraining_too(composer, tmp_path: Path) -> None:
    folders = [f"data_dir={tmp_path}", f"runs_dir={tmp_path}"]
    _, bare = wanted_run([], composer.config(folders), composer)
    _, this = wanted_run([], composer.config([*folders, "pretraining=digits"]), composer)
    assert bare.before is None
    assert this.before is not None
    assert this.before.run_id == bare.run_id
    assert this.identity["pretraining"] == this.before.identity == bare.identity
    assert this.run_id != bare.run_id


def test_frames_of_another_size_are_refused_before_anything_is_trained(
    composer, tmp_path: Path, monkeypatch
) -> None:
    config = composer.config([f"data_dir={tmp_path}", "pretraining=digits"])
    monkeypatch.setattr(
        folder, "_frame_size", lambda one: 60 if one["pretraining"] == "digits" else 150
    )
    with pytest.raises(UserError, match="its layers take 150 values a frame, digits has 60"):
        wanted_run([], config, composer)


def test_data_that_are_missing_are_named(composer, tmp_path: Path) -> None:
    config = composer.config([f"data_dir={tmp_path}", "pretraining=ntu"])
    with pytest.raises(UserError, match="eleatt-bench data prepare ntu --source PATH"):
        wanted_run([], config, composer)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="$")),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)  # fmt: skip


@given(values)
def test_a_value_is_written_as_hydra_reads_it(value: Any) -> None:
    text = f"key={literal(value)}"
    assert OverridesParser.create().parse_override(text).value() == value
