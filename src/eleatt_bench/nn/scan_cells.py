"""One step of each cell, forward and backward, written into buffers that are there already.

`eleatt_bench.nn.scan` holds the loop over time. Every array is laid out (T, B, ·); a step works on
its first n rows, the sequences that are still active. Derivatives are written by hand, from the
equations in `eleatt_bench.nn.equations`. Names are as there; ``d…`` is the gradient of the loss by
the rest of the name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from eleatt_bench.nn.contract import Cell, Weights

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input


class Step(NamedTuple):
    """Views of step t, for the n sequences that are active in it."""

    t: int
    gate: Tensor  # (n, kN)
    before: Sequence[Tensor]  # the states before it, (n, N) each
    after: Sequence[Tensor]  # and after it


class WeightGradients(NamedTuple):
    """Gradients of the parameters of the recurrent product."""

    weight_hh: Tensor
    bias_hh: Tensor | None


class CellScan(Protocol):
    """What the loop needs of a cell.

    ``gates`` (T, B, kN) arrives holding W_x x_t + b; `forward` turns it into what `backward`
    needs, and `backward` overwrites ``dgates`` with the gradient of W_x x_t + b.
    """

    states: int  # how many tensors a state has
    hn: Tensor | None  # (T, B, N): what `backward` needs beyond the gates and the states

    def forward(self, step: Step) -> None:
        """Compute ``after`` from ``before`` and ``gate``, which becomes what `backward` needs."""

    def backward(self, step: Step, dgate: Tensor, dstate: Sequence[Tensor]) -> None:
        """Fill ``dgate``; turn ``dstate`` from the gradient of ``after`` to that of ``before``."""

    def weight_gradients(self, gates: Tensor, dgates: Tensor, h: Tensor) -> WeightGradients:
        """The gradients over all steps at once; ``h`` (T, B, N) are the states before each step."""


def cell_scan(cell: Cell, weights: Weights, steps: int, batch: int, keep: bool) -> CellScan:
    """The steps of ``cell``; ``keep`` says that `backward` will be called."""
    if cell.kind == "rnn":
        return RNNScan(weights)
    if cell.kind == "lstm":
        return LSTMScan(weights)
    if cell.reset_after:
        return ResetAfterGRUScan(weights, steps if keep else 1, batch)
    return GRUScan(weights)


def outer(d: Tensor, x: Tensor) -> Tensor:
    """Σ d xᵀ over steps and sequences, for ``d`` (T, B, M) and ``x`` (T, B, D): (M, D)."""
    return d.flatten(0, 1).t() @ x.flatten(0, 1)


class RNNScan:
    """h_t = tanh(W_x x_t + b + W_h h_{t-1})."""

    states = 1
    hn: Tensor | None = None

    def __init__(self, weights: Weights) -> None:
        self.w, self.w_t = weights.weight_hh, weights.weight_hh.t()

    def forward(self, step: Step) -> None:
        torch.tanh(step.gate.addmm_(step.before[0], self.w_t), out=step.after[0])

    def backward(self, step: Step, dgate: Tensor, dstate: Sequence[Tensor]) -> None:
        (dh,) = dstate
        _tanh_backward(dh, step.after[0], grad_input=dgate)
        torch.mm(dgate, self.w, out=dh)

    def weight_gradients(self, gates: Tensor, dgates: Tensor, h: Tensor) -> WeightGradients:
        return WeightGradients(outer(dgates, h), None)


class LSTMScan:
    """i, f, g, o from W_x x_t + b + W_h h; c' = f ⊙ c + i ⊙ g; h' = o ⊙ tanh c'."""

    states = 2
    hn: Tensor | None = None

    def __init__(self, weights: Weights) -> None:
        self.w, self.w_t = weights.weight_hh, weights.weight_hh.t()

    def forward(self, step: Step) -> None:
        gate = step.gate.addmm_(step.before[0], self.w_t)
        N = gate.shape[1] // 4
        gate[:, : 2 * N].sigmoid_()
        i, f, g, o = gate.chunk(4, dim=1)
        g.tanh_()
        o.sigmoid_()
        h, c = step.after
        torch.mul(f, step.before[1], out=c).addcmul_(i, g)
        torch.tanh(c, out=h).mul_(o)

    def backward(self, step: Step, dgate: Tensor, dstate: Sequence[Tensor]) -> None:
        i, f, g, o = step.gate.chunk(4, dim=1)
        di, df, dg, do = dgate.chunk(4, dim=1)
        dh, dc = dstate
        tanh_c = torch.tanh(step.after[1])
        _sigmoid_backward(dh * tanh_c, o, grad_input=do)
        dc += torch.ops.aten.tanh_backward(dh * o, tanh_c)
        _sigmoid_backward(dc * g, i, grad_input=di)
        _sigmoid_backward(dc * step.before[1], f, grad_input=df)
        _tanh_backward(dc * i, g, grad_input=dg)
        dc *= f
        torch.mm(dgate, self.w, out=dh)

    def weight_gradients(self, gates: Tensor, dgates: Tensor, h: Tensor) -> WeightGradients:
        return WeightGradients(outer(dgates, h), None)


