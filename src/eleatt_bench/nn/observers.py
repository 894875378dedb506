"""Observers: whatever transforms, records or counts every operation of torch."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import get_proxy_mode
from torch.utils import _python_dispatch

from eleatt_bench.nn.contract import BackendError

_KEYS = {
    torch._C._dispatch_key_parse("Python"): "the tensor class {}",
    torch._C._dispatch_key_parse("Batched"): "vmap (is_grads_batched, vectorize)",
    torch._C._dispatch_key_parse("Functionalize"): "functionalization",
}
"""The dispatch keys by which torch marks the tensors of an observer, and its name in a message."""


def observer(tensors: Iterable[object] = ()) -> str | None:
    """The observer that would miss what a backend does outside torch's operations, in words.

    Export, tracing, the transforms of `torch.func`, forward-mode derivatives and dispatch modes
    (`torch.utils.flop_counter`, ``make_fx``, ``FakeTensorMode`` …) stand around a call. Others are
    in ``tensors``: subclasses with a ``__torch_dispatch__`` of their own, and the wrappers of vmap
    and functionalization. None if there is no observer.
    """
    if torch.compiler.is_exporting():
        return "torch.export"
    if _traced():
        return "torch.jit.trace"
    if torch._C._are_functorch_transforms_active():
        return "a transform of torch.func (or vmap)"
    if forward_ad._current_level >= 0:
        return "forward-mode differentiation"
    mode = _dispatch_mode()
    if mode is not None:
        return f"the dispatch mode {mode}"
    for tensor in tensors:
        if isinstance(tensor, Tensor):
            keys = torch._C._dispatch_keys(tensor)
            for key, who in _KEYS.items():
                if keys.has(key):
                    return who.format(type(tensor).__name__)
    return None


def is_counted() -> bool:
    """Whether torch's FLOP counter stands around the call; it should count the equations."""
    if torch.compiler.is_exporting() or not torch._C._len_torch_dispatch_stack():
        return False
    mode = type(_python_dispatch._get_current_dispatch_mode())
    return mode.__module__ == "torch.utils.flop_counter"


def recorded(lengths: Tensor) -> bool:
    """Whether the call must hold for other ``lengths`` than these: a graph is recorded, or vmap."""
    return (
        torch.compiler.is_exporting()
        or _traced()
        or get_proxy_mode() is not None
        or torch._C._dispatch_keys(lengths).has(torch._C.DispatchKey.Python)
        or underneath(lengths).dim() > lengths.dim()
    )


def underneath(tensor: Tensor) -> Tensor:
    """``tensor`` without the wrappers of `torch.func`; under vmap, everything that is mapped over.

    Only to look at its values: no result of the transform may be computed from it.
    """
    if torch.compiler.is_exporting():  # which would warn that it cannot trace what unwraps
        return tensor
    return torch.func.debug_unwrap(tensor)


def refuse_observers(backend: str, tensors: Iterable[object]) -> None:
    """BackendError where ``backend`` would run unseen by an `observer`."""
    who = observer(tensors)
    if who is not None:
        raise BackendError(
            f"{who} does not see what backend={backend!r} computes: make the layer with "
            "backend='equations', whose operations are torch's own"
        )


def _traced() -> bool:
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


def _dispatch_mode() -> str | None:
    """The class of the innermost dispatch mode; modes before dispatch (of export) count, too."""
    if torch._C._len_torch_dispatch_stack():
        return type(_python_dispatch._get_current_dispatch_mode()).__name__
    if torch._ops._len_torch_dispatch_stack_pre_dispatch():  # type: ignore[no-untyped-call]
        mode = torch._ops._get_current_dispatch_mode_pre_dispatch()  # type: ignore[no-untyped-call]
        return type(mode).__name__
    return None
