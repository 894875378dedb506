"""The weights of a layer as the Triton kernels read them.

Every matrix is padded with zeros to multiples of 16 rows and columns, and those that one product
needs stand side by side, in the order in which the kernel's operand holds what they multiply.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from eleatt_bench.nn.contract import BLOCKS, Cell, Weights


def padded(size: int) -> int:
    """``size`` as the next multiple of 16: the least that a product of tiles works on."""
    return -(-size // 16) * 16


def forward_weights(
    cell: Cell, weights: Weights, dtype: torch.dtype
) -> tuple[Tensor | None, Tensor]:
    """W_ha (DP, NP) or None, and (blocks, NP, K): [W_x | W_h] per gate, without a gate [W_h].

    For n of a GRU [W_h | W_x]; with reset_after [0 | W_h] and behind a gate also [W_x | 0].
    """
    k = len(BLOCKS[cell.kind])
    w_h = weights.weight_hh.chunk(k)
    w_x = () if weights.weight_ha is None else weights.weight_ih.chunk(k)
    rows = [list(row) for row in zip(*([w_x, w_h] if w_x else [w_h]), strict=True)]
    if cell.reset_after and w_x:
        rows[2:] = [torch.zeros_like(w_x[2]), w_h[2]], [w_x[2], torch.zeros_like(w_h[2])]
    elif cell.kind == "gru":
        rows[2].reverse()
    gate = None if weights.weight_ha is None else _beside([weights.weight_ha], dtype)
    return gate, torch.stack([_beside(row, dtype) for row in rows])


def backward_weights(
    cell: Cell, weights: Weights, dtype: torch.dtype
) -> tuple[Tensor | None, Tensor | None, Tensor]:
    """W_hᵀ of n (GRU), W_xᵀ (behind a gate) and [W_hᵀ | W_haᵀ], their gates side by side."""
    k = len(BLOCKS[cell.kind])
    w_h = [w.t() for w in weights.weight_hh.chunk(k)]
    gru = cell.kind == "gru"
    w_n = _beside([w_h[2]], dtype) if gru and not cell.reset_after else None
    looking_at_h = w_h[:2] if w_n is not None else w_h
    if weights.weight_ha is None:
        return w_n, None, _beside(looking_at_h, dtype)
    w_x = [w.t() for w in weights.weight_ih.chunk(k)]
    if gru:
        w_x = [w_x[2], *w_x[:2]]
    return w_n, _beside(w_x, dtype), _beside([*looking_at_h, weights.weight_ha.t()], dtype)


def _beside(matrices: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    return torch.cat([_padded(m) for m in matrices], dim=1).to(dtype)


def _padded(matrix: Tensor) -> Tensor:
    rows, columns = matrix.shape
    return F.pad(matrix, (0, padded(columns) - columns, 0, padded(rows) - rows))
