"""Runs that are finished without training: their records and predictions, as a run leaves them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from eleatt_bench.config.composer import Composer
from eleatt_bench.runs.identity import is_named, run_id
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.tables.cells import PlannedRun
from eleatt_bench.tables.plan import Plan, plan

Finish = Callable[..., RunFolder]


@pytest.fixture(autouse=True)
def everywhere(empty_folder: None) -> None:
    """Every test of this room has a working folder of its own."""


@pytest.fixture(scope="session")
def planned(tmp_path_factory: pytest.TempPathFactory, composer: Composer) -> Callable[[str], Plan]:
    """The plan of a table on a machine that has nothing but the digits; made once."""
    made: dict[str, Plan] = {}
    data = tmp_path_factory.mktemp("data")

    def get(name: str) -> Plan:
        if name not in made:
            made[name] = plan(name, [f"data_dir={data}"], composer)
        return made[name]

    return get


@pytest.fixture
def digits_plan(planned, tmp_path: Path) -> Plan:
    """The digits table, in a runs folder of its own."""
    return replace(planned("digits"), runs_dir=tmp_path / "runs")


@pytest.fixture
def table4_plan(planned, tmp_path: Path) -> Plan:
    """Table 4 on a machine without its data, in a runs folder of its own."""
    return replace(planned("table4"), runs_dir=tmp_path / "runs")


@pytest.fixture
def finish(record_of) -> Finish:
    """Write the record that a run would leave and, if ``right`` is given, its predictions."""

    def leave(
        made: Plan,
        run: PlannedRun,
        *,
        status: str = "finished",
        right: Sequence[int] | None = None,
        clean: Sequence[int] | None = None,
        seconds: float | None = 2.0,
        device: str = "a CPU",
        more: dict[str, Any] | None = None,
        **metrics: float,
    ) -> RunFolder:
        name = run.run_id
        if name is None:
            named = is_named(run.identity)
            text = json.dumps(run.identity, sort_keys=True)
            name = run_id(run.identity) if named else f"elsewhere-{abs(hash(text))}"
        folder = RunFolder(made.runs_dir, name)
        if right is not None:
            metrics.setdefault("accuracy", sum(right) / len(right))
            predict(folder, right, clean)
        folder.write(
            record_of(
                folder.run_id, status=status, identity=run.identity, command=run.command,
                metrics={"val": {"accuracy": 0.5}, "test": metrics}, device=device,
                timing={"seconds_per_epoch": seconds}, **more or {},
            )
        )  # fmt: skip
        return folder

    return leave


def predict(folder: RunFolder, right: Sequence[int], clean: Sequence[int] | None) -> None:
    """Write predictions of two classes; the first is true, and predicted where ``right`` is 1."""
    folder.path.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder.predictions, "w") as file:
        file.attrs["class_names"] = ["first", "second"]
        file["logits"] = np.array([[r, 0.5] for r in right], dtype=np.float32)
        file["label"] = np.zeros(len(right), dtype=np.int64)
        file["name"] = [f"s{index}" for index in range(len(right))]
        if clean is not None:
            file["clean"] = np.array(clean, dtype=bool)
