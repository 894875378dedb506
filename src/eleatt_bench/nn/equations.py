"""The equations of the paper in plain autograd: slow and obviously right.

First comes one time step of each cell, then the loop over time, which is the backend ``equations``.

Zhang et al., "Adding Attentiveness to the Neurons in Recurrent Neural Networks" (ECCV 2018):
equation 1 is the standard RNN, 2 the LSTM, 3 the GRU, 4 and 5 the element-wise attention gate,
6 and 7 the RNN and the GRU behind that gate.

Notation, the same in every function, for a batch of B sequences, input size D, hidden size N:

- ``h`` (B, N) is h_{t-1}.
- ``wx`` is the term W_x x_t + b of the equation: everything except the product with the state. Its
  blocks (r, z, n or i, f, g, o) are stacked as in the matrix. The caller computes ``wx``, because
  without an attention gate it is one product for all time steps. Behind a gate x_t is the modulated
  x̃_t = a_t ⊙ x_t.
- ``w_h`` is the matrix that multiplies the state, **transposed** (N rows): a batch holds its
  states as rows, so W_h h is written h W_hᵀ. ``torch.addmm(wx, h, w_h)`` is wx + h @ w_h.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from eleatt_bench.nn.contract import Cell, Gate, State, Weights
from eleatt_bench.nn.observers import recorded
from eleatt_bench.nn.packing import valid_frames


def attention_gate(wx: Tensor, h: Tensor, w_h: Tensor, gate: Gate) -> Tensor:
    """Equation 4, the attention: a_t = σ(W_xa x_t + W_ha h_{t-1} + b_a).

    ``"softmax"`` puts softmax over the D input elements in the place of σ: the attention of a
    frame then sums to one. Equation 5 is the caller's product: x̃_t = a_t ⊙ x_t.
    Shapes: ``wx`` (B, D), ``w_h`` (N, D), returns (B, D).
    """
    total = torch.addmm(wx, h, w_h)
    return torch.sigmoid(total) if gate == "sigmoid" else torch.softmax(total, dim=1)


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
    # Under autocast n and z have the lower precision of the products; lerp needs one dtype.
    return torch.lerp(n.to(h.dtype), h, z.to(h.dtype))


def run(
    cell: Cell,
    weights: Weights,
    input: Tensor,  # noqa: A002  (torch's name for it)
    lengths: Tensor | None,
    state: State,
    *,
    reverse: bool,
    return_attention: bool,
) -> tuple[Tensor, State, Tensor | None]:
    """Run one layer in one direction; see `eleatt_bench.nn.contract.RunLayer`."""
    steps = input.shape[0]
    step = _stepper(cell, weights)
    project = _projector(cell, weights, input)
    valid = None if lengths is None else valid_frames(lengths, steps, input.device)
    per_step = None if valid is None else valid.unbind(0)
    # Up to the end of the shortest sequence no state has to be held back.
    shortest = steps
    if lengths is not None:
        shortest = 0 if recorded(lengths) else int(lengths.min())

    outputs: list[Tensor] = []
    attention: list[Tensor] = []
    for t in reversed(range(steps)) if reverse else range(steps):
        wx, a = project(t, state[0])
        after = step(wx, state)
        if per_step is not None and t >= shortest:
            # Outside its own frames a sequence keeps its state: going forward that is its final
            # state, going backward the initial one, still waiting for the last valid frame.
            after = tuple(
                torch.where(per_step[t], new, old) for new, old in zip(after, state, strict=True)
            )
        state = after
        outputs.append(state[0])
        if return_attention and a is not None:
            attention.append(a)
    if reverse:
        outputs.reverse()
        attention.reverse()
    return _stack(outputs, valid), state, _stack(attention, valid) if attention else None


def _stepper(cell: Cell, weights: Weights) -> Callable[[Tensor, State], State]:
    """The step of the cell, with the recurrent matrix transposed (and split) once for all steps."""
    w_h = weights.weight_hh.t()
    if cell.kind == "rnn":
        return lambda wx, state: (rnn_step(wx, state[0], w_h).to(state[0].dtype),)
    if cell.kind == "lstm":
        return lambda wx, state: lstm_step(wx, state[0], state[1], w_h)
    if cell.reset_after:
        return lambda wx, state: (gru_step_reset_after(wx, state[0], w_h, weights.bias_hh),)
    hidden = w_h.shape[0]
    w_rz, w_n = torch.split(w_h, [2 * hidden, hidden], dim=1)
    return lambda wx, state: (gru_step(wx, state[0], w_rz, w_n),)


def _projector(
    cell: Cell,
    weights: Weights,
    input: Tensor,  # noqa: A002
) -> Callable[[int, Tensor], tuple[Tensor, Tensor | None]]:
    """The function (t, h_{t-1}) → (W_x x̃_t + b, a_t) of the cell.

    What does not depend on the state is one product for all time steps: W_x x_t + b without a
    gate, W_xa x_t + b_a with one.
    """
    if cell.gate is None:
        projected = F.linear(input, weights.weight_ih, weights.bias).unbind(0)
        return lambda t, h: (projected[t], None)

    assert weights.weight_ia is not None
    assert weights.weight_ha is not None
    gate, w_ha = cell.gate, weights.weight_ha.t()
    projected = F.linear(input, weights.weight_ia, weights.bias_a).unbind(0)
    frames = input.unbind(0)

    def gated(t: int, h: Tensor) -> tuple[Tensor, Tensor]:
        a = attention_gate(projected[t], h, w_ha, gate)
        return F.linear(a * frames[t], weights.weight_ih, weights.bias), a

    return gated


def _stack(frames: list[Tensor], valid: Tensor | None) -> Tensor:
    """The time steps as one tensor, zero in the padding."""
    stacked = torch.stack(frames)
    return stacked if valid is None else stacked.masked_fill(~valid, 0)