class GRUScan:
    """r, z from W_x x_t + b + W_h h; n = tanh(W_x x_t + b + W_h (r ⊙ h)); h' = n + z ⊙ (h − n)."""

    states = 1
    hn: Tensor | None = None

    def __init__(self, weights: Weights) -> None:
        self.N = weights.weight_hh.shape[1]
        self.w_rz, self.w_n = weights.weight_hh[: 2 * self.N], weights.weight_hh[2 * self.N :]
        self.w_rz_t, self.w_n_t = self.w_rz.t(), self.w_n.t()

    def forward(self, step: Step) -> None:
        gate, (h,), N = step.gate, step.before, self.N
        gate[:, : 2 * N].addmm_(h, self.w_rz_t).sigmoid_()
        n = gate[:, 2 * N :]
        n.addmm_(gate[:, :N] * h, self.w_n_t).tanh_()
        torch.lerp(n, h, gate[:, N : 2 * N], out=step.after[0])

    def backward(self, step: Step, dgate: Tensor, dstate: Sequence[Tensor]) -> None:
        (h,), (dh,) = step.before, dstate
        r, z, n = step.gate.chunk(3, dim=1)
        dr, dz, dn = dgate.chunk(3, dim=1)
        _sigmoid_backward(dh * (h - n), z, grad_input=dz)
        direct = dh * z
        _tanh_backward(dh - direct, n, grad_input=dn)
        drh = dn @ self.w_n
        _sigmoid_backward(drh * h, r, grad_input=dr)
        torch.addmm(direct.addcmul_(drh, r), dgate[:, : 2 * self.N], self.w_rz, out=dh)

    def weight_gradients(self, gates: Tensor, dgates: Tensor, h: Tensor) -> WeightGradients:
        N = self.N
        d_rz = outer(dgates[:, :, : 2 * N], h)
        d_n = outer(dgates[:, :, 2 * N :], gates[:, :, :N] * h)
        return WeightGradients(torch.cat([d_rz, d_n]), None)


class ResetAfterGRUScan:
    """`GRUScan` with torch's and cuDNN's n = tanh(W_x x_t + b_x + r ⊙ (W_h h + b_h))."""

    states = 1

    def __init__(self, weights: Weights, steps: int, batch: int) -> None:
        self.w, self.w_t, self.b = weights.weight_hh, weights.weight_hh.t(), weights.bias_hh
        self.N = self.w.shape[1]
        # W_h h + b_h of the block n.
        self.hn: Tensor | None = self.w.new_zeros(steps, batch, self.N)

    def forward(self, step: Step) -> None:
        gate, (h,), N = step.gate, step.before, self.N
        wh = h @ self.w_t if self.b is None else torch.addmm(self.b, h, self.w_t)
        gate[:, : 2 * N].add_(wh[:, : 2 * N]).sigmoid_()
        n = gate[:, 2 * N :]
        n.addcmul_(gate[:, :N], wh[:, 2 * N :]).tanh_()
        self._hn(step.t)[: len(h)] = wh[:, 2 * N :]
        torch.lerp(n, h, gate[:, N : 2 * N], out=step.after[0])

    def backward(self, step: Step, dgate: Tensor, dstate: Sequence[Tensor]) -> None:
        (h,), (dh,) = step.before, dstate
        r, z, n = step.gate.chunk(3, dim=1)
        dr, dz, dn = dgate.chunk(3, dim=1)
        hn = self._hn(step.t)[: len(h)]
        _sigmoid_backward(dh * (h - n), z, grad_input=dz)
        direct = dh * z
        _tanh_backward(dh - direct, n, grad_input=dn)
        _sigmoid_backward(dn * hn, r, grad_input=dr)
        torch.addmm(direct, dgate[:, : 2 * self.N], self.w[: 2 * self.N], out=dh)
        dh.addmm_(dn * r, self.w[2 * self.N :])

    def weight_gradients(self, gates: Tensor, dgates: Tensor, h: Tensor) -> WeightGradients:
        N = self.N
        dwh = torch.cat([dgates[:, :, : 2 * N], dgates[:, :, 2 * N :] * gates[:, :, :N]], dim=2)
        bias = None if self.b is None else dwh.sum((0, 1))
        return WeightGradients(outer(dwh, h), bias)

    def _hn(self, t: int) -> Tensor:
        assert self.hn is not None
        return self.hn[min(t, len(self.hn) - 1)]
