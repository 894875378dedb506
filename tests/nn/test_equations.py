"""The layers against an independent transcription of the paper's equations 1 to 7, in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eleatt_bench.nn import equations
from eleatt_bench.nn.layers import EleAttGRU, EleAttLSTM, EleAttRNN

CELLS = {"rnn": EleAttRNN, "lstm": EleAttLSTM, "gru": EleAttGRU}
T, B, D, N = 6, 3, 5, 4


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


def paper(kind, gate, p, x, h, c):
    """One sequence x (T, D) from the state h, c (N,): outputs, responses and the last c."""
    wx, wh, b = (np.split(p[name], len(p["bias_l0"]) // N) for name in WEIGHTS)
    outputs, responses = [], []
    for x_t in x:
        if gate is not None:
            a = gate(p["weight_ia_l0"] @ x_t + p["weight_ha_l0"] @ h + p["bias_a_l0"])
            responses.append(a)
            x_t = a * x_t
        if kind == "rnn":
            h = np.tanh(wx[0] @ x_t + wh[0] @ h + b[0])
        elif kind == "lstm":
            i, f, g, o = (wx[k] @ x_t + wh[k] @ h + b[k] for k in range(4))
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        else:
            r, z = (sigmoid(wx[k] @ x_t + wh[k] @ h + b[k]) for k in range(2))
            h = z * h + (1 - z) * np.tanh(wx[2] @ x_t + wh[2] @ (r * h) + b[2])
        outputs.append(h)
    return np.array(outputs), np.array(responses), c


WEIGHTS = ("weight_ih_l0", "weight_hh_l0", "bias_l0")


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("gate", [None, "sigmoid", "softmax"])
def test_layers_compute_the_equations_of_the_paper(kind, gate):
    torch.manual_seed(1)
    layer = CELLS[kind](D, N, gate=gate, dtype=torch.float64)
    for parameter in layer.parameters():
        torch.nn.init.uniform_(parameter, -1, 1)
    x = torch.randn(T, B, D, dtype=torch.float64)
    h, c = torch.randn(2, 1, B, N, dtype=torch.float64)
    with torch.no_grad():
        output, state, (attention,) = layer(
            x, (h, c) if kind == "lstm" else h, return_attention=True
        )
    parameters = {name: p.detach().numpy() for name, p in layer.named_parameters()}
    function = {None: None, "sigmoid": sigmoid, "softmax": softmax}[gate]
    for n in range(B):
        outputs, responses, c_n = paper(
            kind, function, parameters, x[:, n].numpy(), h[0, n].numpy(), c[0, n].numpy()
        )
        np.testing.assert_allclose(output[:, n], outputs, rtol=0, atol=1e-13)
        if gate is None:
            assert attention is None
        else:
            np.testing.assert_allclose(attention[:, n], responses, rtol=0, atol=1e-13)
        if kind == "lstm":
            np.testing.assert_allclose(state[0][0, n], outputs[-1], rtol=0, atol=1e-13)
            np.testing.assert_allclose(state[1][0, n], c_n, rtol=0, atol=1e-13)
        else:
            np.testing.assert_allclose(state[0, n], outputs[-1], rtol=0, atol=1e-13)


@pytest.mark.parametrize("bias", [True, False])
def test_reset_after_is_the_gru_of_torch(bias):
    torch.manual_seed(2)
    witness = torch.nn.GRUCell(D, N, bias=bias, dtype=torch.float64)
    x, h = torch.randn(B, D, dtype=torch.float64), torch.randn(B, N, dtype=torch.float64)
    wx = torch.nn.functional.linear(x, witness.weight_ih, witness.bias_ih)
    h_1 = equations.gru_step_reset_after(wx, h, witness.weight_hh.t(), witness.bias_hh)
    torch.testing.assert_close(h_1, witness(x, h), rtol=0, atol=1e-14)


def test_the_paper_resets_before_the_recurrent_matrix():
    """The two GRUs are different functions, and agree where the reset gate is wide open."""
    torch.manual_seed(3)
    before = EleAttGRU(D, N, gate=None, dtype=torch.float64)
    after = EleAttGRU(D, N, gate=None, reset_after=True, dtype=torch.float64)
    with torch.no_grad():
        before.weight_hh_l0.normal_()
        after.load_state_dict(
            {
                "weight_ih_l0": before.weight_ih_l0,
                "weight_hh_l0": before.weight_hh_l0,
                "bias_ih_l0": before.bias_l0,
                "bias_hh_l0": torch.zeros(3 * N),
            }
        )
    x = torch.randn(T, B, D, dtype=torch.float64)
    assert (before(x)[0] - after(x)[0]).abs().max() > 1e-2
    with torch.no_grad():
        before.bias_l0[:N] = 50
        after.bias_ih_l0[:N] = 50
    torch.testing.assert_close(before(x)[0], after(x)[0], rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", CELLS)
def test_a_gate_forced_open_leaves_the_plain_cell(kind):
    torch.manual_seed(4)
    gated = CELLS[kind](D, N, 2, bidirectional=True, dtype=torch.float64)
    plain = CELLS[kind](D, N, 2, bidirectional=True, gate=None, dtype=torch.float64)
    plain.load_state_dict({name: gated.state_dict()[name] for name in plain.state_dict()})
    x = torch.randn(T, B, D, dtype=torch.float64)
    assert (gated(x)[0] - plain(x)[0]).abs().max() > 1e-2
    with torch.no_grad():
        for name, parameter in gated.named_parameters():
            if name.startswith("bias_a"):
                parameter.fill_(1e3)  # σ of it is exactly 1 in float64
    torch.testing.assert_close(gated(x)[0], plain(x)[0], rtol=0, atol=1e-14)
