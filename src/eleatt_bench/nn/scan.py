"""The backend ``scan``: the equations with a handwritten backward pass over the whole sequence.

The same function as `eleatt_bench.nn.equations`, in plain torch operations on any device, with
three differences:

- autograd records one operation per layer and direction instead of some twenty per time step;
- what is not sequential is one matrix product over all steps: the input's part of the gates, or of
  the attention gate, before the loop, and every weight gradient after it;
- sequences are sorted by length, and a step works only on those that are not finished.

For backward it keeps, per layer and direction, the gates (T, B, kN), the states (T+1, B, N), the
attention (T, B, D) behind an attention gate, and (T, B, N) more with ``reset_after``. Without
gradients it keeps only the states and the product before the loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from eleatt_bench.nn.autograd import by_hand, differentiable_once
from eleatt_bench.nn.contract import Cell, State, Weights
from eleatt_bench.nn.scan_cells import CellScan, Step, cell_scan, outer


@by_hand("scan")
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
    order = None if lengths is None else torch.argsort(lengths, descending=True, stable=True)
    active: tuple[int, ...] | None = None
    if lengths is not None and order is not None:
        lengths = lengths[order]
        steps = torch.arange(input.shape[0], device="cpu")
        active = tuple((lengths > steps[:, None]).sum(1).tolist())
        order = order.to(input.device)
        input = input.index_select(1, order)  # noqa: A001
        state = tuple(s.index_select(0, order) for s in state)
    if reverse:
        input = _flip(input, lengths)  # noqa: A001
    h_0, c_0 = (*state, None)[:2]
    tensors = (input, h_0, c_0, *weights)
    keep = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in tensors)
    with torch.autocast(input.device.type, enabled=False):  # one precision, that of the state
        outputs, a, h, c = _Scan.apply(cell, active, keep, *tensors)  # type: ignore[no-untyped-call]
    final = [s for s in (h, c) if s is not None]
    attention = a if return_attention else None
    if reverse:
        outputs = _flip(outputs, lengths)
        attention = None if attention is None else _flip(attention, lengths)
    if order is not None:
        back = torch.argsort(order)
        outputs = outputs.index_select(1, back)
        attention = None if attention is None else attention.index_select(1, back)
        final = [s.index_select(0, back) for s in final]
    return outputs, tuple(final), attention


def _flip(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Every sequence of ``x`` (T, B, ·) back to front, the padding where it was."""
    if lengths is None:
        return x.flip(0)
    t = torch.arange(len(x), device="cpu").unsqueeze(1)
    index = torch.where(t < lengths, lengths - 1 - t, t).to(x.device)
    return x.gather(0, index.unsqueeze(2).expand_as(x))


class _Scan(torch.autograd.Function):
    """(input, states, weights) → outputs, attention, final states.

    The first ``active[t]`` sequences of the sorted batch have a frame t; None: all of them.
    ``keep`` says that there will be a backward pass.
    """

    @staticmethod
    def forward(
        ctx: Any,
        cell: Cell,
        active: tuple[int, ...] | None,
        keep: bool,
        x: Tensor,
        h_0: Tensor,
        c_0: Tensor | None,
        *parameters: Tensor | None,
    ) -> tuple[Tensor | None, ...]:
        weights = Weights(*parameters)  # type: ignore[arg-type]
        T, B, _ = x.shape
        scan = cell_scan(cell, weights, T, B, keep)
        states = [_states(s, T, active) for s in (h_0, c_0) if s is not None]
        gates, a = project(cell, weights, x, keep, active)
        for t in range(T):
            n = active[t] if active else B
            step = _step(t, n, _rows(gates, min(t, len(gates) - 1), n), states)
            if a is not None:
                attend(cell, weights, _rows(a, t, n), _rows(x, t, n), step)
                if n < B:
                    a[t, n:] = 0
            scan.forward(step)
        ctx.set_materialize_grads(False)
        if keep:
            ctx.save_for_backward(x, h_0, c_0, gates, a, scan.hn, *states, *parameters)
            scan.hn = None  # from here on autograd keeps, moves and frees it
            ctx.cell, ctx.active = cell, active
        final = [_final(s, active) for s in states]
        # Detached, because results that are views made here could not be changed in place.
        outputs, a = states[0][1:].detach(), None if a is None else a.detach()
        return outputs, a, final[0], final[1] if len(final) > 1 else None

    @staticmethod
    @differentiable_once("scan")
    def backward(
        ctx: Any,
        saved: tuple[Any, ...],
        d_outputs: Tensor | None,
        d_a: Tensor | None,
        d_h: Tensor | None,
        d_c: Tensor | None,
    ) -> tuple[Tensor | None, ...]:
        x, gates, a, hn, *rest = (saved[0], *saved[3:])
        weights = Weights(*rest[-len(Weights._fields) :])
        T, B, _ = x.shape
        # With the weights as they were: those of forward may have been changed in place since.
        scan = cell_scan(ctx.cell, weights, 0, 0, keep=False)
        scan.hn, states = hn, rest[: -len(Weights._fields)]
        # Nothing is written beyond a sequence's end: zeros there let products run over all steps.
        empty = torch.zeros_like if ctx.active else torch.empty_like
        d_gates = empty(gates)
        d_states = [_gradient(d, states[0][0]) for d in (d_h, d_c)[: scan.states]]
        d_x, d_pre = (None, None) if a is None else (empty(x), empty(x))
        for t in reversed(range(T)):
            n = ctx.active[t] if ctx.active else B
            d_state = [d[:n] for d in d_states] if n < B else d_states
            if d_outputs is not None:
                d_state[0].add_(_rows(d_outputs, t, n))
            d_gate = _rows(d_gates, t, n)
            scan.backward(_step(t, n, _rows(gates, t, n), states), d_gate, d_state)
            if d_x is not None and d_pre is not None and weights.weight_ha is not None:
                d_x_t, d_pre_t = _rows(d_x, t, n), _rows(d_pre, t, n)
                torch.mm(d_gate, weights.weight_ih, out=d_x_t)
                torch.mul(d_x_t, _rows(x, t, n), out=d_pre_t)
                if d_a is not None:
                    d_pre_t.add_(_rows(d_a, t, n))
                _attend_backward(ctx.cell, _rows(a, t, n), d_pre_t)
                d_state[0].addmm_(d_pre_t, weights.weight_ha)
        gradients = weight_gradients(scan, weights, x, a, gates, d_gates, d_pre, states[0][:-1])
        if not ctx.needs_input_grad[3]:
            d_x = None
        elif d_x is None or d_pre is None or weights.weight_ia is None:
            d_x = d_gates @ weights.weight_ih
        else:
            d_x = d_x.mul_(a).add_(d_pre @ weights.weight_ia)
        return (
            None,
            None,
            None,
            d_x,
            d_states[0],
            d_states[1] if len(d_states) > 1 else None,
            *gradients,
        )


