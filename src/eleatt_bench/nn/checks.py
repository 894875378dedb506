"""The checks of the arguments of a layer's constructor."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable
from typing import get_args

import torch
from torch import Tensor, nn

from eleatt_bench.nn.contract import Gate

_DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def check_sizes(**sizes: int) -> None:
    """TypeError unless every size is an int, ValueError unless it is positive."""
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool):
            raise TypeError(f"{name} must be an int, got {describe(size)}")
        if size < 1:
            raise ValueError(f"{name} must be at least 1, got {size}")


def check_flags(**flags: bool) -> None:
    """TypeError unless every flag is a bool.

    A positional call written for `torch.nn.RNN` would give its nonlinearity as ``bias``.
    """
    for name, flag in flags.items():
        if not isinstance(flag, bool):
            raise TypeError(f"{name} must be True or False, got {describe(flag)}")


def check_dropout(dropout: float, num_layers: int) -> None:
    """TypeError or ValueError unless ``dropout`` is a probability; a warning if it does nothing."""
    if not isinstance(dropout, int | float) or isinstance(dropout, bool):
        raise TypeError(f"dropout must be a number, got {describe(dropout)}")
    if not 0 <= dropout <= 1:
        raise ValueError(f"dropout must be a probability, 0 to 1, got {dropout}")
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            f"dropout acts between layers, not after the last one: dropout={dropout} does "
            "nothing with num_layers=1",
            stacklevel=_first_level_outside(),
        )


def _first_level_outside() -> int:
    """The ``stacklevel`` of the caller outside this package; constructors nest unequally deep."""
    room = __name__.rpartition(".")[0]
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals["__name__"].startswith(f"{room}."):
        level, frame = level + 1, frame.f_back
    return level


def check_dtype(dtype: torch.dtype | None) -> None:
    """TypeError unless layers compute in ``dtype``; None is torch's default."""
    if dtype is not None and dtype not in _DTYPES:
        raise TypeError(
            f"dtype must be one of {', '.join(map(str, _DTYPES))}, got {describe(dtype)}"
        )


def check_gate(gate: Gate | None) -> None:
    """ValueError, with the choices, unless ``gate`` is a word for ``gate=`` or None."""
    if gate is not None and gate not in get_args(Gate):
        raise ValueError(f"unknown gate {gate!r}, choose from: {', '.join(get_args(Gate))}, None")


def checked_gated_layers(
    gate: Gate | None, gated_layers: Iterable[int] | None, num_layers: int
) -> tuple[int, ...]:
    """The gated layers in ascending order: all of them where ``gated_layers`` is None.

    Raises ValueError for an unknown gate, for gated layers without a gate and for layers that do
    not exist, TypeError for anything except ints.
    """
    check_gate(gate)
    if gated_layers is None:
        return () if gate is None else tuple(range(num_layers))
    try:
        given = tuple(gated_layers)  # once: it may be an iterator
    except TypeError as error:
        raise TypeError(f"gated_layers must hold ints, got {describe(gated_layers)}") from error
    for layer in given:
        if not isinstance(layer, int) or isinstance(layer, bool):
            raise TypeError(f"gated_layers must hold ints, got {describe(layer)}")
        if not 0 <= layer < num_layers:
            raise ValueError(
                f"gated_layers must lie in 0 to {num_layers - 1} (num_layers={num_layers}), "
                f"got {layer}"
            )
    if gate is None and given:
        raise ValueError(f"gated_layers={list(given)} needs a gate, but gate is None")
    return tuple(sorted(set(given)))


def own_parameters(module: nn.Module, names: set[str], done: str) -> dict[str, nn.Parameter]:
    """The parameters called ``names``; ValueError if one of them is not a parameter.

    ``done`` is a word for the message, such as "converted" in "cannot be converted".
    """
    found = dict(module.named_parameters(recurse=False, remove_duplicate=False))
    missing = sorted(names - set(found))
    if missing:
        raise ValueError(
            f"{missing[0]} cannot be {done}, because it is no parameter but computed from "
            "others: make it permanent first, with remove_parametrizations, remove_weight_norm or "
            "prune.remove of torch.nn.utils"
        )
    return found


def describe(value: object) -> str:
    """``value`` for an error message."""
    if isinstance(value, Tensor):
        return f"a Tensor of shape {tuple(value.shape)}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return f"{value!r} ({type(value).__name__})"
