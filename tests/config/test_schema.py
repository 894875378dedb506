"""The schema: what it refuses, and where an override ends up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from omegaconf import OmegaConf

from eleatt_bench.common.errors import UserError
from eleatt_bench.config import schema
from eleatt_bench.config.checks import check_values
from eleatt_bench.config.compose import checked, compose_config
from eleatt_bench.config.setup import hydra_ready


@pytest.fixture(autouse=True, scope="module")
def hydra_once() -> Iterator[None]:
    with hydra_ready():
        yield


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("model.hidden_size=0", "model.hidden_size is 0; it must be at least 1"),
        ("model.dropout=1", r"model.dropout is 1.0; it must lie in \[0, 1\)"),
        ("model.dropout=-0.1", "model.dropout"),
        ("model.dropout=0.999995", r"is 0.999995; .*in \[0, 1\), also rounded to 1 / 65,536$"),
        ("loss.label_smoothing=1", "loss.label_smoothing is 1.0; it must lie in"),
        ("data.val_fraction=0", "data.val_fraction"),
        ("data.val_fraction=1", "data.val_fraction"),
        ("optimizer.lr=nan", "optimizer.lr is nan; it must be a finite number"),
        (
            "data.limit=100000000000000000000",
            r"data.limit is 10+; it must lie between -2\*\*63 and",
        ),
        ("seed=-1", "^seed is -1; it must be at least 0"),
        ("seed=9223372036854775808", "^seed is 9223372036854775808; it must lie"),
        (
            "+optimizer.options.a=[-9223372036854775808]",
            r"options.a\[0\] is -92.* it must lie",
        ),
        ("data.transforms.noise=inf", "data.transforms.noise is inf"),
        ("data.transforms.scaling=1", r"transforms.scaling is 1.0; it must lie in \[0, 1\)"),
        ("data.transforms.time_warp=-0.1", "data.transforms.time_warp is -0.1; it must lie in"),
        ("data.transforms.axis_scaling.y=2", "data.transforms.axis_scaling.y is 2.0; it must lie"),
        ("data.transforms.shift=-1", "data.transforms.shift is -1; it must be at least 0"),
        ("data.transforms.resample=100000", "transforms.resample is 100000; it must be at most"),
        (
            "data.transforms.streams=[]",
            r"transforms.streams is \[\]; name each of joints, bones, v",
        ),
        ("data.transforms.streams=[bones,bones]", r"transforms.streams is \[bones,bones\]; name"),
        ("data.transforms.streams=[bone]", r"streams\[0\].*expected one of \[joints, bones, veloc"),
        ("data.transforms.origin=true", r"transforms.origin.*expected one of \[sequence, frame\]"),
        ("data.transforms.view=first", r"transforms.view.*expected one of \[sequence, frame\]"),
        ("+optimizer.options.betas=[0.9,inf]", r"optimizer.options.betas\[1\] is inf"),
        ("model.gated_layers=[1]", "model.gated_layers names layer 1; layers count 0 to 0"),
        ("model.gated_layers=[-1]", "model.gated_layers names layer -1"),
        ("model.hidden_size=ten", "model.hidden_size.*could not be converted to Integer"),
        ("model.gate=relu", r"model.gate.*expected one of \[sigmoid, softmax\]"),
        ("data.sequence=rows", "data.sequence.*expected one of"),
        ("force=maybe", "force"),
        ("+model.extra=1", "Unknown config key 'model.extra'"),
        ("+optimizer.lrr=1", "Did you mean 'optimizer.lr'"),
        ("data.name=???", "Nothing sets 'data.name': give it as data.name=VALUE"),
        ("~seed", "'seed' is taken out of the configuration"),
        ("model.dropout=${nope}", "model.dropout: Interpolation key 'nope' not found"),
        ("data.transforms=${nope}", "'nope' not found"),
        ("scheduler._target_=shutil.rmtree", "is refused"),
        ("optimizer._target_=os.system", "is refused"),
    ],
)
@pytest.mark.few(2)
def test_what_makes_no_sense_is_refused(override: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        compose_config(["experiment=digits", override])


def test_gated_layers_without_a_gate_are_refused() -> None:
    with pytest.raises(UserError, match=r"model\.gate is not: nothing is gated"):
        compose_config(["model=gru", "model.gated_layers=[0]"])


def test_the_last_layer_is_the_last_that_can_be_gated() -> None:
    three = ["experiment=nucla", "model=eleatt_gru"]
    assert compose_config([*three, "model.gated_layers=[0,2]"])["model"]["gated_layers"] == [0, 2]
    with pytest.raises(UserError, match="names layer 3; layers count 0 to 2"):
        compose_config([*three, "model.gated_layers=[0,3]"])


def test_what_is_mandatory_for_an_evaluation_is_its_run() -> None:
    with pytest.raises(UserError, match="Nothing sets 'run': give it as run=VALUE"):
        compose_config([], "eval")
    assert compose_config(["run=x"], "eval")["checkpoint"] is None
    with pytest.raises(UserError, match=r"trainer\.devices is 0"):
        compose_config(["run=x", "trainer.devices=0"], "eval")


SMALLEST = {
    "data.batch_size": 1,
    "data.fold": 0,
    "data.val_seed": 0,
    "data.transforms.shift": 0,
    "data.transforms.resample": 1,
    "data.transforms.rotation.x": 0,
    "data.transforms.rotation.y": 0,
    "data.transforms.rotation.z": 0,
    "data.transforms.noise": 0,
    "model.hidden_size": 1,
    "model.num_layers": 1,
    "model.init.chrono_steps": 3,
    "optimizer.lr": 0,
    "optimizer.weight_decay": 0,
    "trainer.max_epochs": 1,
    "trainer.devices": 1,
    "trainer.early_stopping": 1,
    "trainer.num_threads": 1,
    "launcher.jobs": 1,
    "launcher.jobs_per_device": 1,
    "seed": 0,
}


@pytest.mark.slow
def test_the_smallest_values_are_let_through_and_smaller_ones_are_not() -> None:
    composed = compose_config(["experiment=digits"])
    for key, least in SMALLEST.items():
        cfg = OmegaConf.create(composed)
        OmegaConf.update(cfg, key, least)
        check_values(OmegaConf.to_container(cfg))
        OmegaConf.update(cfg, key, least - 1)
        with pytest.raises(UserError, match=rf"^{key} is -?\d.*; it must be at least {least}$"):
            check_values(OmegaConf.to_container(cfg))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (["trainer.gradient_clip_val=0"], "above 0, or null to clip nothing"),
        (["scheduler.monitor=val/loss"], "val/loss has no effect: only a plateau"),
        (["scheduler=step", "scheduler.monitor=val/loss"], "plateau, or scheduler.monitor=null"),
        (["scheduler=plateau", "scheduler.monitor=val/loss"],
         "mode is max, but val/loss is better the lower it is: \\+\\+scheduler.options.mode=min"),
        (["scheduler._target_=torch.optim.lr_scheduler.ReduceLROnPlateau",
          "scheduler.monitor=val/accuracy"], "mode is min, .* \\+\\+scheduler.options.mode=max"),
        (["scheduler=plateau", "scheduler.monitor=vall/loss"], "can be one of: train/loss"),
        (["scheduler=plateau", "scheduler.monitor=null"], "monitor is null; it can be one of"),
        (["model=gru", "model.init.forget_bias=3"], "is for the LSTM, and model.cell is gru"),
        (["model=lstm", "model.init.forget_bias=3", "model.init.chrono_steps=8"],
         "chrono_steps draws the biases of that gate"),
        (["model.dropout=1e-6"], r"model.dropout=1e-06 has no effect: .* Choose model.dropout=0$"),
    ],
)  # fmt: skip
@pytest.mark.few(1)
def test_what_would_be_without_effect_or_do_harm_is_refused(said: list[str], told: str) -> None:
    with pytest.raises(UserError, match=told):
        compose_config(["experiment=digits", "scheduler=none", *said])


def test_a_run_that_was_begun_may_have_them() -> None:
    """`eval` and `network` open what earlier versions trained."""
    cfg = OmegaConf.create(compose_config(["experiment=digits"]))
    for key, value, usual in (
        ("trainer.gradient_clip_val", 0.0, None),
        ("scheduler.monitor", "val/loss", None),
        ("model.init.forget_bias", 3.0, 1.0),
        ("model.dropout", 1e-6, 0.0),
    ):
        OmegaConf.update(cfg, key, value)
        with pytest.raises(UserError, match=key):
            check_values(OmegaConf.to_container(cfg))
        check_values(OmegaConf.to_container(cfg), begun=True)
        checked(cfg.copy(), begun=True)
        OmegaConf.update(cfg, key, usual)


@pytest.mark.parametrize(
    "said",
    [["trainer.gradient_clip_val=1e-9"], ["scheduler=plateau", "scheduler.monitor=grad_norm"],
     ["scheduler=plateau", "scheduler.monitor=val/loss", "++scheduler.options.mode=min"],
     ["scheduler._target_=torch.optim.lr_scheduler.ReduceLROnPlateau",
      "scheduler.monitor=val/accuracy", "++scheduler.options.mode=max"],
     ["scheduler=plateau_val"], ["model=eleatt_lstm", "model.init.forget_bias=3"],
     ["model=lstm", "model.init.chrono_steps=8"]],
)  # fmt: skip
@pytest.mark.few(1)
def test_what_has_an_effect_is_let_through(said: list[str]) -> None:
    compose_config(["experiment=digits", "scheduler=none", *said])


def test_the_schema_is_known_down_to_plain_values() -> None:
    assert schema.schema_at(schema.TrainConfig, []) is schema.TrainConfig
    assert schema.schema_at(schema.TrainConfig, ["model", "init"]) is schema.InitConfig
    assert schema.schema_at(schema.TrainConfig, ["table"]) is schema.TableConfig  # optional
    assert schema.schema_at(schema.TrainConfig, ["model", "gate"]) is None
    assert schema.schema_at(schema.TrainConfig, ["optimizer", "options"]) is None
    assert schema.schema_at(schema.TrainConfig, ["table", "rows"]) is None  # a list
    assert schema.schema_at(schema.TrainConfig, ["nope", "deeper"]) is None


def test_plain_is_made_of_dicts_lists_numbers_and_strings() -> None:
    def kinds(value: Any) -> set[type]:
        inner = value.values() if isinstance(value, dict) else value
        deeper = [kinds(v) for v in inner] if isinstance(value, dict | list) else []
        return {type(value)}.union(*deeper)

    config = compose_config(["table=table4", "model.dropout=${optimizer.lr}"])
    assert kinds(config) <= {dict, list, str, int, float, bool, type(None)}
    assert config["model"]["gate"] == "sigmoid"
    assert config["model"]["dropout"] == config["optimizer"]["lr"]
    assert OmegaConf.create([1, "a"]) == [1, "a"]


def test_options_of_an_optimizer_or_scheduler_are_free() -> None:
    cfg = compose_config(
        ["scheduler=step", "+optimizer.options.betas=[0.8,0.9]", "scheduler.options.gamma=0.5"]
    )
    assert cfg["optimizer"]["options"]["betas"] == [0.8, 0.9]
    assert cfg["scheduler"]["options"]["gamma"] == 0.5


def test_folders_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELEATT_DATA", "/somewhere/data")
    monkeypatch.setenv("ELEATT_RUNS", "/somewhere/runs")
    cfg = compose_config([])
    assert (cfg["data_dir"], cfg["runs_dir"]) == ("/somewhere/data", "/somewhere/runs")
    assert compose_config(["data_dir=mine"])["data_dir"] == "mine"
