"""A short real training, shared by this room's tests."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eleatt_bench.config.composer import Composer
from eleatt_bench.data import catalog


@pytest.fixture(scope="session")
def digits(once: Callable[..., Path]) -> Path:
    """A folder of data in which the digits are prepared."""
    return once("digits", lambda folder: catalog.data_digest(folder, "digits"))


@pytest.fixture
def short_config(tmp_path: Path, composer: Composer, digits: Path):
    """Compose a configuration of a few epochs on the digits, in a folder of its own."""

    def compose(*overrides: str) -> dict[str, Any]:
        if not (tmp_path / "data").exists():
            shutil.copytree(digits, tmp_path / "data")
        return composer.config(
            [
                "experiment=digits",
                "trainer.max_epochs=3",
                "model.hidden_size=8",
                "trainer.num_threads=1",
                "data.batch_size=200",
                f"data_dir={tmp_path / 'data'}",
                f"runs_dir={tmp_path / 'runs'}",
                *overrides,
            ]
        )

    return compose
