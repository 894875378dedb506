"""Layers are tested on every backend, with weights that are large enough to matter.

Of tests with three or more parameters, only a covering array of strength two runs by default: any
two values of different parameters meet in a test. The other combinations are marked slow.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from eleatt_bench.nn import backends, stack
from eleatt_bench.nn.contract import Kind
from eleatt_bench.nn.layers import EleAttGRU, EleAttLSTM, EleAttRNN
from eleatt_bench.nn.stack import Stack

# Cells that `scan`, `native` and `triton` each implement by hand. Other cells run by the equations
# only.
BY_HAND: tuple[Kind, ...] = ("rnn", "lstm", "gru")
LAYERS = {"rnn": EleAttRNN, "lstm": EleAttLSTM, "gru": EleAttGRU, "gru after": EleAttGRU}
MODULES = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


@pytest.hookimpl(tryfirst=True)  # before marks decide what runs
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    products: dict[str, dict[pytest.Item, list[str]]] = {}
    for item in items:
        callspec = getattr(item, "callspec", None)
        if callspec is not None and len(callspec.params) > 2 and "slow" not in item.keywords:
            values = [f"{name}={value!r}" for name, value in callspec.params.items()]
            products.setdefault(item.nodeid.partition("[")[0], {})[item] = values
    for tests in products.values():
        for item in tests.keys() - covering(tests):
            item.add_marker(pytest.mark.slow)


def covering(rows: dict[Any, list[str]]) -> set[Any]:
    """A subset of ``rows``: two values that meet in any row meet in one of these, too."""
    bits: dict[tuple[str, str], int] = {}
    pairs = {
        row: sum(1 << bits.setdefault(pair, len(bits)) for pair in combinations(values, 2))
        for row, values in rows.items()
    }
    left = (1 << len(bits)) - 1
    shuffled = random.Random(0).sample(list(rows), len(rows))  # the same in all processes
    chosen = set()
    while left:
        best = max(shuffled, key=lambda row: (pairs[row] & left).bit_count())
        chosen.add(best)
        left &= ~pairs[best]
    return chosen


HERE = [name for name in backends.BACKENDS if name not in ("auto", "triton")]  # without a GPU


@pytest.fixture(scope="module", params=HERE)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """While in use, ``backend="auto"`` means this backend."""
    resolve = backends.resolve_backend
    with pytest.MonkeyPatch.context() as patch:
        for module in (backends, stack):
            patch.setattr(
                module,
                "resolve_backend",
                lambda name, *where: resolve(request.param if name == "auto" else name, *where),
            )
        yield request.param


@pytest.fixture(scope="session")
def make() -> Callable[..., Stack]:
    """``make(kind, …)``: a layer for input size 4 and 3 units, every weight in ±1."""

    def made(kind: str, gate: str | None = "sigmoid", num_layers: int = 2, **options: Any) -> Stack:
        torch.manual_seed(0)
        form = {"reset_after": True} if kind == "gru after" else {}
        settings = {"bidirectional": True, "dtype": torch.float64} | options
        layer = LAYERS[kind](4, 3, num_layers, gate=gate, **settings, **form)
        for parameter in layer.parameters():
            torch.nn.init.uniform_(parameter, -1, 1)
        return layer

    return made


def module(kind: str, *sizes: int, dtype: torch.dtype = torch.float64, **options: Any) -> nn.Module:
    """One of torch's modules, with weights large enough for every term to matter."""
    torch.manual_seed(0)
    made = MODULES[kind](*sizes, dtype=dtype, **options)
    for parameter in made.parameters():
        nn.init.uniform_(parameter, -1, 1)
    return made


@pytest.fixture(scope="session")
def flat() -> Callable[[Any], list[torch.Tensor]]:
    """``flat(result)``: every tensor in what forward returns, in order."""

    def tensors(result: Any) -> list[torch.Tensor]:
        if isinstance(result, torch.Tensor):
            return [result]
        if isinstance(result, PackedSequence):
            return [result.data]
        return [tensor for part in result if part is not None for tensor in tensors(part)]

    return tensors


@pytest.fixture
def x() -> torch.Tensor:
    """Three sequences of six frames, (6, 3, 4), for the layers of ``make``."""
    torch.manual_seed(1)
    return torch.randn(6, 3, 4, dtype=torch.float64, requires_grad=True)


@pytest.fixture(scope="session")
def gradients(
    flat: Callable[[Any], list[torch.Tensor]],
) -> Callable[..., tuple[torch.Tensor, ...]]:
    """``gradients(layer, x, run)``: of all outputs of forward, by input and parameters.

    The sequences have 6, 2 and 4 frames.
    """

    def of(
        layer: Stack, x: torch.Tensor, run: Callable[..., Any] | None = None
    ) -> tuple[torch.Tensor, ...]:
        result = (run or layer)(x, lengths=[6, 2, 4], return_attention=True)
        total = torch.stack([tensor.square().sum() for tensor in flat(result)]).sum()
        return torch.autograd.grad(total, [x, *layer.parameters()])

    return of