def _rows(buffer: Tensor, t: int, n: int) -> Tensor:
    """The first ``n`` sequences of step ``t``; if that is all of them, one view less is made."""
    return buffer[t] if n == buffer.shape[1] else buffer[t, :n]


def _step(t: int, n: int, gate: Tensor, states: Sequence[Tensor]) -> Step:
    before, after = [_rows(s, t, n) for s in states], [_rows(s, t + 1, n) for s in states]
    return Step(t, gate, before, after)


def _states(first: Tensor, steps: int, active: tuple[int, ...] | None) -> Tensor:
    """A buffer (T+1, B, N) for states, beginning with ``first``; zero beyond a sequence's end."""
    size = (steps + 1, *first.shape)
    states = first.new_zeros(size) if active else first.new_empty(size)
    states[0] = first
    return states


def _final(states: Tensor, active: tuple[int, ...] | None) -> Tensor:
    """The state (B, N) of every sequence after its last frame."""
    if active is None:
        return states[-1].clone()
    B = states.shape[1]
    counts = torch.tensor(active, device="cpu").unsqueeze(1)
    ends = (counts > torch.arange(B, device="cpu")).sum(0).to(states.device)
    return states.gather(0, ends.view(1, B, 1).expand(1, *states.shape[1:])).squeeze(0)


def _gradient(given: Tensor | None, like: Tensor) -> Tensor:
    """The gradient of a final state, zero if none is ``given``, in a buffer of its own."""
    return torch.zeros_like(like) if given is None else given.clone()


def project(
    cell: Cell, weights: Weights, x: Tensor, keep: bool, active: tuple[int, ...] | None
) -> tuple[Tensor, Tensor | None]:
    """The part that does not depend on the state, for all steps: (gates, attention or None).

    Without an attention gate it is W_x x_t + b in the gates. Behind one it is W_xa x_t + b_a in the
    attention, and the gates are a buffer (T, B, kN) to be filled step by step. The buffer has one
    step only if nothing has to be kept.
    """
    if cell.gate is None:
        return F.linear(x, weights.weight_ih, weights.bias), None
    assert weights.weight_ia is not None  # a cell with a gate has its weights
    T, B, _ = x.shape
    size = (T if keep else min(T, 1), B, len(weights.weight_ih))
    # Finite beyond a sequence's end, because products over all steps multiply it by zero there.
    gates = x.new_zeros(size) if active else x.new_empty(size)
    return gates, F.linear(x, weights.weight_ia, weights.bias_a)


def attend(cell: Cell, weights: Weights, a: Tensor, x: Tensor, step: Step) -> None:
    """Equations 4 and 5, in place: ``a``, W_xa x_t + b_a, becomes a_t; gates become W_x x̃_t + b."""
    assert weights.weight_ha is not None
    a.addmm_(step.before[0], weights.weight_ha.t())
    if cell.gate == "sigmoid":
        a.sigmoid_()
    else:
        a.copy_(a.softmax(1))
    if weights.bias is None:
        torch.mm(a * x, weights.weight_ih.t(), out=step.gate)
    else:
        torch.addmm(weights.bias, a * x, weights.weight_ih.t(), out=step.gate)


def _attend_backward(cell: Cell, a: Tensor, d: Tensor) -> None:
    """Turn ``d``, the gradient of the attention ``a``, into that of the input of σ or softmax."""
    if cell.gate == "sigmoid":
        torch.ops.aten.sigmoid_backward.grad_input(d, a, grad_input=d)
    else:
        d.mul_(a)
        d.addcmul_(a, d.sum(1, keepdim=True), value=-1)


def weight_gradients(
    scan: CellScan,
    weights: Weights,
    x: Tensor,
    a: Tensor | None,
    gates: Tensor,
    d_gates: Tensor,
    d_pre: Tensor | None,
    h: Tensor,
) -> Weights:
    """The gradient of every parameter, each one product over all steps."""
    weight_hh, bias_hh = scan.weight_gradients(gates, d_gates, h)
    bias = None if weights.bias is None else d_gates.sum((0, 1))
    if a is None or d_pre is None:
        return Weights(outer(d_gates, x), weight_hh, bias, bias_hh)
    return Weights(
        outer(d_gates, a * x),
        weight_hh,
        bias,
        bias_hh,
        outer(d_pre, x),
        outer(d_pre, h),
        d_pre.sum((0, 1)) if weights.bias_a is not None else None,
    )
