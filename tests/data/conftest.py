"""Small stores made on the spot, and stores of the published data where these are at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from eleatt_bench.data import catalog
from eleatt_bench.data.store import Sample, SequenceStore
from eleatt_bench.data.writing import write_store

SKELETON = {"kind": "skeleton", "joints": ["a", "b"], "bones": [[0, 1]], "origin": 1}
IMAGE = {"kind": "image", "height": 3, "width": 4}

MakeStore = Callable[..., SequenceStore]


@pytest.fixture(scope="session")
def make_store(tmp_path_factory: pytest.TempPathFactory) -> MakeStore:
    """A store of random sequences of the given lengths; images where ``layout`` says so."""

    def make(
        lengths: Sequence[int] = (3, 1, 5, 2),
        *,
        name: str = "nucla",
        width: int = 6,
        layout: dict = SKELETON,
        metadata: dict[str, Sequence[int]] | None = None,
        origin_applied: bool = False,
        samples: list[Sample] | None = None,
    ) -> SequenceStore:
        random = np.random.default_rng(len(lengths))
        metadata = metadata or {"camera": [1 + i % 3 for i in range(len(lengths))]}
        samples = samples or [
            Sample(
                f"s{i}",
                random.normal(size=(length, width)).astype(np.float32),
                i % 2,
                {key: int(column[i]) for key, column in metadata.items()},
            )
            for i, length in enumerate(lengths)
        ]
        return write_store(
            tmp_path_factory.mktemp("store") / f"{name}.h5",
            name=name,
            samples=samples,
            class_names=["no", "yes"],
            layout=layout,
            source="a test",
            origin_applied=origin_applied,
        )

    return make


@pytest.fixture(scope="session")
def real_nucla(published: Path, tmp_path_factory: pytest.TempPathFactory) -> SequenceStore:
    """The store of the real Northwestern-UCLA release."""
    source = published / "nucla" / "all_sqe.zip"
    if not source.exists():
        pytest.skip(f"{source} is not there")
    return catalog.prepare(tmp_path_factory.mktemp("nucla"), "nucla", source)


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> SequenceStore:
    return catalog.open_store(tmp_path_factory.mktemp("digits"), "digits")
