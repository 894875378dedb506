"""Initial values: limits, orthogonality, biases, and what is refused."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.utils import parametrizations, prune

from eleatt_bench.nn.contract import BLOCKS, KEEPERS, Kind
from eleatt_bench.nn.layers import EleAttGRU, EleAttLSTM, EleAttRNN
from eleatt_bench.nn.stack import Stack

CELLS = {"rnn": (EleAttRNN, 1), "lstm": (EleAttLSTM, 4), "gru": (EleAttGRU, 3)}
D, N = 50, 40


def assert_uniform(weight, limit):
    """Within ±limit and of the variance limit²/3, four standard errors of the estimate wide."""
    assert weight.abs().max() <= limit
    assert weight.abs().max() > 0.98 * limit
    spread = 4 * math.sqrt(4 / 45 / weight.numel())
    assert weight.square().mean() / limit**2 == pytest.approx(1 / 3, abs=spread)


@pytest.mark.parametrize("kind", CELLS)
def test_defaults_are_those_of_the_authors(kind):
    torch.manual_seed(0)
    cell, k = CELLS[kind]
    layer = cell(D, N, 2, bidirectional=True, dtype=torch.float64)
    for name, parameter in layer.state_dict().items():
        width = D if "_l0" in name else 2 * N
        if name.startswith("weight_ih"):
            assert_uniform(parameter, math.sqrt(6 / (width + k * N)))
        elif name.startswith("weight_hh"):
            unit = torch.eye(N, dtype=torch.float64)
            torch.testing.assert_close(parameter.T @ parameter, 1e-6 * unit, rtol=0, atol=1e-18)
        elif name.startswith("weight_ia"):
            assert_uniform(parameter, math.sqrt(6 / (width + width)))
        elif name.startswith("weight_ha"):
            assert_uniform(parameter, math.sqrt(6 / (width + N)))
        elif kind == "lstm" and not name.startswith("bias_a"):
            assert parameter.chunk(4)[1].eq(1).all()
            assert torch.cat(parameter.chunk(4)[::2]).eq(0).all()
            assert parameter.chunk(4)[3].eq(0).all()
        else:
            assert parameter.eq(0).all()


@pytest.mark.parametrize("kind", CELLS)
def test_gain_and_forget_bias(kind):
    cell, _ = CELLS[kind]
    layer = cell(D, N, dtype=torch.float64)
    layer.reset_parameters(recurrent_gain=2.0, forget_bias=3.0)
    weight = layer.weight_hh_l0
    torch.testing.assert_close(weight.T @ weight, 4 * torch.eye(N, dtype=torch.float64))
    expected = torch.zeros(len(layer.bias_l0), dtype=torch.float64)
    if kind == "lstm":
        expected[N : 2 * N] = 3
    assert torch.equal(layer.bias_l0, expected)


@pytest.mark.parametrize("reset_after", [False, True])
def test_chrono_gru_keeps_its_state_for_up_to_the_given_steps(reset_after):
    torch.manual_seed(0)
    layer = EleAttGRU(4, 500, 2, reset_after=reset_after)
    layer.reset_parameters(chrono_steps=100)
    for k in range(2):
        bias = getattr(layer, f"bias_ih_l{k}" if reset_after else f"bias_l{k}")
        r, z, n = bias.detach().chunk(3)
        assert r.eq(0).all()
        assert n.eq(0).all()
        steps = z.exp()
        assert 1 <= steps.min() < 2
        assert 98 < steps.max() <= 99.001
        assert steps.mean() == pytest.approx(50, abs=4 * 98 / math.sqrt(12 * 500))
        if reset_after:
            assert getattr(layer, f"bias_hh_l{k}").eq(0).all()
        assert getattr(layer, f"bias_a_l{k}").eq(0).all()


def test_chrono_lstm_couples_the_input_gate_and_forgets_the_forget_bias():
    torch.manual_seed(0)
    layer = EleAttLSTM(4, 500)
    layer.reset_parameters(forget_bias=7.0, chrono_steps=100)
    i, f, g, o = layer.bias_l0.detach().chunk(4)
    assert torch.equal(i, -f)
    assert 1 <= f.exp().min() < 2
    assert 98 < f.exp().max() <= 99.001
    assert torch.cat([g, o]).eq(0).all()


class Minimal(Stack):
    """A cell with one gate, f, which writes: h_t = (1 − f) ⊙ h_{t-1} + f ⊙ n."""

    kind: Kind = "minimal"  # type: ignore[assignment]


def test_the_sign_is_that_of_the_gate_and_a_cell_that_names_no_gate_gets_no_bias(monkeypatch):
    monkeypatch.setitem(BLOCKS, "minimal", ("f", "n"))
    layer = Minimal(4, 500)
    with pytest.raises(ValueError, match="'minimal' has none"):
        layer.reset_parameters(chrono_steps=100)
    monkeypatch.setitem(KEEPERS, "minimal", {"f": -1})
    layer.reset_parameters(chrono_steps=100)
    f, n = layer.bias_l0.detach().chunk(2)
    assert 1 <= (-f).exp().min() < 2
    assert 98 < (-f).exp().max() <= 99.001
    assert n.eq(0).all()


def test_every_gate_that_keeps_a_state_is_a_block_of_its_cell():
    for kind, gates in KEEPERS.items():
        assert gates.keys() <= set(BLOCKS[kind])


@pytest.mark.parametrize(
    ("layer", "steps", "message"),
    [
        (EleAttRNN(4, 3), 100, "'rnn' has none"),
        (EleAttGRU(4, 3, bias=False), 100, "made with bias=False"),
        (EleAttGRU(4, 3), 1.5, "chrono_steps must be at least 2, .* got 1.5"),
        (EleAttLSTM(4, 3), float("nan"), "chrono_steps must be at least 2"),
    ],
)
def test_impossible_chrono_is_refused_before_anything_is_drawn(layer, steps, message):
    before = {name: p.clone() for name, p in layer.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        layer.reset_parameters(chrono_steps=steps)
    assert all(torch.equal(p, before[name]) for name, p in layer.state_dict().items())


@pytest.mark.parametrize("kind", CELLS)
def test_the_seed_decides_and_the_gate_does_not_change_the_cell(kind):
    cell, _ = CELLS[kind]
    layers = []
    for gate in ("sigmoid", "sigmoid", None):
        torch.manual_seed(5)
        layers.append(cell(D, N, 2, bidirectional=True, gate=gate).state_dict())
    gated, again, plain = layers
    assert all(torch.equal(gated[name], again[name]) for name in gated)
    assert all(torch.equal(gated[name], plain[name]) for name in plain)
    torch.manual_seed(6)
    other = cell(D, N, 2, bidirectional=True).state_dict()
    assert not torch.equal(other["weight_ih_l1"], gated["weight_ih_l1"])


def test_half_precision_weights_are_orthogonal_to_their_own_rounding():
    layer = EleAttGRU(4, 8, dtype=torch.bfloat16)
    layer.reset_parameters(recurrent_gain=1.0)
    weight = layer.weight_hh_l0.float()
    torch.testing.assert_close(weight.T @ weight, torch.eye(8), rtol=0, atol=0.03)


@pytest.mark.parametrize(
    "computed",
    [
        parametrizations.weight_norm,
        parametrizations.spectral_norm,
        lambda layer, name: prune.l1_unstructured(layer, name, amount=0.5),
    ],
)
def test_what_is_computed_from_others_is_not_silently_left_as_it_was(computed):
    layer = EleAttGRU(4, 3, 2)
    computed(layer, "weight_hh_l1")
    before = {name: p.clone() for name, p in layer.state_dict().items()}
    with pytest.raises(
        ValueError, match=r"weight_hh_l1 cannot be drawn anew, .* make it permanent"
    ):
        layer.reset_parameters()
    assert all(torch.equal(p, before[name]) for name, p in layer.state_dict().items())
