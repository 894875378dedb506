"""Where the kernels run: on a GPU, or in Triton's interpreter, which is chosen before an import."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


@pytest.fixture(params=["cpu"] if INTERPRETED else [pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    """Tests that take it run on a GPU, or, started by `test_under_the_interpreter`, without one."""
    return str(request.param)


@pytest.fixture(autouse=True, scope="module")
def poisoned_memory() -> Iterator[None]:
    """In the interpreter every buffer that is not written to is NaN, as any memory may be."""
    torch.use_deterministic_algorithms(INTERPRETED)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture(autouse=True)
def ieee_products() -> Iterator[None]:
    """Of float32, unless a test asks for others."""
    rnn = torch.backends.cudnn.rnn
    before, rnn.fp32_precision = rnn.fp32_precision, "ieee"
    yield
    rnn.fp32_precision = before
