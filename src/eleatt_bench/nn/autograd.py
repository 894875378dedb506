"""For a backward pass by hand, which has no derivative of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Gradients = tuple[Tensor | None, ...]


def differentiable_once(backward: Callable[..., Gradients]) -> Callable[..., Gradients]:
    """Let whoever differentiates the results of ``backward`` again get an error.

    `torch.autograd.function.once_differentiable` gives one only where the gradient that comes in
    has a graph: otherwise it would leave out, without a word, what the results owe to the tensors
    saved in forward.
    """

    @functools.wraps(backward)
    def once(ctx: Any, *gradients: Tensor | None) -> Gradients:
        with torch.no_grad():
            results = backward(ctx, *gradients)
        if not torch.is_grad_enabled():  # nobody asked for a graph of the gradients
            return results
        mark = torch.zeros((), requires_grad=True)
        return tuple(r if r is None else _Refuse.apply(mark, r) for r in results)  # type: ignore[no-untyped-call]

    return once


class _Refuse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, mark: Tensor, result: Tensor) -> Tensor:
        return result.view_as(result)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        raise RuntimeError(
            "trying to differentiate twice through a layer whose backend has no second "
            "derivatives: make it with backend='equations'"
        )
