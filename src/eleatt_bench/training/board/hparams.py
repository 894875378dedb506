"""What TensorBoard's HPARAMS page shows of a run: a few settings, and the final numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams.api_pb2 import Experiment, MetricInfo, MetricName
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from torch.utils.tensorboard.summary import hparams

from eleatt_bench.runs.identity import gated_layers, model_name

FINALS = {
    "result/test_accuracy": "test accuracy",
    "result/val_accuracy": "validation accuracy",
    "result/test_loss": "test loss",
    "result/test_accuracy_clean": "test accuracy without repeats",
}
"""The columns of results and their headings, the same for every run."""
_AT_ONCE = ("data", "hidden_size", "lr", "model", "seed")
"""The page opens with five settings: first those marked as differing, then by the alphabet."""


def finals(metrics: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The values of `FINALS` that are in the ``metrics`` of a record."""
    found = {f"result/test_{name}": value for name, value in metrics["test"].items()}
    return found | {"result/val_accuracy": metrics["val"]["accuracy"]}


def session(config: Mapping[str, Any]) -> list[Summary]:
    """The summaries that make a run of ``config`` a row of the page."""
    made = cast(Callable[..., Sequence[Summary]], hparams)(settings(config), {})
    experiment, *others = made
    plugin = experiment.value[0].metadata.plugin_data
    content = HParamsPluginData.FromString(plugin.content)
    _arrange(content.experiment)
    plugin.content = content.SerializeToString()
    return [experiment, *others]


def _arrange(experiment: Experiment) -> None:
    for info in experiment.hparam_infos:
        info.differs = info.name in _AT_ONCE
    for tag, heading in FINALS.items():
        name = MetricName(tag=tag)
        experiment.metric_infos.append(MetricInfo(name=name, display_name=heading))


def settings(config: Mapping[str, Any]) -> dict[str, str | float]:
    """What tells the runs of a sweep apart, in a person's words; a seed is a text, no quantity."""
    model = config["model"]
    return {
        "data": _data(config["data"]),
        "model": _model(model),
        "num_layers": model["num_layers"],
        "hidden_size": model["hidden_size"],
        "dropout": model["dropout"],
        "batch_size": config["data"]["batch_size"],
        "lr": config["optimizer"]["lr"],
        "pretraining": config["pretraining"] or "none",
        "seed": str(config["seed"]),
    }


def _model(model: Mapping[str, Any]) -> str:
    gated = gated_layers(model)
    name = model_name({"model": {**model, "gated_layers": gated}})
    if gated and model["gate"] != "sigmoid":
        name += f", {model['gate']}"
    if gated and len(gated) < model["num_layers"]:
        name += f", gated {' '.join(map(str, gated))}"
    return name


def _data(data: Mapping[str, Any]) -> str:
    """The data set, its protocol, and what is done to the frames."""
    said = [f"{data['name']} {data['protocol']}"]
    if data["fold"]:
        said.append(f"fold {data['fold']}")
    for name, value in data["transforms"].items():
        on = any(value.values()) if isinstance(value, Mapping) else value
        if on and value != ["joints"]:
            said.append(name)
    return ", ".join(said)
