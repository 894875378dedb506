"""Layers are tested on every backend."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from eleatt_bench.nn import backends


HERE = [name for name in backends.BACKENDS if name not in ("auto", "triton")]  # without a GPU


@pytest.fixture(scope="module", params=HERE)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """While in use, ``backend="auto"`` means this backend."""
    resolve = backends.resolve_backend
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            backends,
            "resolve_backend",
            lambda name, *where: resolve(request.param if name == "auto" else name, *where),
        )
        yield request.param
