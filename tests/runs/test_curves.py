"""The curves of a run that goes on, is killed and continued, against what was logged."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
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


def test_without_names_every_curve_is_read_and_nothing_else(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_scalar(TAG, 0.5, 1)
        writer.add_text("config", "of a run", 1)
        writer.add_image("confusion", np.zeros((3, 8, 8), np.uint8), 1)
        writer.add_scalar("gate/mean_layer0", 0.25, 1)
    assert CurveReader(tmp_path).read() == {TAG: {1: 0.5}, "gate/mean_layer0": {1: 0.25}}


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=9), st.data())
def test_a_damaged_file_gives_what_stands_before_the_damage(
    values: list[float], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with SummaryWriter(folder) as writer:
            for epoch, value in enumerate(values, start=1):
                writer.add_scalar(TAG, value, epoch)
        (path,) = Path(folder).iterdir()
        content = path.read_bytes()
        place = data.draw(st.integers(0, len(content) - 1))
        damage = b"\xff" * data.draw(st.integers(0, 40))
        path.write_bytes(content[:place] + damage + content[place + len(damage) :])
        found = only(CurveReader(Path(folder), [TAG]))
        assert found == dict(list(enumerate(values, start=1))[: len(found)])


def test_it_reads_what_tensorboards_own_reader_reads(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=50).tolist()
    with SummaryWriter(str(tmp_path)) as writer:
        for epoch, value in enumerate(values, start=1):
            writer.add_scalar(TAG, value, epoch)
    (path,) = tmp_path.iterdir()
    theirs = {
        event.step: value.tensor.float_val[0]
        for event in EventFileLoader(str(path)).Load()
        for value in event.summary.value
    }
    assert only(CurveReader(tmp_path, [TAG])) == theirs
