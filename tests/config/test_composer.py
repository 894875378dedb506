"""The quick way to compose gives what Hydra's own gives, mistakes included."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.config.compose import compose_config
from eleatt_bench.config.composer import Composer
from eleatt_bench.config.setup import hydra_ready


@pytest.fixture(autouse=True, scope="module")
def hydra_once() -> Iterator[None]:
    with hydra_ready():
        yield


SAID = [
    ["experiment=nucla", "model=gru", "seed=3"],
    ["experiment=nucla", "model=gru", "data.transforms.rotation=35"],
    ["experiment=nucla_aug", "model=eleatt_gru", "seed=0", "data.fold=7", "seed=4"],
    ["experiment=ntu", "data.protocol=cross_view", "model.gated_layers=[0,1]", "model.dropout=0"],
    ["experiment=digits", "model.gate=null", "trainer=gpu", "trainer.num_threads=2"],
    ["experiment=digits", "+scheduler.options.step_size=1", "seed=2"],
    ["experiment=digits", "scheduler.options={mode: max, factor: 0.5}", "runs_dir='a b'"],
    ["experiment=digits", "data_dir=${runs_dir}/x", "runs_dir=there"],
    ["seed=1", "table=digits", "table.seeds=[5,6]", "launcher.jobs=2"],
    ["experiment=digits", "seed=1e3"],
]


@pytest.mark.parametrize("overrides", SAID, ids=" ".join)
@pytest.mark.few(2)
def test_it_composes_as_hydra_does(overrides: list[str]) -> None:
    def outcome(compose) -> object:
        try:
            return compose()
        except UserError as error:
            return str(error)

    composer = Composer()
    expected = outcome(lambda: compose_config(overrides))
    for _ in range(2):  # the second time from what it kept
        assert outcome(lambda: composer.config(overrides)) == expected


def test_a_value_without_a_default_can_be_given() -> None:
    expected = compose_config(["run=x", "checkpoint=last"], "eval")
    assert Composer("eval").config(["run=x", "checkpoint=last"]) == expected


def test_one_configuration_does_not_leak_into_another() -> None:
    composer = Composer()
    first = composer.config(["experiment=digits", "seed=1"])
    first["model"]["hidden_size"] = 999
    composer.config(["experiment=digits", "model.hidden_size=5", "trainer.max_epochs=1"])
    assert composer.config(["experiment=digits", "seed=1"]) == compose_config(
        ["experiment=digits", "seed=1"]
    )


@pytest.mark.parametrize(
    "overrides",
    [
        ["experiment=digitz"],
        ["experiment=digits", "model.hiden_size=3"],
        ["experiment=digits", "model.hidden_size=big"],
        ["experiment=digits", "model.hidden_size=0"],
        ["experiment=digits", "model.gated_layers=[7]"],
        ["experiment=digits", "seed=zero"],
        ["experiment=digits", "+typo=1"],
        ["experiment=digits", "seed"],
        ["experiment=digits", "model.hidden_size=1,2"],
        ["experiment=digits", "data_dir=${typo}"],
    ],
    ids=" ".join,
)
@pytest.mark.few(1)
def test_a_mistake_is_explained_in_the_same_words(overrides: list[str]) -> None:
    with pytest.raises(UserError) as expected:
        compose_config(overrides)
    composer = Composer()
    composer.config(["experiment=digits"])
    with pytest.raises(UserError) as found:
        composer.config(overrides)
    assert str(found.value) == str(expected.value)
