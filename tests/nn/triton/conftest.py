"""Where the kernels run: on a GPU, or in Triton's interpreter if TRITON_INTERPRET is 1."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


@pytest.fixture(params=["cpu"] if INTERPRETED else [pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    """The GPU; under the interpreter, which `test_under_the_interpreter` starts, the CPU."""
    return str(request.param)


@pytest.fixture(autouse=True, scope="module")
def poisoned_memory() -> Iterator[None]:
    """In the interpreter, fill new buffers with NaN, since uninitialised memory may hold it."""
    torch.use_deterministic_algorithms(INTERPRETED)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture(autouse=True)
def ieee_products() -> Iterator[None]:
    """Products of float32 in IEEE precision, unless a test asks for another."""
    rnn = torch.backends.cudnn.rnn
    before, rnn.fp32_precision = rnn.fp32_precision, "ieee"
    yield
    rnn.fp32_precision = before
