"""The checks of what a call of a layer runs on: weights, initial states, and what is dropped."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from eleatt_bench.nn.checks import describe
from eleatt_bench.nn.contract import State, Weights
from eleatt_bench.nn.packing import in_dtype, under_autocast

Hidden = Tensor | tuple[Tensor, Tensor]  # h, or (h, c) for the LSTM
Drop = Callable[[Tensor, int], Tensor]


def checked_states(
    hx: Hidden | list[Tensor], count: int, shape: tuple[int, ...], like: Tensor
) -> State:
    """The ``count`` states in ``hx``, of ``shape`` and in the dtype of ``like``.

    A pair may be a list, as it may for `torch.nn.LSTM`.
    """
    several = isinstance(hx, tuple | list)
    given = hx if isinstance(hx, tuple | list) else (hx,)
    if several != (count == 2) or len(given) != count:
        expected = "the pair (h_0, c_0)" if count == 2 else "the tensor h_0"
        raise TypeError(f"hx must be {expected}, got {describe(hx)}")
    states: list[Tensor] = []
    for name, state in zip(("h_0", "c_0"), given, strict=False):
        if not isinstance(state, Tensor):
            raise TypeError(f"{name} must be a Tensor, got {type(state).__name__}")
        if tuple(state.shape) != shape:
            raise ValueError(f"{name} must have shape {shape}, got {tuple(state.shape)}")
        states.append(in_dtype(state, name, like.dtype, like.device))
    return tuple(states)


def checked_drop(drop: Drop, frames: Tensor, layer: int) -> Tensor:
    """What ``drop`` gives for ``frames``: a backend would read beyond the end of less."""
    name = "what drop_by's function gives"
    dropped = drop(frames, layer)
    if not isinstance(dropped, Tensor):
        raise TypeError(f"{name} must be a Tensor, got {type(dropped).__name__}")
    _check_form(name, dropped, tuple(frames.shape), frames, "the frames that it is given")
    return dropped


def in_one_dtype(weights: list[list[Weights]]) -> list[list[Weights]]:
    """``weights``, under autocast in the highest dtype among them.

    A parametrization may have computed some of them in the lower precision.
    """
    every = [w for row in weights for one in row for w in one if w is not None]
    dtypes = {w.dtype for w in every}
    if len(dtypes) == 1 or not under_autocast(every[0].device):
        return weights
    highest = functools.reduce(torch.promote_types, dtypes)
    return [[_in_dtype(one, highest) for one in row] for row in weights]


def _in_dtype(weights: Weights, dtype: torch.dtype) -> Weights:
    return Weights(*(w if w is None else w.to(dtype) for w in weights))  # type: ignore[arg-type]


def check_weight(
    name: str, value: Tensor | None, shape: tuple[int, ...] | None, like: Tensor
) -> None:
    """ValueError or TypeError unless ``value`` has ``shape`` and the dtype and device of ``like``.

    A ``shape`` of None says that the layer has no such weight: then ``value`` must be None.
    """
    if value is not None and shape is not None:
        _check_form(name, value, shape, like, "weight_ih_l0")
    elif value is not None:
        raise ValueError(f"{name} must be None, got {tuple(value.shape)}")
    elif shape is not None:
        raise ValueError(f"{name} must have shape {shape}, got None")


def _check_form(name: str, value: Tensor, shape: tuple[int, ...], like: Tensor, model: str) -> None:
    """ValueError or TypeError unless ``value`` has ``shape`` and fits ``like``, the ``model``."""
    if tuple(value.shape) != shape:
        raise ValueError(f"{name} must have shape {shape}, got {tuple(value.shape)}")
    if value.dtype != like.dtype:
        raise TypeError(f"{name} must be {like.dtype} like {model}, got {value.dtype}")
    if value.device != like.device:
        raise ValueError(f"{name} must be on {like.device} like {model}, got {value.device}")
