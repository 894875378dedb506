"""The equations of the paper, one time step each, in plain autograd.

Zhang et al., "Adding Attentiveness to the Neurons in Recurrent Neural Networks" (ECCV 2018):
equation 1 is the standard RNN, 2 the LSTM, 3 the GRU, 4 and 5 the element-wise attention gate,
6 and 7 the RNN and the GRU behind that gate.

Notation, the same in every function, for a batch of B sequences, input size D, hidden size N:

- ``h`` (B, N) is h_{t-1}.
- ``wx`` is the term W_x x_t + b of the equation: all that does not look at the state. Blocks that
  are stacked in one matrix (r, z, n or i, f, g, o) are stacked here as well. The caller computes
  it, because for some cells that is one product for all time steps. Behind a gate the x_t in it is
  the modulated x̃_t = a_t ⊙ x_t.
- ``w_h`` is the matrix that multiplies the state, **transposed** (N rows): a batch holds its
  states as rows, so W_h h is written h W_hᵀ. ``torch.addmm(wx, h, w_h)`` is wx + h @ w_h.
"""

from __future__ import annotations

import torch
from torch import Tensor

from eleatt_bench.nn.contract import Gate


def attention_gate(wx: Tensor, h: Tensor, w_h: Tensor, gate: Gate) -> Tensor:
    """Equation 4, the response of the gate: a_t = σ(W_xa x_t + W_ha h_{t-1} + b_a).

    ``"softmax"`` puts softmax over the D input elements in the place of σ: the responses of a
    frame then sum to one. Equation 5 is the caller's product: x̃_t = a_t ⊙ x_t.
    Shapes: ``wx`` (B, D), ``w_h`` (N, D), returns (B, D).
    """
    response = torch.addmm(wx, h, w_h)
    return torch.sigmoid(response) if gate == "sigmoid" else torch.softmax(response, dim=1)


def rnn_step(wx: Tensor, h: Tensor, w_h: Tensor) -> Tensor:
    """Equation 1 (6 behind a gate): h_t = tanh(W_xh x_t + W_hh h_{t-1} + b_h).

    Shapes: ``wx`` (B, N), ``w_h`` (N, N), returns (B, N).
    """
    return torch.tanh(torch.addmm(wx, h, w_h))


def lstm_step(wx: Tensor, h: Tensor, c: Tensor, w_h: Tensor) -> tuple[Tensor, Tensor]:
    """Equation 2, without peepholes, blocks in the order i, f, g, o.

    i, f, o = σ(W_x x_t + W_h h_{t-1} + b), each with its own W_x, W_h, b
    g = tanh(W_xc x_t + W_hc h_{t-1} + b_c)
    c_t = f ⊙ c_{t-1} + i ⊙ g
    h_t = o ⊙ tanh(c_t)

    Shapes: ``wx`` (B, 4N), ``c`` (B, N), ``w_h`` (N, 4N), returns (h_t, c_t).
    """
    i, f, g, o = torch.addmm(wx, h, w_h).chunk(4, dim=1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def gru_step(wx: Tensor, h: Tensor, w_rz: Tensor, w_n: Tensor) -> Tensor:
    """Equation 3 (7 behind a gate), blocks in the order r, z, n (n is the paper's h').

    r, z = σ(W_x x_t + W_h h_{t-1} + b), each with its own W_x, W_h, b
    n = tanh(W_xh x_t + W_hh (r ⊙ h_{t-1}) + b_h)
    h_t = z ⊙ h_{t-1} + (1 − z) ⊙ n

    The reset gate multiplies the state **before** the recurrent matrix.
    Shapes: ``wx`` (B, 3N), ``w_rz`` (N, 2N), ``w_n`` (N, N), returns (B, N).
    """
    hidden = h.shape[1]
    wx_rz, wx_n = torch.split(wx, [2 * hidden, hidden], dim=1)
    r, z = torch.sigmoid(torch.addmm(wx_rz, h, w_rz)).chunk(2, dim=1)
    n = torch.tanh(torch.addmm(wx_n, r * h, w_n))
    return _between(n, h, z)


def gru_step_reset_after(wx: Tensor, h: Tensor, w_h: Tensor, b_h: Tensor | None) -> Tensor:
    """The GRU of `torch.nn.GRU` and cuDNN, which is another function than the paper's.

    As `gru_step`, but the reset gate multiplies **after** the recurrent matrix, and so there is a
    second bias: n = tanh(W_xn x_t + b_xn + r ⊙ (W_hn h_{t-1} + b_hn)).
    Shapes: ``wx`` (B, 3N), ``w_h`` (N, 3N), ``b_h`` (3N,) or None, returns (B, N).
    """
    hidden = h.shape[1]
    wx_rz, wx_n = torch.split(wx, [2 * hidden, hidden], dim=1)
    wh = torch.mm(h, w_h) if b_h is None else torch.addmm(b_h, h, w_h)
    wh_rz, wh_n = torch.split(wh, [2 * hidden, hidden], dim=1)
    r, z = torch.sigmoid(wx_rz + wh_rz).chunk(2, dim=1)
    n = torch.tanh(wx_n + r * wh_n)
    return _between(n, h, z)


def _between(n: Tensor, h: Tensor, z: Tensor) -> Tensor:
    """z ⊙ h + (1 − z) ⊙ n, which torch knows as one operation."""
    # Under autocast n and z come out of matrix products in the lower precision; lerp wants one.
    return torch.lerp(n.to(h.dtype), h, z.to(h.dtype))
