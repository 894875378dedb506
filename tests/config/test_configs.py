"""Every file of ``configs/`` composes, and the recipes are the paper's."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from eleatt_bench.common.locations import config_dir
from eleatt_bench.config.compose import compose_config
from eleatt_bench.config.setup import hydra_ready, options

MODELS = options("model")
EXPERIMENTS = options("experiment")
FILES = sorted(path.relative_to(config_dir()) for path in config_dir().rglob("*.yaml"))


@pytest.fixture(autouse=True, scope="module")
def hydra_once() -> Iterator[None]:
    with hydra_ready():
        yield


@cache
def composed(overrides: tuple[str, ...], name: str) -> dict[str, Any]:
    config: dict[str, Any] = compose_config(overrides, name)
    return config


_NONE = dict.fromkeys("xyz", 0.0)
NO_TRANSFORMS = {
    "origin": None, "view": None, "shift": 0, "time_warp": 0.0, "resample": None, "scaling": 0.0,
    "axis_scaling": _NONE, "rotation": _NONE, "noise": 0.0, "streams": ["joints"],
}  # fmt: skip


def compose(*overrides: str, name: str = "train") -> dict[str, Any]:
    """A configuration of the caller's own; each is composed once for the whole file."""
    return deepcopy(composed(overrides, name))


def opening(path: Path) -> list[str]:
    """The lines of the comment that a file opens with, without their signs."""
    lines = (config_dir() / path).read_text(encoding="utf-8").splitlines()
    if lines[0] == "# @package _global_":
        del lines[0]
    end = next(i for i, line in enumerate(lines) if not line.startswith("#"))
    return [line.lstrip("# ") for line in lines[:end]]


def command(path: Path) -> list[str]:
    """The command in the comment that a file opens with, in words."""
    lines = [line for line in opening(path) if line.startswith("Command:")]
    assert len(lines) == 1
    return shlex.split(lines[0].removeprefix("Command:"))


def test_the_names_are_those_that_are_documented() -> None:
    """Those that runs and tables are called by stay; who adds a cell or a data set adds more."""
    assert {"eleatt_gru", "eleatt_lstm", "eleatt_rnn", "gru", "lstm", "rnn"} <= set(MODELS)
    assert {
        *("dhg", "digits", "jhmdb", "mnist_rows", "ntu", "ntu_aug", "ntu_rgb", "ntu_v1"),
        *("nucla", "nucla_aug", "nucla_strong", "psmnist", "shrec17", "smnist", "sysu", "sysu_aug"),
    } <= set(EXPERIMENTS)
    assert options("trainer") == ["cpu", "ddp", "gpu"]
    assert options("optimizer") == ["adam", "adamw", "sgd"]
    assert options("scheduler") == [
        *("cosine", "none", "onecycle", "plateau", "plateau_val", "step"),
    ]


@pytest.mark.parametrize("path", FILES, ids=str)
@pytest.mark.few(8)
def test_every_file_composes(path: Path) -> None:
    if path.parent == Path():
        compose(*(["run=x"] if path.stem == "eval" else []), name=path.stem)
    elif path.parent == Path("experiment"):
        compose(f"experiment={path.stem}", "model=eleatt_gru")
    elif path.parent == Path("model"):
        compose("experiment=digits", f"model={path.stem}")
    else:
        compose(f"{path.parent}={path.stem}")


@pytest.mark.parametrize("experiment", EXPERIMENTS)
@pytest.mark.few(1)
def test_every_experiment_composes_with_every_model(experiment: str) -> None:
    for model in MODELS:
        config = compose(f"experiment={experiment}", f"model={model}")
        assert config["model"]["cell"] == model.removeprefix("eleatt_")
        assert (config["model"]["gate"] == "sigmoid") == model.startswith("eleatt_")


@pytest.mark.parametrize("experiment", EXPERIMENTS)
@pytest.mark.few(4)
def test_an_experiment_opens_with_a_command_that_composes_to_it(experiment: str) -> None:
    path = Path("experiment", f"{experiment}.yaml")
    assert any(line.startswith("Cost:") for line in opening(path))
    program, verb, *overrides = command(path)
    assert (program, verb) == ("eleatt-bench", "train")
    assert f"experiment={experiment}" in overrides
    bare, said = compose(f"experiment={experiment}", "model=eleatt_gru"), compose(*overrides)
    assert {**said, "trainer": None} == {**bare, "trainer": None}
    assert said["trainer"]["max_epochs"] == bare["trainer"]["max_epochs"]


@pytest.mark.parametrize("trainer", options("trainer"))
def test_the_trainer_says_where_and_the_experiment_how_long(trainer: str) -> None:
    config = compose("experiment=nucla", f"trainer={trainer}")["trainer"]
    accelerator = {"default": "auto", "cpu": "cpu", "gpu": "gpu", "ddp": "auto"}[trainer]
    assert (config["accelerator"], config["max_epochs"]) == (accelerator, 200)


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
    assert config["optimizer"]["weight_decay"] == 0.0
    transforms = config["data"]["transforms"]
    assert transforms == {**NO_TRANSFORMS, "origin": "sequence"}


