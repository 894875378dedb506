"""Decorators for a backend whose backward pass is written by hand and has no derivative."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from eleatt_bench.nn.contract import RunLayer, State, Weights
from eleatt_bench.nn.observers import refuse_observers

Gradients = tuple[Tensor | None, ...]


def by_hand(backend: str) -> Callable[[RunLayer], RunLayer]:
    """Let ``backend`` run eagerly, and refuse to run where an observer would not see it compute."""

    def decorate(run: RunLayer) -> RunLayer:
        @functools.wraps(run)
        def eagerly(
            cell: Any,
            weights: Weights,
            input: Tensor,  # noqa: A002
            lengths: Tensor | None,
            state: State,
            **options: Any,
        ) -> tuple[Tensor, State, Tensor | None]:
            refuse_observers(backend, (input, *weights, *state))
            return run(cell, weights, input, lengths, state, **options)

        why = f"backend={backend!r} runs eagerly, backend='equations' can be exported"
        return torch.compiler.disable(eagerly, reason=why)  # type: ignore[no-any-return, no-untyped-call]

    return decorate


def differentiable_once(
    backend: str,
) -> Callable[[Callable[..., Gradients]], Callable[..., Gradients]]:
    """Decorate ``backward(ctx, saved tensors, *gradients)``: its results cannot be differentiated.

    A second derivative by any tensor raises an error, because the results stay connected to every
    tensor that they were computed from. So forward must save **all its inputs, as they came in**: a
    copy made in forward would not lead back to the input.
    `torch.autograd.function.once_differentiable` is not enough: it refuses only if the incoming
    gradient has a graph, and silently leaves out the derivative by the saved tensors.
    Autocast is off in ``backward``, so that it has the precision of forward.
    """

    def decorate(backward: Callable[..., Gradients]) -> Callable[..., Gradients]:
        @functools.wraps(backward)
        def once(ctx: Any, *gradients: Tensor | None) -> Gradients:
            refuse_observers(backend, gradients)
            saved = ctx.saved_tensors  # read once: a checkpoint computes them when they are read
            kind = next(t for t in saved if t is not None).device.type
            with torch.no_grad(), torch.autocast(kind, enabled=False):
                results = backward(ctx, saved, *gradients)
            if not torch.is_grad_enabled():  # nobody asked for a graph of the gradients
                return results
            sources = [t for t in (*saved, *gradients) if t is not None and t.requires_grad]
            return tuple(r if r is None else _Refuse.apply(r, *sources) for r in results)  # type: ignore[no-untyped-call]

        # Also where the step that calls it is compiled: the compiler would free what has no name
        # any more, while a library reads it at its address.
        return torch.compiler.disable(once, reason=f"backend={backend!r} runs eagerly")  # type: ignore[no-any-return, no-untyped-call]

    return decorate


class _Refuse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, result: Tensor, *sources: Tensor) -> Tensor:
        return result.detach()  # which may be changed in place, unlike a view

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Gradients:
        raise RuntimeError(
            "trying to differentiate twice through a layer whose backend has no second "
            "derivatives: make it with backend='equations'"
        )
