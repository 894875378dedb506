"""How many parameters a network has, from its configuration alone: no torch, no data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eleatt_bench.runs.identity import gated_layers

_BLOCKS = {"rnn": 1, "lstm": 4, "gru": 3}  # gates and candidates, each with matrices and a bias


def parameters(config: Mapping[str, Any], width: int | None = None) -> int | None:
    """The number of trainable values; None for an unknown data set.

    ``config`` is a run's configuration or identity, as plain values. ``width`` is the number of
    values of a frame in the data set's store. Features need it as soon as there is a store: a
    backbone decided it. Before then they are taken to be those that the program's commands make.
    """
    from eleatt_bench.data import datasets  # slower than showing a table whose runs are done
    from eleatt_bench.data.layout import step_size
    from eleatt_bench.data.protocols import find

    data = config["data"]
    if data["name"] not in datasets.names():
        return None
    data_set = datasets.entry(data["name"])
    frame, classes = data_set.frame, find(data_set.name, data["protocol"]).classes
    if data_set.of_videos and data.get("digest") is not None:
        if width is None:
            return None
        frame = width
    size = frame if isinstance(frame, int) else step_size(frame, data["transforms"]["streams"])
    if data["sequence"] != "frames":
        size = 1
    return count(config["model"], size, classes or data_set.classes)


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
