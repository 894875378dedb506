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
    assert [losses.too_often(job) for _ in range(2)] == [None, None]
    epochs.touch()
    assert [losses.too_often(job) for _ in range(3)] == [None, None, 3]
    os.utime(epochs, (1, 1))
    assert losses.too_often(job) is None
    assert job in losses
    assert other not in losses
    assert [losses.too_often(other) for _ in range(3)] == [None, None, 3]
