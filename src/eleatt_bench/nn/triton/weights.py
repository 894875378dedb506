"""The weights of a layer as the Triton kernels read them.

Every matrix is padded with zeros to multiples of 16 rows and columns. The matrices of one product
stand side by side, in the order of the parts of the kernel's operand.

Each pass packs the weights anew, in one launch, and does not keep them, because nothing says for
sure that they are still the same. Torch counts the writes to a tensor, but not those by way of
``.data``, nor those of a replayed CUDA graph of a training step. And a CUDA graph of a forward pass
would go on using the weights from when it was recorded.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from eleatt_bench.nn.contract import BLOCKS, Cell, Weights

Layout = Callable[[Cell, Weights], tuple[Tensor | None, ...]]


def padded(size: int) -> int:
    """``size`` rounded up to a multiple of 16, the least that a product of tiles works on."""
    return -(-size // 16) * 16


def for_forward(cell: Cell, weights: Weights) -> tuple[Tensor | None, Tensor]:
    """W_ha (DP, NP) or None, and blocks (blocks, NP, K).

    A block is [W_h], or behind an attention gate [W_x | W_h]. There the block n of a GRU is
    [W_h | W_x], or with reset_after two blocks, [0 | W_h] and [W_x | 0].
    """
    k = len(BLOCKS[cell.kind])
    w_h = weights.weight_hh.chunk(k)
    w_x = () if weights.weight_ha is None else weights.weight_ih.chunk(k)
    rows = [list(row) for row in zip(*([w_x, w_h] if w_x else [w_h]), strict=True)]
    if cell.reset_after and w_x:
        rows[2:] = [torch.zeros_like(w_x[2]), w_h[2]], [w_x[2], torch.zeros_like(w_h[2])]
    elif cell.kind == "gru":
        rows[2].reverse()
    gate = None if weights.weight_ha is None else _beside([weights.weight_ha])
    return gate, torch.stack([_beside(row) for row in rows])


def for_backward(cell: Cell, weights: Weights) -> tuple[Tensor | None, Tensor | None, Tensor]:
    """W_hᵀ of n, W_xᵀ and [W_hᵀ | W_haᵀ], each with its blocks side by side.

    The first is None except for the paper's GRU, whose last does not have n. Without an attention
    gate the second is None and the last has no W_haᵀ.
    """
    k = len(BLOCKS[cell.kind])
    w_h = [w.t() for w in weights.weight_hh.chunk(k)]
    gru = cell.kind == "gru"
    w_n = _beside([w_h[2]]) if gru and not cell.reset_after else None
    looking_at_h = w_h[:2] if w_n is not None else w_h
    if weights.weight_ha is None:
        return w_n, None, _beside(looking_at_h)
    w_x = [w.t() for w in weights.weight_ih.chunk(k)]
    if gru:
        w_x = [w_x[2], *w_x[:2]]
    return w_n, _beside(w_x), _beside([*looking_at_h, weights.weight_ha.t()])


def _beside(matrices: Sequence[Tensor]) -> Tensor:
    return torch.cat([_padded(m) for m in matrices], dim=1)


def _padded(matrix: Tensor) -> Tensor:
    rows, columns = matrix.shape
    return F.pad(matrix, (0, padded(columns) - columns, 0, padded(rows) - rows))


def packed(
    layout: Layout, cell: Cell, weights: Weights, dtype: torch.dtype, precision: str
) -> tuple[Tensor | None, ...]:
    """``layout`` of these weights in ``dtype``, float32 rounded to ``precision``; one launch."""
    from eleatt_bench.nn.triton.pack import pack

    w_hh, w_ih, w_ha = weights.weight_hh, weights.weight_ih, weights.weight_ha
    source, shapes = _sources(layout, cell, w_ih.shape[1], w_hh.shape[1], w_hh.device)
    numbers = w_hh.new_empty(len(source), dtype=dtype)
    block = 1024
    pack[(-(-len(source) // block),)](
        w_hh, None if w_ha is None else w_ih, w_ha, source, numbers,
        HH=w_hh.numel(), IH=w_ih.numel(), COUNT=len(source), BLOCK=block,
        PRECISION=precision,
    )  # fmt: skip
    parts = iter(numbers.split_with_sizes([shape.numel() for shape in shapes if shape is not None]))
    return tuple(None if shape is None else next(parts).view(shape) for shape in shapes)


@functools.cache  # kept for good, there are few sizes: a CUDA graph may read them
def _sources(
    layout: Layout, cell: Cell, D: int, N: int, device: torch.device
) -> tuple[Tensor, list[torch.Size | None]]:
    """The ``source`` of `pack` for the matrices of ``layout``, and the shapes of these matrices.

    It is found by applying ``layout`` to the indices of the weights instead of the weights.
    """
    rows = len(BLOCKS[cell.kind]) * N
    shapes = [(rows, N)] if cell.gate is None else [(rows, N), (rows, D), (D, N)]
    with torch.inference_mode(False):  # they are kept, and a later caller may record gradients
        # From 1, so that the zeros of the padding come out below 0.
        count = sum(a * b for a, b in shapes)
        places = torch.arange(1, count + 1, dtype=torch.int32, device="cpu")
        parts = places.split_with_sizes([a * b for a, b in shapes])
        w_hh, *others = (part.view(shape) for part, shape in zip(parts, shapes, strict=True))
        w_ih, w_ha = others or (w_hh, None)
        laid = layout(cell, Weights(w_ih, w_hh, weight_ha=w_ha))
        source = torch.cat([m.flatten() for m in laid if m is not None]) - 1
        return source.to(device), [None if m is None else m.shape for m in laid]
