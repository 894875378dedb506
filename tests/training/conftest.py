"""A short real training, and the weights of any, shared by this room's tests."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from eleatt_bench.config.composer import Composer
from eleatt_bench.data import catalog
from eleatt_bench.runs.record import RunFolder


def weights(folder: RunFolder, name: str = "last") -> dict[str, torch.Tensor]:
    """The weights in one of a run's checkpoints."""
    path = folder.checkpoints / f"{name}.ckpt"
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["model"]
    return state


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
