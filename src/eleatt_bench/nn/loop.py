"""The backend ``equations``: a loop over time around the equations, left to autograd.

Slow and obviously right: every other backend is measured against this one.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from eleatt_bench.nn.contract import Cell, State, Weights
from eleatt_bench.nn.equations import (
    attention_gate,
    gru_step,
    gru_step_reset_after,
    lstm_step,
    rnn_step,
)
from eleatt_bench.nn.packing import valid_frames


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
    """Run one layer in one direction; see `eleatt_bench.nn.contract.Run`."""
    steps = input.shape[0]
    step = _stepper(cell, weights)
    project = _projector(cell, weights, input)
    valid = None if lengths is None else valid_frames(lengths, steps, input.device)
    per_step = None if valid is None else valid.unbind(0)
    # Up to the end of the shortest sequence no state has to be held back.
    shortest = steps if lengths is None else int(lengths.min())

    outputs: list[Tensor] = []
    responses: list[Tensor] = []
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
            responses.append(a)
    if reverse:
        outputs.reverse()
        responses.reverse()
    attention = _stack(responses, valid) if responses else None
    return _stack(outputs, valid), state, attention


def _stepper(cell: Cell, weights: Weights) -> Callable[[Tensor, State], State]:
    """The step of the cell, its recurrent matrix transposed (and split) once per sequence."""
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
