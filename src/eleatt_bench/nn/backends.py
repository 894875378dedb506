"""From the word in ``backend=`` to the function that runs a layer."""

from __future__ import annotations

import torch

from eleatt_bench.nn import loop, scan
from eleatt_bench.nn.contract import Run

BACKENDS = ("auto", "equations", "scan")


def check_backend(name: str) -> None:
    """ValueError, with the choices, unless ``name`` is a word for ``backend=``."""
    if name not in BACKENDS:
        raise ValueError(f"unknown backend {name!r}, choose from: {', '.join(BACKENDS)}")


def resolve_backend(name: str, device: torch.device | str) -> str:
    """The backend that runs on ``device`` when ``name`` is asked for: what a record writes down.

    ``"auto"`` is the fastest that was measured there: ``"scan"`` on CPUs, else ``"equations"``;
    under autocast ``"equations"``, because ``"scan"`` would ignore the lower precision.
    Raises ValueError for an unknown name, RuntimeError for a string that names no device.
    """
    check_backend(name)
    kind = torch.device(device).type
    if name != "auto":
        return name
    return "scan" if kind == "cpu" and not torch.is_autocast_enabled(kind) else "equations"


def backend_function(name: str, device: torch.device | str) -> Run:
    """The function behind `resolve_backend` (``name``, ``device``)."""
    functions: dict[str, Run] = {"equations": loop.run, "scan": scan.run}
    return functions[resolve_backend(name, device)]
