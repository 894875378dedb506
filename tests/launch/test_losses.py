"""A job may be lost often if it gets on, and a few times if it does not."""

from __future__ import annotations

import os
from pathlib import Path

from eleatt_bench.launch.losses import Losses
from eleatt_bench.launch.process import Job


def test_losing_a_job_counts_until_it_gets_on(tmp_path: Path) -> None:
    epochs = tmp_path / "epochs.csv"
    job = Job(("train",), "job", tmp_path / "log", grows=epochs)
    other = Job(("eval",), "other", tmp_path / "log")
    losses = Losses(2)
    told = "node lost, 3 times without the end of an epoch between them"

    def lose(job: Job, often: int) -> list[str | None]:
        return [losses.too_often(job, "node lost") for _ in range(often)]

    assert lose(job, 2) == [None, None]
    epochs.touch()
    assert lose(job, 3) == [None, None, told]
    os.utime(epochs, (1, 1))
    assert lose(job, 1) == [None]
    assert job in losses
    assert other not in losses
    assert lose(other, 3) == [None, None, told]
