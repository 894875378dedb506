"""The curves of a run that goes on, is killed and continued, against what was logged."""

from __future__ import annotations

import time
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from eleatt_bench.runs.curves import Curve, CurveReader

TAG = "val/accuracy"


def only(reader: CurveReader) -> Curve:
    (curve,) = reader.read().values()
    return curve


def test_a_curve_grows_over_the_files_of_a_continued_run(tmp_path: Path) -> None:
    folder = tmp_path / "tensorboard"
    reader = CurveReader(folder, [TAG, "train/loss"])
    assert reader.read() == {TAG: {}, "train/loss": {}}
    first = SummaryWriter(str(folder))
    first.add_scalar(TAG, 0.25, 1)
    first.add_scalar("train/accuracy", 1.0, 1)
    first.flush()
    assert reader.read() == {TAG: {1: 0.25}, "train/loss": {}}
    first.add_scalar(TAG, 0.5, 2)
    first.add_scalar("train/loss", 8.0, 2)
    first.close()
    assert reader.read() == {TAG: {1: 0.25, 2: 0.5}, "train/loss": {2: 8.0}}
    time.sleep(1.01)  # files are told apart by the second
    second = SummaryWriter(str(folder), purge_step=2)
    second.add_scalar(TAG, 0.625, 2)  # as if the epoch had come out otherwise
    second.add_scalar(TAG, 0.75, 3)
    second.close()
    assert reader.read()[TAG] == {1: 0.25, 2: 0.625, 3: 0.75}
    assert CurveReader(folder, [TAG, "train/loss"]).read() == reader.read()


def test_a_record_that_is_not_whole_yet_is_read_when_it_is(tmp_path: Path) -> None:
    writer = SummaryWriter(str(tmp_path / "whole"))
    for epoch in (1, 2):
        writer.add_scalar(TAG, epoch / 4, epoch)
    writer.close()
    (whole,) = (tmp_path / "whole").iterdir()
    content = whole.read_bytes()
    part = tmp_path / "part" / whole.name
    part.parent.mkdir()
    part.write_bytes(content[:-7])
    reader = CurveReader(part.parent, [TAG])
    assert only(reader) == {1: 0.25}
    with part.open("ab") as file:
        file.write(content[-7:])
    assert only(reader) == {1: 0.25, 2: 0.5}


def test_no_epoch_is_left_out_of_a_long_curve(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as writer:
        for epoch in range(1, 12_001):  # TensorBoard itself would keep a thousand
            writer.add_scalar(TAG, epoch, epoch)
    assert len(only(CurveReader(tmp_path, [TAG]))) == 12_000
