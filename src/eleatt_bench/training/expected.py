"""What a checkpoint of a run must hold; this is checked before anything in it is used.

Torch accepts much that does not fit: weights of another precision, an optimizer without its state,
a schedule of another kind, the number of an epoch that was not trained.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from eleatt_bench.training.classifier import SequenceClassifier

CONTENT = frozenset({"epoch", "model", "optimizer", "scheduler", "precision", "best", "last"})
_ADDED = frozenset({"backends", "commits", "devices"})  # checkpoints of earlier versions lack these
_METRICS = ("train/loss", "train/accuracy", "val/loss", "val/accuracy")


@dataclass(frozen=True)
class Expectation:
    """What a checkpoint is compared with; empty fields are not compared."""

    model: Mapping[str, Tensor] = field(default_factory=dict)  # their shapes and types count
    epoch: int | None = None  # from 0
    epochs: int | None = None  # of the whole run
    steps: int | None = None  # of an epoch
    skips: bool = False  # whether 16-bit training may have left out steps that overflowed
    optimizer: Mapping[str, Any] = field(default_factory=dict)  # its state after one step
    scheduler: Mapping[str, Any] = field(default_factory=dict)


def network_of(classifier: SequenceClassifier, epoch: int | None = None) -> Expectation:
    """Expect the weights of ``classifier``, and ``epoch`` if given."""
    return Expectation(classifier.state_dict(), epoch)


def training_of(classifier: SequenceClassifier, steps: int) -> Expectation:
    """Expect all that the run of ``classifier`` continues from; its epochs have ``steps`` each."""
    network = network_of(classifier)
    optimizer = classifier.configure_optimizers()  # Lightning will call it again
    scheduler = classifier.scheduler
    return Expectation(
        network.model,
        epochs=classifier.config["trainer"]["max_epochs"],
        steps=steps,
        skips=classifier.config["trainer"]["precision"] == "16-mixed",
        optimizer=_stepped(optimizer),
        scheduler=scheduler.state_dict() if scheduler is not None else {},
    )


def _stepped(optimizer: torch.optim.Optimizer) -> Mapping[str, Any]:
    """The state that ``optimizer`` would have after a step; ``optimizer`` is not changed."""
    other = copy.deepcopy(optimizer)
    for group in other.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    try:
        type(other).step(other)  # the class's: a scheduler wraps that of the instance
    except TypeError:  # an optimizer that evaluates the loss itself
        return {}
    return other.state_dict()


def check(state: Any, expected: Expectation) -> None:
    """Compare the ``state`` that was read from a checkpoint with ``expected``.

    Raises:
        ValueError: something does not fit; the message says what.
    """
    if not isinstance(state, dict) or not CONTENT <= state.keys() <= CONTENT | _ADDED:
        raise ValueError("it is no checkpoint of this program")
    _check_progress(state, expected)
    for key in _ADDED:
        _check_turns(state.get(key), state["epoch"])
    check_model(state["model"], expected)
    if expected.optimizer:
        _check_optimizer(state, expected)
    if expected.steps is not None:
        _check_alike(state["scheduler"] or {}, expected.scheduler, "scheduler")


def _check_progress(state: Mapping[str, Any], expected: Expectation) -> None:
    epoch = state["epoch"]
    if type(epoch) is not int or epoch < 0:
        raise ValueError("it does not say of which epoch it is")
    if expected.epoch is not None and epoch != expected.epoch:
        raise ValueError(f"it is of epoch {epoch + 1:,}, not of epoch {expected.epoch + 1:,}")
    if expected.epochs is not None and epoch >= expected.epochs:
        raise ValueError(f"it is of epoch {epoch + 1:,}, of {expected.epochs:,}")
    for name in ("best", "last"):
        said = state[name]
        if not isinstance(said, dict) or said.keys() != {"epoch", "metrics"}:
            raise ValueError(f"it does not say which epoch was the {name}")
        metrics = said["metrics"]
        if not isinstance(metrics, dict) or not all(
            isinstance(metrics.get(name), float) and math.isfinite(metrics[name])
            for name in _METRICS
        ):
            raise ValueError(f"it lacks the metrics of the {name} epoch")
    best, last = state["best"], state["last"]
    if last["epoch"] != epoch or type(best["epoch"]) is not int or not 0 <= best["epoch"] <= epoch:
        raise ValueError(f"it does not say which of {epoch + 1:,} epochs was the best")
    if best["metrics"]["val/accuracy"] < last["metrics"]["val/accuracy"]:
        raise ValueError("its best epoch is worse than its last")


def _check_turns(said: Any, epoch: int) -> None:
    if said is None:
        return
    runs = isinstance(said, list) and all(
        isinstance(run, list | tuple) and len(run) == 2
        and isinstance(run[0], str) and type(run[1]) is int and run[1] > 0
        for run in said
    )  # fmt: skip
    if not runs or sum(count for _, count in said) != epoch + 1:
        raise ValueError("its lists of backends, commits or devices do not add up to its epochs")


def check_model(model: Any, expected: Expectation) -> None:
    """Compare the weights alone; raises as `check`."""
    if not isinstance(model, dict):
        raise ValueError("it holds no weights")
    for name, value in model.items():
        _check_tensor(value, name)
    names = model.keys() ^ expected.model.keys() if expected.model else ()
    for name in names:
        raise ValueError(f"it is of another network: {name} is in one of them alone")
    for name, here in expected.model.items():
        there = model[name]
        if there.shape != here.shape:
            shapes = (" × ".join(map(str, one.shape)) for one in (there, here))
            raise ValueError(
                "it is of another network: {} is {} there and {} here".format(name, *shapes)
            )
        _check_dtype(there, here, name)


def _check_tensor(value: Any, name: str) -> None:
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.device.type != "cpu":
        raise ValueError(f"{name} is no tensor")
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise ValueError(f"{name} is larger than what is stored")
    if not torch.isfinite(value).all():
        raise ValueError(f"{name} is not finite")


def _check_dtype(there: Tensor, here: Tensor, name: str) -> None:
    if there.dtype != here.dtype:
        raise ValueError(f"{name} is {there.dtype}, not {here.dtype}")


def _check_optimizer(state: Mapping[str, Any], expected: Expectation) -> None:
    found, wanted = state["optimizer"], expected.optimizer
    if not isinstance(found, dict) or found.keys() != wanted.keys():
        raise ValueError("it holds no optimizer")
    groups = [dict(group, params=tuple(group["params"])) for group in wanted["param_groups"]]
    _check_alike(found["param_groups"], groups, "optimizer")
    values = found["state"]
    if not isinstance(values, dict):
        raise ValueError("it holds no optimizer")
    if values.keys() != wanted["state"].keys() and not (expected.skips and not values):
        raise ValueError("its optimizer is of another network, or empty")
    for index, here in wanted["state"].items():
        there = values.get(index, here)
        _check_alike(there, here, "optimizer")
        for name, value in there.items():
            if isinstance(value, Tensor):
                _check_tensor(value, f"optimizer's {name}")
                if value.numel() > 1:
                    _check_dtype(value, here[name], f"optimizer's {name}")
        done = (state["epoch"] + 1) * (expected.steps or 0)
        if "step" in here and not expected.skips and there["step"] != done:
            raise ValueError(f"its optimizer has done {float(there['step']):g} steps, not {done}")


def _check_alike(there: Any, here: Any, what: str) -> None:
    """Check that ``there`` has the keys, the lengths, the shapes and the kinds of ``here``."""
    parts: list[tuple[Any, Any]] = []
    if isinstance(here, Mapping):
        same = isinstance(there, Mapping) and _public(there) == _public(here)
        parts = [(there[name], here[name]) for name in _public(here)] if same else []
    elif isinstance(here, list | tuple):
        same = isinstance(there, list | tuple) and len(there) == len(here)
        parts = list(zip(there, here, strict=True)) if same else []
    elif isinstance(here, Tensor):
        same = isinstance(there, Tensor) and there.shape == here.shape
    elif isinstance(here, str | bool):
        same = type(there) is type(here)
    elif isinstance(here, int | float):
        same = isinstance(there, int | float) and not math.isnan(there)
    else:  # no value yet
        same = True
    if not same:
        raise ValueError(f"its {what} is of another kind")
    for a, b in parts:
        _check_alike(a, b, what)


def _public(values: Mapping[Any, Any]) -> set[Any]:
    """The names in a state, without torch's private ones, in which its versions differ."""
    return {name for name in values if not str(name).startswith("_")}


def tensors(state: Mapping[str, Any]) -> Iterator[Tensor]:
    """The tensors of the model and of the optimizer in a checkpoint."""
    yield from state["model"].values()
    optimizer = state["optimizer"]
    values = optimizer.get("state") if isinstance(optimizer, dict) else None
    for entries in values.values() if isinstance(values, dict) else ():
        if isinstance(entries, dict):
            yield from (value for value in entries.values() if isinstance(value, Tensor))
