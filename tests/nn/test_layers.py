"""The three layers: dropout, their parameters, and how they are imported."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from eleatt_bench.nn.layers import EleAttGRU, EleAttLSTM, EleAttRNN

CELLS = {"rnn": EleAttRNN, "lstm": EleAttLSTM, "gru": EleAttGRU}
T, B, D, N = 7, 4, 5, 3


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("kind", CELLS)
def test_dropout_acts_between_layers_and_only_in_training(kind):
    torch.manual_seed(0)
    layer = CELLS[kind](D, N, 2, dropout=0.5)
    first, second = CELLS[kind](D, N), CELLS[kind](N, N)
    weights = layer.state_dict()
    for k, single in enumerate((first, second)):
        single.load_state_dict(
            {name: weights[name.replace("_l0", f"_l{k}")] for name in single.state_dict()}
        )
    x = torch.randn(T, B, D)
    for training in (True, False):
        layer.train(training)
        torch.manual_seed(1)
        output = layer(x)[0]
        torch.manual_seed(1)
        between = torch.nn.functional.dropout(first(x)[0], 0.5, training)
        assert torch.equal(output, second(between)[0])


@pytest.mark.parametrize(
    ("kind", "options", "per_direction"),
    [
        ("gru", {}, ["weight_ih", "weight_hh", "bias", "weight_ia", "weight_ha", "bias_a"]),
        (
            "gru",
            {"reset_after": True},
            ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_ia", "weight_ha", "bias_a"],
        ),
        ("lstm", {"bias": False}, ["weight_ih", "weight_hh", "weight_ia", "weight_ha"]),
        ("rnn", {"gate": None}, ["weight_ih", "weight_hh", "bias"]),
    ],
)
def test_parameters_are_named_and_ordered_as_torchs(kind, options, per_direction):
    layer = CELLS[kind](D, N, 2, bidirectional=True, **options)
    suffixes = ["_l0", "_l0_reverse", "_l1", "_l1_reverse"]
    assert list(dict(layer.named_parameters())) == [
        name + suffix for suffix in suffixes for name in per_direction
    ]
    assert list(layer.state_dict()) == list(dict(layer.named_parameters()))


def test_parameters_have_the_documented_shapes():
    layer = EleAttLSTM(D, N, 2, bidirectional=True)
    assert {name: tuple(p.shape) for name, p in layer.named_parameters() if "_l1" not in name} == {
        f"{name}{suffix}": shape
        for suffix in ("_l0", "_l0_reverse")
        for name, shape in {
            "weight_ih": (4 * N, D),
            "weight_hh": (4 * N, N),
            "bias": (4 * N,),
            "weight_ia": (D, D),
            "weight_ha": (D, N),
            "bias_a": (D,),
        }.items()
    }
    assert layer.weight_ih_l1_reverse.shape == (4 * N, 2 * N)
    assert layer.weight_ia_l1.shape == (2 * N, 2 * N)
    assert layer.weight_ha_l1.shape == (2 * N, N)


@pytest.mark.parametrize(("kind", "blocks"), [("rnn", 1), ("lstm", 4), ("gru", 3)])
@pytest.mark.parametrize("gated", [(), (0,), (1, 2), (0, 1, 2)])
def test_the_number_of_parameters_is_the_papers(kind, blocks, gated):
    layer = CELLS[kind](D, N, 3, gated_layers=gated)
    expected = 0
    for k in range(3):
        d = D if k == 0 else N
        expected += blocks * N * (d + N + 1) + (d * (d + N + 1) if k in gated else 0)
    assert sum(p.numel() for p in layer.parameters()) == expected


@pytest.mark.parametrize(
    ("layers", "units", "gate", "millions"),
    [
        (2, 100, None, "0.14"),
        (2, 128, None, "0.21"),
        (3, 100, None, "0.20"),
        (3, 128, None, "0.31"),
        (2, 100, "sigmoid", "0.20"),
        (3, 100, "sigmoid", "0.28"),
    ],
)
def test_the_networks_have_the_sizes_of_table_7(layers, units, gate, millions):
    modules = [EleAttGRU(150, units, layers, gate=gate), torch.nn.Linear(units, 60)]
    count = sum(p.numel() for module in modules for p in module.parameters())
    assert f"{count / 1e6:.2f}" == millions


def test_the_package_offers_the_layers_without_importing_torch_first():
    program = (
        "import sys, eleatt_bench; assert 'torch' not in sys.modules; "
        "from eleatt_bench import EleAttGRU, EleAttLSTM, EleAttRNN; "
        "from eleatt_bench.nn import layers; assert EleAttGRU is layers.EleAttGRU; "
        "heavy = {'pytorch_lightning', 'hydra', 'h5py'} & set(sys.modules); assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_package_has_no_other_attributes():
    import eleatt_bench

    with pytest.raises(AttributeError, match="no attribute 'EleAttTransformer'"):
        eleatt_bench.EleAttTransformer  # noqa: B018
