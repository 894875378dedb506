"""eleatt-bench: the EleAtt-RNN layers and the benchmarks of their paper.

``from eleatt_bench import EleAttGRU`` gives the layer; everything else is behind the
``eleatt-bench`` command. Nothing heavy is imported until it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from eleatt_bench.nn.convert import from_torch, to_torch
    from eleatt_bench.nn.layers import EleAttGRU, EleAttLSTM, EleAttRNN
    from eleatt_bench.training.published import load_network

__all__ = [
    "EleAttGRU",
    "EleAttLSTM",
    "EleAttRNN",
    "__version__",
    "from_torch",
    "load_network",
    "to_torch",
]


def __getattr__(name: str) -> Any:
    """Import the layers (and with them torch) at their first use."""
    if name in {"EleAttGRU", "EleAttLSTM", "EleAttRNN"}:
        from eleatt_bench.nn import layers

        return getattr(layers, name)
    if name in {"from_torch", "to_torch"}:
        from eleatt_bench.nn import convert

        return getattr(convert, name)
    if name == "load_network":
        from eleatt_bench.training import published

        return published.load_network
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
