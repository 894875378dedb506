"""Counts of parameters: the paper's check values, and the real networks."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from eleatt_bench.data.protocols import PROTOCOLS
from eleatt_bench.tables.parameters import count, parameters

MODEL: dict[str, Any] = {
    "cell": "gru", "gate": None, "gated_layers": None, "hidden_size": 100, "num_layers": 3,
    "bidirectional": False, "dropout": 0.5, "reset_after": False, "backend": "auto",
}  # fmt: skip


@pytest.mark.parametrize(
    ("gate", "layers", "hidden", "millions"),
    [
        (None, 2, 100, "0.14"),
        (None, 2, 128, "0.21"),
        (None, 3, 100, "0.20"),
        (None, 3, 128, "0.31"),
        ("sigmoid", 2, 100, "0.20"),
        ("sigmoid", 3, 100, "0.28"),
    ],
)
def test_the_papers_sizes(gate: str | None, layers: int, hidden: int, millions: str) -> None:
    model = {**MODEL, "gate": gate, "num_layers": layers, "hidden_size": hidden}
    assert f"{count(model, 150, 60) / 1e6:.2f}" == millions


def test_the_formula_counts_what_the_real_network_has() -> None:
    import torch

    from eleatt_bench.training.classifier import build_layers

    for cell, gated, layers, both, after in itertools.product(
        ("rnn", "lstm", "gru"), (None, [], [0], [1, 2], "all"), (3, 4), (False, True), (False, True)
    ):
        if after and cell != "gru":
            continue
        model = {
            **MODEL,
            "cell": cell,
            "gate": None if gated is None else "sigmoid",
            "gated_layers": None if gated in (None, "all") else gated,
            "num_layers": layers,
            "hidden_size": 7,
            "bidirectional": both,
            "reset_after": after,
        }
        with torch.device("meta"):
            recurrent = build_layers(model, 5)
            linear = torch.nn.Linear(14 if both else 7, 11)
        expected = sum(p.numel() for m in (recurrent, linear) for p in m.parameters())
        assert count(model, 5, 11) == expected, model


@pytest.mark.slow
def test_the_frames_and_classes_of_every_data_set(composer) -> None:
    for name, protocols in PROTOCOLS.items():
        experiment = "mnist_rows" if name == "mnist" else "ntu" if name == "ntu120" else name
        for protocol in protocols:
            said = [f"experiment={experiment}", f"data.name={name}", f"data.protocol={protocol}"]
            assert parameters(composer.config(said)) is not None


@pytest.mark.parametrize(
    ("overrides", "input_size", "classes"),
    [
        (["experiment=ntu"], 150, 60),
        (["experiment=ntu", "data=ntu120"], 150, 120),
        (["experiment=ntu", "data.transforms.streams=[joints,bones]"], 150 + 144, 60),
        (["experiment=nucla"], 60, 10),
        (["experiment=nucla", "data.transforms.streams=[bones,velocities]"], 57 + 60, 10),
        (["experiment=sysu"], 60, 12),
        (["experiment=dhg"], 66, 14),
        (["experiment=shrec17", "data.protocol=gestures_28"], 66, 28),
        (["experiment=digits"], 8, 10),
        (["experiment=mnist_rows"], 28, 10),
        (["experiment=psmnist"], 1, 10),
    ],
)
@pytest.mark.few(3)
def test_known_shapes(composer, overrides: list[str], input_size: int, classes: int) -> None:
    config = composer.config(overrides)
    assert parameters(config) == count(config["model"], input_size, classes)


def test_an_unknown_data_set_has_no_number() -> None:
    assert parameters({"data": {"name": "something"}, "model": MODEL}) is None
