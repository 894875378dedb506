"""eleatt-bench: the EleAtt-RNN layers and the benchmarks of their paper.

``from eleatt_bench import EleAttGRU`` gives the layer. ``import eleatt_bench as eb`` gives runs and
tables, as docs/python.md shows; the ``eleatt-bench`` command gives them, too. Nothing heavy is
imported before its first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from eleatt_bench.api.commands import reproduce, train
    from eleatt_bench.api.frames import table
    from eleatt_bench.api.runs import LoadedRun, Runs, load_run, load_runs
    from eleatt_bench.common.errors import UserError
    from eleatt_bench.nn.convert import from_torch, to_torch
    from eleatt_bench.nn.layers import EleAttGRU, EleAttLSTM, EleAttRNN
    from eleatt_bench.training.published import load_network

__all__ = [
    "EleAttGRU",
    "EleAttLSTM",
    "EleAttRNN",
    "LoadedRun",
    "Runs",
    "UserError",
    "__version__",
    "from_torch",
    "load_network",
    "load_run",
    "load_runs",
    "reproduce",
    "table",
    "to_torch",
    "train",
]

_MODULES = {
    "nn.layers": ("EleAttGRU", "EleAttLSTM", "EleAttRNN"),
    "nn.convert": ("from_torch", "to_torch"),
    "api.runs": ("LoadedRun", "Runs", "load_run", "load_runs"),
    "api.frames": ("table",),
    "api.commands": ("reproduce", "train"),
    "training.published": ("load_network",),
    "common.errors": ("UserError",),
}


def __getattr__(name: str) -> Any:
    """Import the attribute ``name`` at its first use; only layers and networks import torch."""
    from importlib import import_module

    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
