"""The learning rate of every epoch, in a run that nothing happens to and in one that continues."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence

import pytest

from eleatt_bench.runs.record import RunFolder
from eleatt_bench.training.checkpoints import Checkpoints
from eleatt_bench.training.run import train

COSINE = ["scheduler=cosine"]
# What it monitors never rises after the first epoch; the four next may pass, and the fifth not.
PLATEAU = [
    "scheduler=plateau", "scheduler.monitor=lr", "scheduler.options.patience=4",
    "scheduler.options.cooldown=0",
]  # fmt: skip


def rates(folder: RunFolder) -> list[float]:
    with folder.epochs.open(encoding="utf-8", newline="") as file:
        return [float(row["lr"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [
        (COSINE, [0.0025 * (1 + math.cos(math.pi * done / 10)) for done in range(10)]),
        (PLATEAU, [0.005] * 6 + [0.0005] * 4),
    ],
    ids=["cosine", "plateau"],
)
@pytest.mark.few(1)
def test_rates_are_the_schedulers_also_where_a_run_is_stopped_and_continues(
    short_config, tmp_path, monkeypatch, scheduler: Sequence[str], expected: Sequence[float]
) -> None:
    config = short_config("trainer.max_epochs=10", *scheduler)
    undisturbed, record = train({**config, "runs_dir": str(tmp_path / "undisturbed")}, [])
    assert rates(undisturbed) == pytest.approx(expected)
    whole = Checkpoints.on_train_epoch_end

    def stopped(self: Checkpoints, *arguments: object) -> None:
        whole(self, *arguments)  # type: ignore[arg-type]
        if self.last["epoch"] == 3:
            raise RuntimeError("stopped")

    monkeypatch.setattr(Checkpoints, "on_train_epoch_end", stopped)
    with pytest.raises(RuntimeError, match="stopped"):
        train(config, [])
    monkeypatch.setattr(Checkpoints, "on_train_epoch_end", whole)
    continued, again = train(config, [])
    assert again["timing"]["resumed_after_epoch"] == 4
    assert rates(continued) == rates(undisturbed)
    assert again["metrics"] == record["metrics"]
