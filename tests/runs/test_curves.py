"""Curves as a run logs them, also one that was continued."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch.utils.tensorboard import SummaryWriter

from eleatt_bench.runs.curves import read_curves
from eleatt_bench.runs.record import RunFolder


def test_a_continued_run_has_each_epoch_once(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, "run")
    for begin, end, values in ((1, 4, 1.0), (3, 6, 2.0)):  # it was killed before epoch 3 counted
        with SummaryWriter(str(folder.tensorboard), purge_step=begin) as writer:
            for epoch in range(begin, end):
                writer.add_scalar("train/loss", values / epoch, epoch)
    curves = read_curves(folder, ("train/loss", "val/loss"))
    assert curves["val/loss"] == {}
    expected = {1: 1.0, 2: 1 / 2, 3: 2 / 3, 4: 2 / 4, 5: 2 / 5}
    assert curves["train/loss"] == pytest.approx(expected, rel=1e-6)


def test_more_epochs_than_tensorboard_keeps_by_itself(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, "run")
    with SummaryWriter(str(folder.tensorboard)) as writer:
        for epoch in range(1, 12_001):
            writer.add_scalar("train/loss", epoch, epoch)
    assert len(read_curves(folder, ("train/loss",))["train/loss"]) == 12_000
