"""From the word in ``backend=`` to the function that runs a layer."""

from __future__ import annotations

import torch

from eleatt_bench.nn import loop
from eleatt_bench.nn.contract import Run

BACKENDS = ("auto", "equations")


def check_backend(name: str) -> None:
    """ValueError, with the choices, unless ``name`` is a word for ``backend=``."""
    if name not in BACKENDS:
        raise ValueError(f"unknown backend {name!r}, choose from: {', '.join(BACKENDS)}")


def resolve_backend(name: str, device: torch.device | str) -> str:
    """The backend that runs on ``device`` when ``name`` is asked for: what a record writes down.

    ``"auto"`` is the fastest that applies there; ``"equations"`` is the only one so far. Raises
    ValueError for an unknown name, RuntimeError for a string that names no device.
    """
    check_backend(name)
    torch.device(device)
    return "equations" if name == "auto" else name


def backend_function(name: str, device: torch.device | str) -> Run:
    """The function behind `resolve_backend` (``name``, ``device``)."""
    return {"equations": loop.run}[resolve_backend(name, device)]
