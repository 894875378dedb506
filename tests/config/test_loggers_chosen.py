"""``logger=``: one, several or none, and settings of one that was not chosen."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.config.compose import compose_config
from eleatt_bench.config.composer import Composer
from eleatt_bench.config.pretraining import source_of
from eleatt_bench.config.setup import hydra_ready, options
from eleatt_bench.runs.identity import is_place

NAMES = ("tensorboard", "csv", "mlflow", "wandb")


@pytest.fixture(autouse=True, scope="module")
def hydra_once() -> Iterator[None]:
    with hydra_ready():
        yield


def chosen(*overrides: str) -> set[str]:
    logger = compose_config(["experiment=digits", *overrides])["logger"]
    return {name for name, value in logger.items() if value}


def test_tensorboard_is_what_nobody_has_to_choose() -> None:
    assert chosen() == {"tensorboard"}
    assert chosen("logger=none") == chosen("logger=[]") == set()
    assert set(options("logger")) == {*NAMES, "none"}


@pytest.mark.parametrize(
    "names", [one for count in (1, 2, 3, 4) for one in combinations(NAMES, count)], ids="+".join
)
@pytest.mark.few(4)
def test_any_of_them_go_together(names: tuple[str, ...]) -> None:
    assert chosen(f"logger=[{','.join(names)}]") == set(names)
    if len(names) == 1:
        assert chosen(f"logger={names[0]}") == set(names)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["logger=mlfow"], "Unknown option of logger 'mlfow'. Did you mean 'mlflow'?"),
        (["logger=[csv,wandbb]"], "Unknown option of logger 'wandbb'. Did you mean 'wandb'?"),
        (["logger=csv", "logger.mlflow.experiment_name=a"],
         "experiment_name is set, but no logger.mlflow is chosen: give logger=mlflow as well"),
        (["logger.wandb.project=a"], "no logger.wandb is chosen: give logger=wandb as well"),
        (["logger=mlflow", "logger.mlflow.name=a"], "Unknown config key 'logger.mlflow.name'"),
        (["table.looks=[5]"], "table.looks is set, but no table is chosen: give table=NAME"),
        (["logger=wandb", "logger.wandb.mode=of"], "expected one of [online, offline]"),
        (["trainer.profiler=slow"], "expected one of [simple, advanced, pytorch]"),
        (["trainer.accumulate_grad_batches=0"], "it must be at least 1"),
    ],
)  # fmt: skip
@pytest.mark.few(1)
def test_a_mistake_is_a_sentence(overrides: list[str], says: str) -> None:
    for compose in (compose_config, Composer().config):
        with pytest.raises(UserError) as raised:
            compose(["experiment=digits", *overrides])
        assert says in str(raised.value)


@pytest.mark.parametrize(
    "overrides",
    [
        ["logger=[csv,mlflow]", "logger.mlflow.experiment_name='a, b'",
         "logger.mlflow.tracking_uri='http://127.0.0.1:5000'"],
        ["logger=none"],
        ["logger=wandb", "logger.wandb.mode=offline"],
    ],
)  # fmt: skip
@pytest.mark.slow
def test_a_pre_training_logs_where_its_run_does(overrides: list[str]) -> None:
    composer = Composer()
    config = composer.config(["experiment=nucla", "pretraining=ntu", *overrides])
    source = source_of(config, composer, is_place)
    assert source is not None
    assert source.config["logger"] == config["logger"]
    assert Composer().config(source.overrides) == source.config
    plain = source_of(composer.config(["experiment=nucla", "pretraining=ntu"]), composer, is_place)
    assert plain is not None
    assert plain.overrides == ("experiment=ntu", "seed=0"), "as before"
