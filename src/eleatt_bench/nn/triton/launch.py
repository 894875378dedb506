"""From the tensors of a layer to the calls of its two Triton kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from eleatt_bench.nn.contract import Cell, Weights
from eleatt_bench.nn.packing import on_device
from eleatt_bench.nn.triton.weights import for_backward, for_forward, packed, padded


def tiling(B: int, D: int, N: int, dtype: torch.dtype, processors: int) -> dict[str, int]:
    """How the kernels cut up their work, for products in ``dtype``, and the warps of a program.

    A tile has 16 sequences, the least that tensor cores multiply, or 32 if tiles of 16 could not
    all run at once. So the batch chooses between two compiled kernels, and causes no other
    compilation. The widths are those for which sm_90 has enough registers. Nothing is tried out at
    run time.
    """
    narrow = processors >= -(-B // 16)
    return {
        "BLOCK_B": 16 if narrow else 32,
        "BLOCK_D": min(_power_of_two(D), 256 if narrow else 64),
        "BLOCK_N": min(_power_of_two(N), 128 if narrow else 64),
        "BLOCK_K": 128 // dtype.itemsize,  # a line of the cache
        "STAGES": 3,
        "num_warps": 8,
        "num_stages": 1,  # for the loops that are not over K: they read what they have written
    }


def _processors(device: torch.device) -> int:
    if device.type != "cuda":  # Triton's interpreter
        return 1
    return int(torch.cuda.get_device_properties(device).multi_processor_count)


def _power_of_two(size: int) -> int:
    return max(16, 1 << (size - 1).bit_length())


class KernelCall(NamedTuple):
    """What both passes know of a layer besides its tensors."""

    cell: Cell
    lengths: Tensor | None  # (B,) on the CPU
    reverse: bool
    dtype: torch.dtype  # of the products in the kernels
    precision: str  # of those products if they are float32: ieee or tf32
    tiles: Mapping[str, int] | None = None  # values that override `tiling`

    def of_gradients(self) -> KernelCall:
        """The call for backward, with TF32 in the place of float16.

        TF32 has the mantissa bits of float16 and the range of float32. So gradients below 6e-8,
        which are zero in float16, need no scaler, and scaled gradients cannot overflow.
        """
        if self.dtype != torch.float16:
            return self
        return self._replace(dtype=torch.float32, precision="tf32")

    def options(self, x: Tensor, N: int) -> dict[str, Any]:
        """The arguments that the two kernels share."""
        (T, B, D), lengths, order = x.shape, self.lengths, None
        if lengths is not None:
            lengths, order = on_device(lengths, x.device)
        return {
            "lengths": lengths,
            "order": order,
            "T": T,
            "B": B,
            "D": D,
            "N": N,
            "KIND": "gru_after" if self.cell.reset_after else self.cell.kind,
            "GATE": self.cell.gate or "",
            "REVERSE": self.reverse,
            "RAGGED": lengths is not None,
            "PRECISION": self.precision,
            **tiling(B, D, N, self.dtype, _processors(x.device)),
            **(self.tiles or {}),
        }

    def frames(self, x: Tensor, width: int) -> Tensor:
        """A buffer (T, B, width) for a kernel to fill; zero beyond the end of a sequence."""
        size = (*x.shape[:2], width)
        return x.new_empty(size) if self.lengths is None else x.new_zeros(size)


def forward_pass(
    call: KernelCall, weights: Weights, x: Tensor, h_0: Tensor, c_0: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Outputs (T, B, N) and the cell states of an LSTM, zero beyond the end of a sequence."""
    from eleatt_bench.nn.triton.forward import forward

    (_, B, D), N = x.shape, h_0.shape[1]
    projected, bias, bias_hn = _input_part(call.cell, weights, x)
    w_gate, w_cell = packed(for_forward, call.cell, weights, call.dtype, call.precision)
    assert w_cell is not None
    outputs = call.frames(x, N)
    cells = None if c_0 is None else call.frames(x, N)
    options = call.options(x, N)
    tiles, rows = -(-B // options["BLOCK_B"]), options["BLOCK_B"]
    width = w_cell.shape[2] + (padded(N) if options["KIND"] == "gru" else 0)
    operand = w_cell.new_empty(tiles, 2, rows, width)
    scratch = x.new_empty(tiles, rows, max(padded(D), padded(N)))
    forward[(tiles,)](
        x, x.stride(0), x.stride(1), projected, bias, bias_hn, w_gate, w_cell,
        h_0, c_0, outputs=outputs, cells=cells, operand=operand, scratch=scratch, **options,
    )  # fmt: skip
    return outputs, cells


class Kept(NamedTuple):
    """What backward looks at besides input and states."""

    gates: Tensor  # (T, B, kN)
    a: Tensor | None  # (T, B, D)
    hn: Tensor | None  # (T, B, N), GRU with reset_after


def backward_pass(
    call: KernelCall,
    weights: Weights,
    x: Tensor,
    kept: Kept,
    before: Tensor,
    after: Tensor,
    given: Sequence[Tensor | None],
    needs_x: bool,
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor, Tensor | None]:
    """The gradients of the sums in the gates, of x in a ⊙ x, of the sums in a, of first states."""
    from eleatt_bench.nn.triton.backward import backward

    call = call.of_gradients()
    d_outputs, d_attention, d_h, d_c = given
    (_, B, D), N, cell = x.shape, before.shape[2], call.cell
    w_n, w_x, w_h = packed(for_backward, cell, weights, call.dtype, call.precision)
    assert w_h is not None
    d_gates = call.frames(x, kept.gates.shape[2])
    d_x = call.frames(x, D) if needs_x else None
    d_sums = None if kept.a is None else call.frames(x, D)
    d_h_0 = x.new_empty(B, N)
    d_c_0 = torch.empty_like(d_h_0) if cell.kind == "lstm" else None
    options = call.options(x, N)
    tiles, rows = -(-B // options["BLOCK_B"]), options["BLOCK_B"]
    width = w_h.shape[1] + (padded(N) if cell.kind == "gru" else 0)
    operand = w_h.new_empty(tiles, rows, width)
    carried = x.new_empty(tiles, 6, rows, max(padded(D), padded(N)))
    backward[(tiles,)](
        x, x.stride(0), x.stride(1), kept.a, kept.gates, kept.hn, before, after,
        d_outputs, d_attention, d_h, d_c, w_n, w_x, w_h,
        d_gates=d_gates, d_x=d_x, d_sums=d_sums, d_h_0=d_h_0, d_c_0=d_c_0,
        operand=operand, carried=carried, **options,
    )  # fmt: skip
    return d_gates, d_x, d_sums, d_h_0, d_c_0


def _input_part(
    cell: Cell, weights: Weights, x: Tensor
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """What does not depend on the state: the large product, and the biases still to be added."""
    bias, bias_hn = weights.bias, None
    if bias is not None and weights.bias_hh is not None:  # it joins the input's, except for n
        N = len(weights.bias_hh) // 3
        bias_hn = weights.bias_hh[2 * N :]
        bias = F.pad(weights.bias_hh[: 2 * N], (0, N)) + bias
    if cell.gate is None:
        return F.linear(x, weights.weight_ih, bias), None, bias_hn
    assert weights.weight_ia is not None  # a cell with a gate has its weights
    return F.linear(x, weights.weight_ia, weights.bias_a), bias, bias_hn
