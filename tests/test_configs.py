"""Every file of ``configs/`` composes, and the recipes are the paper's."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from eleatt_bench.composition import compose_config, config_dir, options
from eleatt_bench.config import plain

MODELS = options("model")
EXPERIMENTS = options("experiment")


def compose(*overrides: str) -> dict[str, Any]:
    config: dict[str, Any] = plain(compose_config(overrides))
    return config


def test_the_names_are_those_that_are_documented() -> None:
    assert MODELS == ["eleatt_gru", "eleatt_lstm", "eleatt_rnn", "gru", "lstm", "rnn"]
    assert EXPERIMENTS == ["digits", "mnist_rows", "nucla", "nucla_aug", "psmnist", "smnist"]
    assert options("trainer") == ["cpu", "ddp", "debug", "gpu"]
    assert options("table") == ["digits", "mnist", "table4"]


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes_with_every_model(experiment: str) -> None:
    for model in MODELS:
        config = compose(f"experiment={experiment}", f"model={model}")
        assert config["model"]["cell"] == model.removeprefix("eleatt_")
        assert (config["model"]["gate"] == "sigmoid") == model.startswith("eleatt_")


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_an_experiment_opens_with_a_command_that_composes_to_it(experiment: str) -> None:
    text = (config_dir() / "experiment" / f"{experiment}.yaml").read_text(encoding="utf-8")
    command = re.search(r"^# Command:\s+(.*)$", text, re.MULTILINE)
    assert command is not None
    program, verb, *overrides = shlex.split(command[1])
    assert (program, verb) == ("eleatt-bench", "train")
    assert f"experiment={experiment}" in overrides
    compose(*overrides)


@pytest.mark.parametrize("trainer", options("trainer"))
def test_the_trainer_says_more_than_the_experiment(trainer: str) -> None:
    config = compose("experiment=nucla", f"trainer={trainer}")
    assert config["trainer"]["max_epochs"] == (2 if trainer == "debug" else 200)


def test_the_skeleton_recipe_is_the_papers() -> None:
    config = compose("experiment=nucla", "model=eleatt_gru")
    model, trainer = config["model"], config["trainer"]
    assert (model["num_layers"], model["hidden_size"], model["dropout"]) == (3, 100, 0.5)
    assert (model["readout"], model["reset_after"], model["gated_layers"]) == ("mean", False, None)
    assert model["init"] == {"recurrent_gain": 0.001, "forget_bias": 1.0, "chrono_steps": None}
    assert config["optimizer"]["_target_"] == "torch.optim.Adam"
    assert config["optimizer"]["lr"] == 0.005
    assert config["scheduler"]["monitor"] == "train/accuracy"
    assert config["scheduler"]["options"] == {
        "mode": "max", "factor": 0.1, "patience": 5, "cooldown": 3,
    }  # fmt: skip
    assert (trainer["max_epochs"], trainer["gradient_clip_val"]) == (200, 1.0)
    assert (trainer["selection"], trainer["early_stopping"]) == ("best", None)
    assert (config["data"]["batch_size"], config["data"]["val_fraction"]) == (32, 0.05)
    assert config["data"]["transforms"] == {"origin": True, "rotation": 0.0, "noise": 0.0}


def test_augmentation_is_a_rotation_of_35_degrees_and_nothing_else() -> None:
    plain_run, augmented = compose("experiment=nucla"), compose("experiment=nucla_aug")
    assert augmented["data"]["transforms"].pop("rotation") == 35.0
    assert plain_run["data"]["transforms"].pop("rotation") == 0.0
    assert plain_run == augmented


@pytest.mark.parametrize(
    ("experiment", "sequence", "epochs", "steps"),
    [
        ("mnist_rows", "frames", 20, 28),
        ("smnist", "pixels", 100, 784),
        ("psmnist", "permuted_pixels", 100, 784),
    ],
)
def test_the_mnist_recipe(experiment: str, sequence: str, epochs: int, steps: int) -> None:
    config = compose(f"experiment={experiment}", "model=gru")
    model = config["model"]
    assert (model["num_layers"], model["hidden_size"], model["dropout"]) == (1, 128, 0.0)
    assert model["readout"] == "last"
    assert model["init"]["recurrent_gain"] == 1.0
    assert model["init"]["chrono_steps"] == steps
    assert (config["optimizer"]["lr"], config["data"]["batch_size"]) == (0.001, 128)
    assert (config["data"]["sequence"], config["trainer"]["max_epochs"]) == (sequence, epochs)
    assert config["scheduler"]["_target_"] is None


def test_gate_on_and_gate_off_differ_by_the_gate_alone() -> None:
    for experiment in EXPERIMENTS:
        for cell in ("rnn", "lstm", "gru"):
            gated = compose(f"experiment={experiment}", f"model=eleatt_{cell}")
            bare = compose(f"experiment={experiment}", f"model={cell}")
            assert (gated["model"].pop("gate"), bare["model"].pop("gate")) == ("sigmoid", None)
            assert gated == bare


def test_table_4_holds_the_papers_numbers() -> None:
    spec = compose("table=table4")["table"]
    assert {row["name"]: row["paper"] for row in spec["rows"]} == {
        "Baseline-GRU": {"cross_view": 84.3},
        "EleAtt-GRU": {"cross_view": 89.0},
        "EleAtt-GRU(aug.)": {"cross_view": 90.7},
    }
    assert {row["name"]: row["paper"]["cross_view"] for row in spec["cited"]} == {
        "HOJ3D": 54.5, "AE": 76.0, "VA-LSTM": 70.7, "HBRNN-L": 78.5,
    }  # fmt: skip


def test_every_table_says_how_it_is_made_and_what_it_costs() -> None:
    for name in options("table"):
        text = (config_dir() / "table" / f"{name}.yaml").read_text(encoding="utf-8")
        assert text.startswith(f"# Command:  eleatt-bench reproduce {name}")
        assert "# Cost:" in text
        assert compose(f"table={name}")["table"]["name"] == name


def test_the_configs_of_a_checkout_are_those_at_its_top() -> None:
    assert config_dir() == Path(__file__).resolve().parents[1] / "configs"
