"""A comparison of the compiled library with `scan`: a library that loads may compute nonsense."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import get_args

import torch
from torch import Tensor

from eleatt_bench.nn import scan
from eleatt_bench.nn.contract import BLOCKS, Cell, Gate, Kind, RunLayer, State, Weights

_T, _D, _N = 2, 18, 17  # a whole vector of sixteen lanes and a rest
_LENGTHS = (1, 2)
_DTYPES = (torch.float32, torch.float64)


def difference(run: RunLayer, kinds: Sequence[Kind]) -> str | None:
    """The first cell where ``run`` computes something else than `scan`, in words, or None.

    Each cell of ``kinds``, with each gate, is tried in one dtype and one direction; every kind and
    every gate meet both dtypes and both directions. Results and gradients of a tiny ragged batch
    are compared, without random numbers. This happens in a thread of its own, where no mode, hook
    or autocast of the caller applies.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_first_difference, run, kinds).result()


def _first_difference(run: RunLayer, kinds: Sequence[Kind]) -> str | None:
    cells = [Cell(kind, gate) for kind, gate in product(kinds, (None, *get_args(Gate)))]
    cells += [cell._replace(reset_after=True) for cell in cells if cell.kind == "gru"]
    for n, cell in enumerate(cells):  # three gates of each kind, one after the other
        dtype, reverse = _DTYPES[n % 2], n % 4 > 1
        weights, x, state = _problem(cell, dtype)
        own, true = (_results(each, cell, weights, x, state, reverse) for each in (run, scan.run))
        error, largest = float((own - true).abs().max()), float(true.abs().max())
        if not error <= 1e4 * torch.finfo(dtype).eps * max(1, largest):  # also if it is NaN
            return f"{cell} in {dtype}"
    return None


def _problem(cell: Cell, dtype: torch.dtype) -> tuple[Weights, Tensor, State]:
    """Weights, input and first states, whose numbers are all different."""
    rows, batch = len(BLOCKS[cell.kind]) * _N, len(_LENGTHS)
    shapes = [(_T, batch, _D), (batch, _N), (batch, _N), (rows, _D), (rows, _N), (rows,), (rows,)]
    shapes += [(_D, _D), (_D, _N), (_D,)]
    sizes = [math.prod(shape) for shape in shapes]
    numbers = torch.arange(sum(sizes), dtype=dtype, device="cpu").mul_(1.7).sin_()
    x, h_0, c_0, weight_ih, weight_hh, bias, bias_hh, *gate = (
        part.view(shape) for part, shape in zip(torch.split(numbers, sizes), shapes, strict=True)
    )
    for n, length in enumerate(_LENGTHS):
        x[length:, n] = 0
    two = bias_hh if cell.reset_after else None
    weights = Weights(weight_ih, weight_hh, bias, two, *(gate if cell.gate else ()))
    return weights, x, (h_0, c_0) if cell.kind == "lstm" else (h_0,)


def _results(
    run: RunLayer, cell: Cell, weights: Weights, x: Tensor, state: State, reverse: bool
) -> Tensor:
    """Outputs, states, attention, and their gradients by every input, in one row."""
    leaves = [x, *state, *(w for w in weights if w is not None)]
    for leaf in leaves:
        leaf.requires_grad_()
    lengths = torch.tensor(_LENGTHS, device="cpu")
    output, final, attention = run(
        cell, weights, x, lengths, state, reverse=reverse, return_attention=True
    )
    found = [output, *final, *([] if attention is None else [attention])]
    gradients = torch.autograd.grad(found, leaves, [part.detach() for part in found])
    return torch.cat([part.detach().flatten() for part in (*found, *gradients)])
