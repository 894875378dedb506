"""The curve of a run that goes on, is killed and continued, against what was logged."""

from __future__ import annotations

import time
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from eleatt_bench.search.curve import Curve


def test_a_curve_grows_over_the_files_of_a_continued_run(tmp_path: Path) -> None:
    curve = Curve(tmp_path / "tensorboard")
    assert curve.read() == {}
    first = SummaryWriter(str(tmp_path / "tensorboard"))
    first.add_scalar("val/accuracy", 0.25, 1)
    first.add_scalar("train/accuracy", 1.0, 1)
    first.flush()
    assert curve.read() == {1: 0.25}
    first.add_scalar("val/accuracy", 0.5, 2)
    first.close()
    assert curve.read() == {1: 0.25, 2: 0.5}
    time.sleep(1.01)  # files are told apart by the second
    second = SummaryWriter(str(tmp_path / "tensorboard"), purge_step=2)
    second.add_scalar("val/accuracy", 0.5, 2)
    second.add_scalar("val/accuracy", 0.75, 3)
    second.close()
    assert curve.read() == {1: 0.25, 2: 0.5, 3: 0.75}
    assert Curve(tmp_path / "tensorboard").read() == curve.read()


def test_a_record_that_is_not_whole_yet_is_read_when_it_is(tmp_path: Path) -> None:
    writer = SummaryWriter(str(tmp_path / "whole"))
    for epoch in (1, 2):
        writer.add_scalar("val/accuracy", epoch / 4, epoch)
    writer.close()
    (whole,) = (tmp_path / "whole").iterdir()
    content = whole.read_bytes()
    part = tmp_path / "part" / whole.name
    part.parent.mkdir()
    part.write_bytes(content[:-7])
    curve = Curve(part.parent)
    assert curve.read() == {1: 0.25}
    with part.open("ab") as file:
        file.write(content[-7:])
    assert curve.read() == {1: 0.25, 2: 0.5}
