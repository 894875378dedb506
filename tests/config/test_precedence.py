"""What the user wrote wins: typed values, then the experiment, then what nobody typed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from eleatt_bench.common.errors import UserError
from eleatt_bench.config.compose import compose_config
from eleatt_bench.config.composer import Composer

Write = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write a config of the user's own, e.g. ``experiment/mine``."""
    monkeypatch.setenv("ELEATT_CONFIGS", str(tmp_path))
    before = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()

    def made(name: str, text: str) -> None:
        path = tmp_path / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        head = "# @package _global_\n" if name.startswith("experiment/") else ""
        path.write_text(head + text, encoding="utf-8")

    yield made
    GlobalHydra.instance().hydra = before


@pytest.mark.slow
def test_an_experiment_may_set_whatever_nobody_typed(write: Write) -> None:
    write(
        "experiment/mine",
        "defaults: [digits]\nseed: 77\nquick: true\nforce: true\npretraining: nucla\n"
        "runs_dir: there\nlauncher: {jobs: 7}\n"
        "trainer: {accelerator: gpu, devices: 4, strategy: ddp, max_epochs: 1}\n",
    )
    found = compose_config(["experiment=mine"])
    assert (found["seed"], found["quick"], found["force"]) == (77, True, True)
    assert (found["pretraining"], found["runs_dir"]) == ("nucla", "there")
    assert found["launcher"]["jobs"] == 7
    trainer = found["trainer"]
    assert (trainer["accelerator"], trainer["devices"], trainer["strategy"]) == ("gpu", 4, "ddp")
    assert compose_config(["experiment=mine", "seed=1", "quick=false"])["seed"] == 1


WIDE = "cell: gru\ngate: sigmoid\nhidden_size: 256\nnum_layers: 2\n"


@pytest.mark.parametrize("experiment", [["experiment=mine"], [], ["experiment=digits"]])
@pytest.mark.few(1)
def test_a_typed_choice_that_loses_a_key_stops_the_command(
    write: Write, experiment: list[str]
) -> None:
    write("model/wide", WIDE)
    write("experiment/mine", "defaults: [digits]\n")
    with pytest.raises(UserError) as raised:
        compose_config(["model=wide", *experiment])
    name = experiment[0] if experiment else "experiment=digits"
    assert str(raised.value) == (
        "model=wide says model.hidden_size=256 (the experiment: 32), model.num_layers=2 (the "
        f"experiment: 1), but {name} comes after it and wins: type what you want as well, e.g. "
        "model.hidden_size=256 model.num_layers=2"
    )
    typed = ["model.hidden_size=256", "model.num_layers=1"]
    model = compose_config(["model=wide", *experiment, *typed])["model"]
    assert (model["hidden_size"], model["num_layers"]) == (256, 1)
    with pytest.raises(UserError, match=re.escape("says model.num_layers=2 (the experiment: 1),")):
        Composer().config(["model=wide", *experiment, typed[0]])


@pytest.mark.slow
def test_what_an_option_takes_from_another_counts_as_its_own(write: Write) -> None:
    write("model/wide", WIDE)
    write("model/wider", "defaults: [wide, _self_]\nhidden_size: 512\n")
    write("experiment/mine", "defaults: [digits]\nmodel: {hidden_size: 512}\n")
    with pytest.raises(UserError, match=r"model=wider says model.num_layers=2 \(the experiment: 1"):
        compose_config(["model=wider", "experiment=mine"])
    found = compose_config(["model=wider", "experiment=mine", "model.num_layers=2"])
    assert found["model"]["hidden_size"] == 512


@pytest.mark.parametrize(
    "said",
    [["scheduler=cosine"], ["trainer=gpu"], ["trainer=ddp"], ["model=lstm"], ["optimizer=sgd"],
     ["data=nucla", "experiment=nucla"], ["scheduler=none", "experiment=ntu"]],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.few(2)
def test_a_choice_that_loses_nothing_is_let_through(said: list[str]) -> None:
    compose_config(said)


def test_rows_and_sweeps_are_held_to_it_too() -> None:
    with pytest.raises(UserError, match=r"optimizer=sgd says optimizer.lr=0.1 \(the experiment: 0"):
        Composer().config(["experiment=mnist_rows", "model=gru", "optimizer=sgd", "seed=3"])


STEP = "torch.optim.lr_scheduler.StepLR"


@pytest.mark.parametrize("compose", [compose_config, lambda said: Composer().config(said)])
@pytest.mark.few(1)
def test_another_class_inherits_no_options(compose) -> None:
    said = ["experiment=nucla", f"scheduler._target_={STEP}", "+scheduler.options.step_size=3"]
    assert compose(said)["scheduler"] == {
        "_target_": STEP, "monitor": None, "options": {"step_size": 3},
    }  # fmt: skip
    whole = [*said[:2], "+scheduler.options={step_size: 4, gamma: 0.5}"]
    assert compose(whole)["scheduler"]["options"] == {"step_size": 4, "gamma": 0.5}
    sgd = compose(["optimizer=adamw", "optimizer._target_=torch.optim.SGD"])["optimizer"]
    assert sgd == {"_target_": "torch.optim.SGD", "lr": 0.005, "weight_decay": 0.01, "options": {}}


@pytest.mark.slow
def test_nor_does_the_class_that_an_experiment_names(write: Write) -> None:
    write(
        "experiment/mine",
        f"defaults: [nucla, _self_]\nscheduler: {{_target_: {STEP}, options: {{step_size: 9}}}}\n",
    )
    scheduler = compose_config(["experiment=mine"])["scheduler"]
    assert scheduler == {"_target_": STEP, "monitor": None, "options": {"step_size": 9}}
    write("experiment/patient", "defaults: [nucla, _self_]\nscheduler: {options: {patience: 9}}\n")
    patient = compose_config(["experiment=patient"])["scheduler"]
    assert patient["monitor"] == "train/accuracy"
    assert patient["options"] == {"mode": "max", "factor": 0.1, "patience": 9, "cooldown": 3}


def test_the_same_class_keeps_its_options() -> None:
    plateau = "torch.optim.lr_scheduler.ReduceLROnPlateau"
    scheduler = compose_config(["experiment=nucla", f"scheduler._target_={plateau}"])["scheduler"]
    assert scheduler["options"]["patience"] == 5
    assert scheduler["monitor"] == "train/accuracy"


@pytest.mark.parametrize("quickly", [[], ["quick=true"]])
def test_the_length_of_a_schedule_is_that_of_the_run(quickly: list[str]) -> None:
    cosine = compose_config(["experiment=nucla", "scheduler=cosine", *quickly])
    assert cosine["scheduler"]["options"] == {"T_max": 2 if quickly else 200}
    onecycle = compose_config(["scheduler=onecycle", "optimizer.lr=0.1", *quickly])["scheduler"]
    assert onecycle["options"]["total_steps"] == (2 if quickly else 40)
    assert onecycle["options"]["max_lr"] == 0.1
