"""From the word in ``backend=`` to the function that runs a layer."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable

import torch

from eleatt_bench.nn import equations, native, scan, triton
from eleatt_bench.nn.contract import RunLayer, Weights
from eleatt_bench.nn.observers import is_counted, observer

FUNCTIONS: dict[str, RunLayer] = {
    "equations": equations.run,
    "scan": scan.run,
    "native": native.run,
    "triton": triton.run,
}
"""The functions that run a layer, by the names that `resolve_backend` gives."""

BACKENDS = ("auto", *FUNCTIONS)


def check_backend(name: str) -> None:
    """ValueError, with the choices, unless ``name`` is a word for ``backend=``."""
    if name not in BACKENDS:
        raise ValueError(f"unknown backend {name!r}, choose from: {', '.join(BACKENDS)}")


def resolve_backend(
    name: str,
    device: torch.device | str,
    dtype: torch.dtype = torch.float32,
    tensors: Iterable[object] = (),
) -> str:
    """The backend that runs on ``device`` when ``name`` is asked for.

    ``"auto"`` is the fastest that was measured there (docs/performance.md):

    - on CPUs ``"native"`` for float32 and float64 where it can be built, else ``"scan"``;
    - on CUDA devices ``"scan"``, which launches the fewest kernels of the backends that need no
      compiler (``"triton"`` is not measured yet);
    - ``"equations"`` on other devices, under autocast, whose lower precision it obeys, and wherever
      every operation is transformed, traced or counted: by `torch.func`, export, dispatch modes, or
      classes among ``tensors`` (`eleatt_bench.nn.observers`).

    Every name is ``"equations"`` under torch's FLOP counter, so that the count does not depend on
    the backend. ``"triton"`` is ``"scan"`` in all dtypes except float32.
    Raises ValueError for an unknown name, RuntimeError for a string that names no device.
    """
    check_backend(name)
    kind = torch.device(device).type
    if is_counted():
        return "equations"
    if name == "triton" and dtype != torch.float32:
        return "scan"
    if name != "auto":
        return name
    if kind not in ("cpu", "cuda") or torch.is_autocast_enabled(kind) or observer(tensors):
        return "equations"
    if kind == "cuda":
        return "scan"
    return "native" if dtype in native.DTYPES and _native_works() else "scan"


def backend_of(name: str, weights: Weights) -> str:
    """The backend of a layer with these ``weights``, where `resolve_backend` gave ``name``."""
    return "scan" if name == "triton" and not triton.fits(weights) else name


@functools.cache
def _native_works() -> bool:
    """Whether `native` works here; builds its library if need be, and warns once if it does not."""
    reason = native.why_not()
    if reason is not None:
        logging.getLogger(__name__).warning("layers run on the slower backend 'scan': %s", reason)
    return reason is None
