"""Runs as a training leaves them, made without training."""

from __future__ import annotations

import os
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from eleatt_bench.config.compose import compose_config
from eleatt_bench.runs.identity import identity, run_id
from eleatt_bench.runs.record import RunFolder

CONFIG: dict[str, Any] = compose_config(["experiment=digits", "model=eleatt_gru"])


@pytest.fixture
def make_run(tmp_path: Path, record_of) -> Callable[..., RunFolder]:
    """Make a run with checkpoints; ``model__gate=None`` sets ``model.gate``."""

    def make(accuracy: float | None = 0.5, status: str = "finished", **settings: Any) -> RunFolder:
        config = deepcopy(CONFIG)
        for key, value in settings.items():
            *sections, name = key.split("__")
            node = config
            for section in sections:
                node = node[section]
            node[name] = value
        this = identity(config, "d" * 64)
        folder = RunFolder(tmp_path, run_id(this))
        record = record_of(
            folder.run_id, accuracy, status=status, identity=this,
            selection=config["trainer"]["selection"],
        )  # fmt: skip
        if accuracy is None:
            del record["metrics"]
        folder.write(record)
        folder.config.write_text(OmegaConf.to_yaml(OmegaConf.create(config)), encoding="utf-8")
        folder.predictions.write_bytes(b"predictions" * 1000)
        folder.checkpoints.mkdir()
        for name in ("best", "previous"):
            (folder.checkpoints / f"{name}.ckpt").write_bytes(name.encode() * 1000)
        os.link(folder.checkpoints / "best.ckpt", folder.checkpoints / "last.ckpt")
        return folder

    return make