def test_every_transform_is_off_unless_a_config_turns_it_on() -> None:
    assert compose("experiment=digits")["data"]["transforms"] == NO_TRANSFORMS


@pytest.mark.parametrize("name", ["nucla", "ntu", "sysu"])
def test_augmentation_is_a_rotation_of_35_degrees_and_nothing_else(name: str) -> None:
    plain_run, augmented = (
        compose(f"experiment={experiment}", "model=eleatt_gru")
        for experiment in (name, f"{name}_aug")
    )
    assert augmented["data"]["transforms"].pop("rotation") == {"x": 35.0, "y": 35.0, "z": 35.0}
    assert plain_run["data"]["transforms"].pop("rotation") == {"x": 0.0, "y": 0.0, "z": 0.0}
    assert plain_run == augmented


@pytest.mark.parametrize(("experiment", "layers", "batch"), [("jhmdb", 1, 32), ("ntu_rgb", 3, 256)])
def test_the_recipe_of_features_is_the_papers(experiment: str, layers: int, batch: int) -> None:
    config = compose(f"experiment={experiment}", "model=eleatt_gru")
    model, trainer = config["model"], config["trainer"]
    assert (model["num_layers"], model["hidden_size"], model["dropout"]) == (layers, 512, 0.5)
    assert (model["readout"], model["init"]["recurrent_gain"]) == ("mean", 0.001)
    assert (config["optimizer"]["lr"], config["data"]["batch_size"]) == (0.001, batch)
    assert config["data"]["transforms"] == NO_TRANSFORMS
    assert (trainer["gradient_clip_val"], config["data"]["val_fraction"]) == (1.0, 0.05)


def test_when_features_are_trained_long_enough() -> None:
    """Validation clips of JHMDB come from the training videos: they end and choose nothing."""
    configs = [compose(f"experiment={name}") for name in ("ntu_rgb", "jhmdb")]
    ntu, jhmdb = (config["trainer"] for config in configs)
    schedulers = [config["scheduler"] for config in configs]
    assert schedulers[0]["monitor"] == "val/accuracy"
    assert (ntu["max_epochs"], ntu["early_stopping"], ntu["selection"]) == (200, 15, "best")
    assert schedulers[1]["options"] == {"T_max": 60}
    assert (jhmdb["max_epochs"], jhmdb["early_stopping"], jhmdb["selection"]) == (60, None, "last")


@pytest.mark.parametrize(
    ("experiment", "sequence", "steps"),
    [("mnist_rows", "frames", 28), ("smnist", "pixels", 784), ("psmnist", "permuted_pixels", 784)],
)
def test_the_mnist_recipes(experiment: str, sequence: str, steps: int) -> None:
    config = compose(f"experiment={experiment}", "model=gru")
    model, trainer, data = config["model"], config["trainer"], config["data"]
    by_rows = sequence == "frames"
    assert (model["num_layers"], model["dropout"]) == ((2, 0.15) if by_rows else (1, 0.0))
    assert (model["hidden_size"], model["readout"]) == (128, "last")
    assert model["init"]["recurrent_gain"] == 1.0
    assert model["init"]["chrono_steps"] == steps
    assert config["optimizer"]["_target_"] == "torch.optim.Adam"
    step = (config["optimizer"]["lr"], data["batch_size"])
    assert step == ((0.003, 128) if by_rows else (0.005, 32))
    assert (data["name"], data["val_fraction"]) == ("mnist", 0.05)
    assert data["sequence"] == sequence
    moved: dict[str, float] = {"shift": 1 if sequence == "permuted_pixels" else 2}
    if by_rows:
        moved["time_warp"] = 0.3
    assert data["transforms"] == {**NO_TRANSFORMS, **moved}
    assert (trainer["max_epochs"], trainer["selection"]) == (30 if by_rows else 25, "last")
    assert config["scheduler"]["options"] == {"T_max": trainer["max_epochs"]}


@pytest.mark.slow
def test_gate_on_and_gate_off_differ_by_the_gate_alone() -> None:
    for experiment in EXPERIMENTS:
        for cell in ("rnn", "lstm", "gru"):
            gated = compose(f"experiment={experiment}", f"model=eleatt_{cell}")
            bare = compose(f"experiment={experiment}", f"model={cell}")
            assert (gated["model"].pop("gate"), bare["model"].pop("gate")) == ("sigmoid", None)
            assert gated == bare


def test_the_configs_of_a_checkout_are_those_at_its_top() -> None:
    assert config_dir() == Path(__file__).resolve().parents[2] / "configs"
