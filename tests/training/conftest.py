"""A short real training, shared by this room's tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eleatt_bench.config.compose import compose_config


@pytest.fixture
def short_config(tmp_path: Path):
    """Compose a configuration of a few epochs on the digits, in a folder of its own."""

    def compose(*overrides: str) -> dict[str, Any]:
        return compose_config(
            [
                "experiment=digits",
                "trainer.max_epochs=3",
                "model.hidden_size=8",
                "trainer.num_threads=1",
                f"data_dir={tmp_path / 'data'}",
                f"runs_dir={tmp_path / 'runs'}",
                *overrides,
            ]
        )

    return compose
