"""The backend ``native``: the equations as compiled loops, for float32 and float64 on CPUs.

The batch is cut into tiles of sequences. One thread walks all steps of a tile, with the layer's
matrices packed for its cache. Finished sequences cost nothing, and no operation of torch runs in
between. The source is in ``csrc/``; `eleatt_bench.nn.native.build` compiles it.

For backward it keeps, besides input and outputs, for every frame of a layer and direction: the
numbers that `KEPT` counts, the cell state of an LSTM (N numbers) and the attention of a gate (D
numbers). Without gradients it keeps nothing. Working memory is a packed copy of the matrices, and
per thread the gradients of the weights and some 128 frames.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any, NamedTuple

import torch
from torch import Tensor

from eleatt_bench.nn.autograd import by_hand, differentiable_once
from eleatt_bench.nn.contract import BLOCKS, BackendError, Cell, Kind, State, Weights
from eleatt_bench.nn.native import build
from eleatt_bench.nn.native.comparison import difference

KEPT: dict[Kind, int] = {"rnn": 0, "lstm": 4, "gru": 3}
"""How many times N numbers a frame keeps: i, f, g, o or r, z, n; one more with ``reset_after``."""

DTYPES = {torch.float32: "float32", torch.float64: "float64"}

_TILE = 64  # sequences: enough to be worth reading a packed matrix for
_THREADED = 1 << 18  # multiplications in a pass; with fewer a second thread does not pay
_KINDS: tuple[Kind, ...] = ("rnn", "lstm", "gru")
_GATES = (None, "sigmoid", "softmax")
_NUMBERS = "T B D N kind gate reverse threads tiles x_step x_row"
_ARRAYS = (
    "lengths order x h_0 c_0 weight_ih weight_hh bias bias_hh weight_ia weight_ha bias_a "
    "outputs h_n c_n kept cells attention d_outputs d_attention d_h_n d_c_n d_x d_h_0 d_c_0 "
    "d_weight_ih d_weight_hh d_bias d_bias_hh d_weight_ia d_weight_ha d_bias_a scratch"
)


class Call(ctypes.Structure):
    """``struct Call`` of csrc/call.h."""

    _fields_ = [(name, ctypes.c_int64) for name in _NUMBERS.split()] + [
        (name, ctypes.c_void_p) for name in _ARRAYS.split()
    ]


@by_hand("native")
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
    """Run one layer in one direction; see `eleatt_bench.nn.contract.RunLayer`.

    Raises BackendError for a dtype that is not in `DTYPES`, for a device that is not the CPU, and
    with the reason that `why_not` gives.
    """
    if input.device.type != "cpu" or input.dtype not in DTYPES:
        raise BackendError(
            f"backend 'native' computes in float32 or float64 on the CPU, not in {input.dtype} on "
            f"{input.device}: use backend='auto'"
        )
    why = why_not()
    if why is not None:
        raise BackendError(f"backend 'native' cannot be had: {why}, or use backend='auto'")
    return _run(
        cell, weights, input, lengths, state, reverse=reverse, return_attention=return_attention
    )


@functools.cache
def why_not() -> str | None:
    """Why this process cannot use the backend, as a sentence; None if it can.

    Either there is no library, or it does not compute what `scan` does. This is tested once per
    process, in milliseconds if the library is built already.
    """
    why = build.why_no_library()
    if why is not None:
        return why
    where = difference(_run, _KINDS)
    if where is None:
        return None
    return f"{build.library_path()} does not compute what 'scan' does, as in {where}: delete it"


def _run(
    cell: Cell,
    weights: Weights,
    input: Tensor,  # noqa: A002
    lengths: Tensor | None,
    state: State,
    *,
    reverse: bool,
    return_attention: bool,
) -> tuple[Tensor, State, Tensor | None]:
    h_0, c_0 = (*state, None)[:2]
    tensors = (input, h_0, c_0, *weights)
    keep = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in tensors)
    outputs, h_n, c_n, attention = _Native.apply(  # type: ignore[no-untyped-call]
        cell, lengths, reverse, keep, return_attention, *tensors
    )
    final = (h_n,) if c_n is None else (h_n, c_n)
    return outputs, final, attention


class _Task(NamedTuple):
    """What the two passes of a call have to agree on."""

    cell: Cell
    lengths: Tensor | None
    reverse: bool
    dtype: torch.dtype
    shapes: dict[str, tuple[int, ...]]  # of every array of numbers; that of d_name is that of name

    def check(self, name: str, array: Tensor) -> None:
        """BackendError unless ``array`` is what the library takes it for.

        Nothing else looks at what backward gets: a layer may have been converted since forward, and
        hooks may have saved something else.
        """
        shape = self.shapes[name.removeprefix("d_")]
        if array.shape != shape or array.dtype != self.dtype or not array.is_cpu:
            raise BackendError(
                f"{name} is {array.dtype} of shape {tuple(array.shape)} on {array.device}, where "
                f"backend 'native' needs {self.dtype} of shape {shape} on cpu: leave the layer and "
                "what is saved as they are until backward, or use backend='equations'"
            )


class _Native(torch.autograd.Function):
    """(input, states, weights) → outputs, final states, attention if asked for."""

    @staticmethod
    def forward(
        ctx: Any,
        cell: Cell,
        lengths: Tensor | None,
        reverse: bool,
        keep: bool,
        return_attention: bool,
        *tensors: Tensor | None,
    ) -> tuple[Tensor | None, ...]:
        names = ("x", "h_0", "c_0", *Weights._fields)
        inputs = {name: t for name, t in zip(names, tensors, strict=True) if t is not None}
        x = inputs["x"]
        shapes = _shapes(cell, x, inputs["weight_hh"])
        wanted = ["outputs", "h_n"]
        if "c_0" in inputs:
            wanted.append("c_n")
        if keep and shapes["kept"][2]:
            wanted.append("kept")
        if keep and "c_0" in inputs:
            wanted.append("cells")
        if cell.gate and (keep or return_attention):
            wanted.append("attention")
        results = {name: x.new_empty(shapes[name]) for name in wanted}
        task = _Task(cell, lengths, reverse, x.dtype, shapes)
        _call("forward", task, {**inputs, **results})
        if keep:
            saved = ("outputs", "kept", "cells", "attention")
            ctx.names = (*inputs, *(name for name in saved if name in results))
            ctx.save_for_backward(*inputs.values(), *(results[n] for n in saved if n in results))
            ctx.task = task
            ctx.set_materialize_grads(False)
        attention = results.get("attention") if return_attention else None
        return results["outputs"], results["h_n"], results.get("c_n"), attention

    @staticmethod
    @differentiable_once("native")
    def backward(
        ctx: Any,
        saved: tuple[Tensor, ...],
        d_outputs: Tensor | None,
        d_h_n: Tensor | None,
        d_c_n: Tensor | None,
        d_attention: Tensor | None,
    ) -> tuple[Tensor | None, ...]:
        given = dict(zip(ctx.names, saved, strict=True))
        for name, d in (
            ("d_outputs", d_outputs),
            ("d_h_n", d_h_n),
            ("d_c_n", d_c_n),
            ("d_attention", d_attention),
        ):
            if d is not None:
                given[name] = d
        # The arguments of forward in their order: five without a gradient, then these.
        names = ("x", "h_0", "c_0", *Weights._fields)
        needed = dict(zip(names, ctx.needs_input_grad[5:], strict=True))
        wanted = {"h_0", "c_0"} & set(given)
        if needed["x"]:
            wanted.add("x")
        if any(needed[name] for name in Weights._fields):
            wanted |= set(Weights._fields) & set(given)
        results = {
            f"d_{name}": torch.empty_like(given[name], memory_format=torch.contiguous_format)
            for name in wanted
        }
        _call("backward", ctx.task, {**given, **results})
        return (None,) * 5 + tuple(
            results.get(f"d_{name}") if needed[name] else None for name in names
        )


def _call(function: str, task: _Task, arrays: dict[str, Tensor]) -> None:
    """Call ``function`` of the library with ``arrays`` by their names in `Call`."""
    for name, array in arrays.items():
        task.check(name, array)
    cell, lengths = task.cell, task.lengths
    if lengths is not None:
        order = torch.argsort(lengths, descending=True, stable=True)
        arrays = {**arrays, "lengths": lengths, "order": order}
    arrays = {name: _plain(array, name) for name, array in arrays.items()}
    x = arrays["x"]
    (T, B, D), N = x.shape, arrays["weight_hh"].shape[1]
    work = T * B * (len(BLOCKS[cell.kind]) * N + (D if cell.gate else 0)) * (D + N)
    threads = min(torch.get_num_threads(), max(B, 1)) if work >= _THREADED else 1
    tiles = min(B, -(-B // (_TILE * threads)) * threads)
    kind = len(_KINDS) if cell.reset_after else _KINDS.index(cell.kind)
    gate, (x_step, x_row, _) = _GATES.index(cell.gate), x.stride()
    sizes = (T, B, D, N, kind, gate, task.reverse, threads, tiles, x_step, x_row)
    call = Call(*sizes, **{name: array.data_ptr() for name, array in arrays.items()})
    compiled = getattr(build.library(), f"eleatt_{function}_{DTYPES[x.dtype]}")
    scratch = x.new_empty(compiled(ctypes.byref(call)))
    call.scratch = scratch.data_ptr()
    compiled(ctypes.byref(call))
    del arrays  # not before: ``call`` has only their addresses


def _shapes(cell: Cell, x: Tensor, weight_hh: Tensor) -> dict[str, tuple[int, ...]]:
    """The shapes for `_Task`."""
    (T, B, D), N = x.shape, weight_hh.shape[1]
    rows = len(BLOCKS[cell.kind]) * N
    kept = (KEPT[cell.kind] + cell.reset_after) * N
    state, outputs, frames = (B, N), (T, B, N), (T, B, D)
    return {
        "x": frames,
        "h_0": state,
        "c_0": state,
        "weight_ih": (rows, D),
        "weight_hh": (rows, N),
        "bias": (rows,),
        "bias_hh": (rows,),
        "weight_ia": (D, D),
        "weight_ha": (D, N),
        "bias_a": (D,),
        "outputs": outputs,
        "h_n": state,
        "c_n": state,
        "kept": (T, B, kept),
        "cells": outputs,
        "attention": frames,
    }


def _plain(array: Tensor, name: str) -> Tensor:
    """``array`` as the library reads it: contiguous, x only along its last axis."""
    array = array.resolve_neg()  # its memory may hold the negated numbers
    return array if name == "x" and array.stride(2) == 1 else array.contiguous()
