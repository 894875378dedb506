"""How many parameters a network has, from its configuration alone: no torch, no data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eleatt_bench.data.layout import step_size
from eleatt_bench.data.sources import hand, ntu, nucla, sysu
from eleatt_bench.runs.identity import gated_layers

_BLOCKS = {"rnn": 1, "lstm": 4, "gru": 3}  # gates and candidates, each with matrices and a bias

_RESNET_50 = 2048  # values of a frame's feature; another backbone's store has others

_SHAPES: dict[str, tuple[int | dict[str, Any], int]] = {
    "digits": (8, 10),
    "mnist": (28, 10),
    "nucla": (nucla.LAYOUT, len(nucla.CLASSES)),
    "ntu": (ntu.LAYOUT, ntu.NTU.actions),
    "ntu120": (ntu.LAYOUT, ntu.NTU_120.actions),
    "ntu_v1": (nucla.LAYOUT, ntu.NTU.actions),
    "ntu_rgb": (_RESNET_50, ntu.NTU.actions),
    "jhmdb": (_RESNET_50, 21),
    "sysu": (sysu.LAYOUT, len(sysu.CLASSES)),
    "shrec17": (hand.LAYOUT, len(hand.GESTURES)),
    "dhg": (hand.LAYOUT, len(hand.GESTURES)),
}
"""Of each data set: the layout of its skeletons, or else the values of a frame; its classes."""


def parameters(config: Mapping[str, Any]) -> int | None:
    """The number of trainable values; None for a data set whose frames are not known.

    ``config`` is a run's configuration or identity, as plain values.
    """
    data = config["data"]
    if data["name"] not in _SHAPES:
        return None
    frame, classes = _SHAPES[data["name"]]
    size = frame if isinstance(frame, int) else step_size(frame, data["transforms"]["streams"])
    if data["sequence"] != "frames":
        size = 1
    if data["protocol"] == "gestures_28":
        classes = len(hand.classes_28(hand.GESTURES))
    return count(config["model"], size, classes)


def count(model: Mapping[str, Any], input_size: int, classes: int) -> int:
    """The number of trainable values of the ``model`` section's network.

    A layer of N units on D inputs has k blocks of N (D + N + 1); where it is gated, the gate adds
    D (D + N + 1). With ``reset_after`` a GRU has a second bias for each of its blocks.
    """
    hidden, directions = int(model["hidden_size"]), 2 if model["bidirectional"] else 1
    gated = gated_layers(model)
    total = (directions * hidden + 1) * classes
    for layer in range(model["num_layers"]):
        size = input_size if layer == 0 else directions * hidden
        biases = 2 if model["reset_after"] else 1
        each = _BLOCKS[model["cell"]] * hidden * (size + hidden + biases)
        each += size * (size + hidden + 1) if layer in gated else 0
        total += directions * each
    return total
