"""The backend ``triton``: a layer as one kernel forward and one backward, for float32 on GPUs.

A program walks all steps of a tile of sequences; nothing is launched per time step. What is not
sequential is done in torch, for all steps at once: the input's part before the forward kernel, the
weight gradients after the backward kernel, and *everything that backward needs*. Gates and
attention are functions of input and states. So forward keeps only its outputs (and the cell states
of an LSTM), and backward computes the rest again, as one step of `scan` on T·B sequences. While
backward runs it holds some 2k + 3 times N and 5 times D numbers per frame.

What a step should cost, by counting; none of it is measured yet. Take a gated GRU, D = 150 and
N = 100. The weights of its loop (all except W_xa) are 109,000 numbers with padding. Every program
streams them from the L2 cache, at up to 64 bytes per cycle and multiprocessor: 3400 cycles in
bfloat16, 6800 in float32 and TF32, forward and backward alike. The work of the tensor cores hides
behind that. A step has 3 products forward (a; r and z; n), and 3 products and a pass over the gates
backward. Each waits for the one before, and takes some 600 cycles until its pipeline is full.
Together that is 3 µs per step in bfloat16 and 5 µs in float32 (1.8 GHz). This floor does not depend
on the batch until there are more tiles than multiprocessors: 2112 sequences on 132 of them.
The floor grows as D² + N². At D = N = 512 a step would stream 1.8 million numbers, in 32 µs in
bfloat16 and 64 µs in float32. A dozen eager operations, each on the whole device, take about as
long. So layers that stream more than `MOST_STREAMED` numbers run on ``scan``. Spreading the columns
over several programs would need a barrier between them (1 µs, 3 or 4 times a step, with all of them
resident); it is not done.

Under autocast, products are in its dtype, except that with float16 those of gradients are in TF32
(`launch.KernelCall.of_gradients`). Otherwise they are in float32: TF32 if
``torch.backends.cudnn.rnn.fp32_precision`` is ``"tf32"``, which is torch's default, else IEEE.
Operands are rounded once, to nearest: weights when they are packed, the others when they are
written. Sums, states and everything between them are float32. IEEE products do not use the tensor
cores: 11,000 cycles a step. The large products in torch are float32 and obey
``torch.backends.cuda.matmul.fp32_precision``.

Dtypes other than float32, and empty batches, run on ``scan``, too: see `runs_in_triton`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from eleatt_bench.nn import scan
from eleatt_bench.nn.autograd import by_hand, differentiable_once
from eleatt_bench.nn.contract import BackendError, Cell, RunLayer, State, Weights
from eleatt_bench.nn.equations import attention_gate
from eleatt_bench.nn.packing import on_device, valid_frames
from eleatt_bench.nn.scan_cells import CellScan, Step, cell_scan
from eleatt_bench.nn.triton.launch import Kept, KernelCall, backward_pass, forward_pass

MOST_STREAMED = 500_000
"""The most weights that a program may read per step; with more, `scan` uses the whole GPU."""


def runs_in_triton(input: Tensor, weights: Weights) -> bool:  # noqa: A002
    """Whether `run` uses its kernels for ``input`` (T, B, D) and ``weights``, not `scan.run`."""
    return input.dtype == torch.float32 and input.shape[1] > 0 and fits(weights)


def fits(weights: Weights) -> bool:
    """Whether a layer is small enough for the kernels."""
    return _streamed(weights) <= MOST_STREAMED


def _streamed(weights: Weights) -> int:
    """How many weights are multiplied anew in each step."""
    count = weights.weight_hh.numel()
    if weights.weight_ha is not None:  # then the input's part has to wait for the gate
        count += weights.weight_ih.numel() + weights.weight_ha.numel()
    return count


@by_hand("triton")
def run(
    cell: Cell,
    weights: Weights,
    input: Tensor,  # noqa: A002  (torch's name for it)
    lengths: Tensor | None,
    state: State,
    *,
    reverse: bool,
    return_attention: bool,
    tiles: Mapping[str, int] | None = None,
) -> tuple[Tensor, State, Tensor | None]:
    """Run one layer in one direction; see `eleatt_bench.nn.contract.RunLayer`.

    ``tiles`` overrides values of `eleatt_bench.nn.triton.launch.tiling`, such as
    ``{"BLOCK_K": 64}``, by powers of two. They change the speed, and results only by rounding.
    Raises BackendError where Triton is not installed or the device is not a GPU. Triton's
    interpreter (``TRITON_INTERPRET=1``) runs the kernels on the CPU, but not in bfloat16.
    """
    check_triton(input.device)
    if not runs_in_triton(input, weights):
        other: RunLayer = scan.run
        return other(
            cell, weights, input, lengths, state,
            reverse=reverse, return_attention=return_attention,
        )  # fmt: skip
    kind = input.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
    if dtype == torch.bfloat16 and kind == "cpu":
        raise BackendError(
            "Triton's interpreter multiplies bfloat16 wrongly: use torch.autocast('cpu', "
            "torch.float16), or backend='auto'"
        )
    h_0, c_0 = (*state, None)[:2]
    tensors = (input, h_0, c_0, *weights)
    with torch.autocast(kind, enabled=False), torch.cuda.device_of(input):  # type: ignore[no-untyped-call]
        tf32 = torch.backends.cudnn.rnn.fp32_precision == "tf32"  # type: ignore[attr-defined]
        call = KernelCall(cell, lengths, reverse, dtype, "tf32" if tf32 else "ieee", tiles)
        outputs, h_n, c_n, attention = _Triton.apply(  # type: ignore[no-untyped-call]
            call, return_attention, *tensors
        )
    return outputs, (h_n,) if c_n is None else (h_n, c_n), attention


def check_triton(device: torch.device) -> None:
    """BackendError, with what to do, unless Triton is installed and runs kernels on ``device``."""
    try:
        from eleatt_bench.nn.triton.kernels import INTERPRETED
    except ImportError as error:
        raise BackendError(
            "backend='triton' needs Triton, which is not installed: pip install "
            "'eleatt-bench[triton]', or use backend='auto'"
        ) from error
    if device.type != "cuda" and not INTERPRETED:
        raise BackendError(
            f"backend='triton' needs a GPU, but the layer is on {device}: move it with "
            ".to('cuda'), or use backend='auto'"
        )


class _Triton(torch.autograd.Function):
    """(input, states, weights) → outputs, final states, attention if asked for."""

    @staticmethod
    def forward(
        ctx: Any,
        call: KernelCall,
        return_attention: bool,
        x: Tensor,
        h_0: Tensor,
        c_0: Tensor | None,
        *parameters: Tensor | None,
    ) -> tuple[Tensor | None, ...]:
        given = (x, h_0, c_0, *parameters)
        x, h_0, c_0, weights = _plain(x, h_0, c_0, *parameters)
        outputs, cells = forward_pass(call, weights, x, h_0, c_0)
        ctx.set_materialize_grads(False)
        ctx.call = call
        ctx.save_for_backward(*given, outputs, cells)
        h_n = _last(outputs, call)
        c_n = None if cells is None else _last(cells, call)
        attention = None
        if return_attention and call.cell.gate:
            attention = _attention(call, weights, x, _before(h_0, outputs, call))
        return outputs, h_n, c_n, attention

    @staticmethod
    @differentiable_once("triton")
    def backward(
        ctx: Any,
        saved: tuple[Tensor, ...],
        d_outputs: Tensor | None,
        d_h: Tensor | None,
        d_c: Tensor | None,
        d_attention: Tensor | None,
    ) -> tuple[Tensor | None, ...]:
        *inputs, outputs, cells = saved
        call, (x, h_0, c_0, weights) = ctx.call, _plain(*inputs)
        given = [None if d is None else d.contiguous() for d in (d_outputs, d_attention, d_h, d_c)]
        with torch.cuda.device_of(x):  # type: ignore[no-untyped-call]
            before = [_before(h_0, outputs, call)]
            if c_0 is not None:
                before.append(_before(c_0, cells, call))
            cell_steps, kept = _again(call.cell, weights, x, before)
            after = outputs if cells is None else cells
            needs_x = ctx.needs_input_grad[2]
            d_gates, d_x, d_sums, d_h_0, d_c_0 = backward_pass(
                call, weights, x, kept, before[-1], after, given, needs_x and kept.a is not None
            )
            gradients = scan.weight_gradients(
                cell_steps, weights, x, kept.a, kept.gates, d_gates, d_sums, before[0]
            )
            if d_x is not None and d_sums is not None and weights.weight_ia is not None:
                d_x.flatten(0, 1).addmm_(d_sums.flatten(0, 1), weights.weight_ia)
            elif needs_x:
                d_x = d_gates @ weights.weight_ih
        return None, None, d_x, d_h_0, d_c_0, *gradients


def _plain(
    x: Tensor, h_0: Tensor, c_0: Tensor | None, *parameters: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None, Weights]:
    """The tensors as the kernels read them: contiguous, x only along its last axis."""
    x = x.resolve_neg()
    c, *rest = (None if t is None else t.resolve_neg().contiguous() for t in (c_0, *parameters))
    return (
        x if x.stride(2) == 1 else x.contiguous(),
        h_0.resolve_neg().contiguous(),
        c,
        Weights(*rest),  # type: ignore[arg-type]
    )


def _again(
    cell: Cell, weights: Weights, x: Tensor, before: Sequence[Tensor]
) -> tuple[CellScan, Kept]:
    """Gates and attention of all steps at once: the step of `scan`, on T·B sequences.

    ``before`` are the states (T, B, N) before each frame.
    """
    (T, B, _), N = x.shape, before[0].shape[2]
    gates, a = scan.project(cell, weights, x, keep=True, active=None)
    states = [s.flatten(0, 1) for s in before]
    step = Step(0, gates.flatten(0, 1), states, [torch.empty_like(s) for s in states])
    if a is not None:
        scan.attend(cell, weights, a.flatten(0, 1), x.flatten(0, 1), step)
    steps = cell_scan(cell, weights, 1, T * B, keep=True)
    steps.forward(step)
    hn = None if steps.hn is None else steps.hn.view(T, B, N)
    return steps, Kept(gates, a, hn)


def _attention(call: KernelCall, weights: Weights, x: Tensor, before: Tensor) -> Tensor:
    """a_t (T, B, D) of all steps at once, zero in the padding."""
    assert weights.weight_ia is not None
    assert weights.weight_ha is not None
    assert call.cell.gate is not None
    sums = F.linear(x, weights.weight_ia, weights.bias_a).flatten(0, 1)
    a = attention_gate(sums, before.flatten(0, 1), weights.weight_ha.t(), call.cell.gate)
    a = a.view(x.shape).detach()  # a view that was made here could not be changed in place
    if call.lengths is not None:
        a.masked_fill_(~valid_frames(call.lengths, len(x), x.device), 0)
    return a


def _before(first: Tensor, states: Tensor, call: KernelCall) -> Tensor:
    """The state before each frame, (T, B, N); anything finite in the padding."""
    if not call.reverse:
        return torch.cat([first.unsqueeze(0), states[:-1]])
    before = torch.cat([states[1:], first.unsqueeze(0)])
    if call.lengths is not None:
        ends = on_device(call.lengths, first.device)[0] - 1
        before[ends, torch.arange(len(ends), device=first.device)] = first
    return before


def _last(states: Tensor, call: KernelCall) -> Tensor:
    """The state after the last frame that was read, (B, N)."""
    if call.reverse:
        return states[0].clone()
    if call.lengths is None:
        return states[-1].clone()
    ends = on_device(call.lengths, states.device)[0] - 1
    return states[ends, torch.arange(len(ends), device=states.device)]
