"""The curves of a run that goes on, is killed and continued, of an earlier version, damaged."""

from __future__ import annotations

import math
import os
import shutil
import struct
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from eleatt_bench.common.files import append, write_text
from eleatt_bench.runs import curves as module
from eleatt_bench.runs.curves import COLUMNS, HEADER, Curve, CurveReader, as_line, logged
from eleatt_bench.runs.record import RunFolder

TAG = "val/accuracy"
Numbers = st.lists(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=6, max_size=6),
    min_size=1,
    max_size=6,
)


def line(epoch: int, accuracy: float) -> str:
    return as_line(epoch, dict.fromkeys(COLUMNS[1:], 0.125) | {TAG: accuracy})


def whole(rows: list[list[float]]) -> str:
    lines = (as_line(e, dict(zip(COLUMNS[1:], row, strict=True))) for e, row in enumerate(rows, 1))
    return HEADER + "".join(lines)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    (tmp_path / "run").mkdir()
    return RunFolder(tmp_path, "run")


def test_the_format_is_plain_csv_in_full_precision() -> None:
    assert HEADER == "epoch,lr,train/loss,train/accuracy,val/loss,val/accuracy,seconds\n"
    values = dict(zip(COLUMNS[1:], (1e-5, 1 / 3, 1, 2.5, 0.1 + 0.2, 12.0), strict=True))
    assert as_line(7, values) == "7,1e-05,0.3333333333333333,1.0,2.5,0.30000000000000004,12.0\n"
    assert as_line(1, {TAG: 0.5, "lr": math.nan}) == "1,,,,,0.5,\n"


@settings(deadline=None)
@given(Numbers)
def test_what_is_written_is_read_to_the_last_bit(record_of, rows: list[list[float]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = RunFolder(Path(name), "run")
        write_text(folder.epochs, whole(rows))
        reader = CurveReader(folder)
        found = reader.read()
        assert list(found) == list(COLUMNS[1:])
        columns = [list(column) for column in zip(*rows, strict=True)]
        assert [list(curve.values()) for curve in found.values()] == columns
        assert all(list(curve) == list(range(1, len(rows) + 1)) for curve in found.values())
        folder.write(record_of("run", epochs=len(rows)))
        assert reader.damage() == ""


def test_a_curve_grows_with_the_run_and_a_half_line_is_read_when_it_is_whole(
    folder: RunFolder,
) -> None:
    reader = CurveReader(folder)
    assert reader.read() == {name: {} for name in COLUMNS[1:]}
    write_text(folder.epochs, HEADER)
    assert reader.read()[TAG] == {}
    append(folder.epochs, line(1, 0.25))
    assert reader.read()[TAG] == {1: 0.25}
    second = line(2, 0.5)
    append(folder.epochs, second[:-9])
    assert reader.read()[TAG] == {1: 0.25}
    assert reader.damage() == ""
    append(folder.epochs, second[-9:])
    assert reader.read()[TAG] == {1: 0.25, 2: 0.5}
    assert reader.epochs == 2


def test_only_what_is_new_is_read(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    take = CurveReader._take
    monkeypatch.setattr(
        CurveReader, "_take", lambda self, c: (sizes.append(len(c)), take(self, c))[1]
    )
    reader = CurveReader(folder)
    write_text(folder.epochs, HEADER)
    for epoch in range(1, 4):
        append(folder.epochs, line(epoch, 0.5))
        reader.read()
    assert sizes == [len(HEADER + line(1, 0.5)), *[len(line(1, 0.5))] * 2]


@pytest.mark.parametrize("again", [0.625, 0.0078125], ids=["shorter", "longer"])
def test_a_file_that_was_cut_to_its_checkpoint_is_read_anew(
    folder: RunFolder, again: float
) -> None:
    reader = CurveReader(folder)
    write_text(folder.epochs, HEADER + line(1, 0.25) + line(2, 0.5))
    assert reader.read()[TAG] == {1: 0.25, 2: 0.5}
    write_text(folder.epochs, HEADER + line(1, 0.25))
    append(folder.epochs, line(2, again) + line(3, 0.75))
    assert reader.read()[TAG] == {1: 0.25, 2: again, 3: 0.75}
    folder.epochs.unlink()
    assert reader.read()[TAG] == {}


@pytest.mark.parametrize(
    "bad",
    ["", "2", "2,,,,,", "2,,,,,,,", "1,,,,,,", "3,,,,,,", "0,,,,,,", "-2,,,,,,", "2.0,,,,,,",
     "2,nan,,,,,", "2,inf,,,,,", "2,1e999,,,,,", "2,1_0,,,,,", "2, 1,,,,,", "2,0x1,,,,,",
     "2,e,,,,,", "2,1.0.0,,,,,", "2,,,,,,\r", "2,\u0661,,,,,", "9" * 5000, "2," + "\0" * 100,
     '"2",,,,,,', "=1+1,,,,,,"],
)  # fmt: skip
def test_a_line_that_is_none_ends_the_curves_and_is_named(folder: RunFolder, bad: str) -> None:
    write_text(folder.epochs, HEADER + line(1, 0.25) + bad + "\n" + line(3, 0.5))
    reader = CurveReader(folder)
    for _ in range(2):
        assert reader.read()[TAG] == {1: 0.25}
        assert "epochs.csv is damaged: it has " in reader.damage()
        assert "in line 3. The curves end there; " in reader.damage()


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"a,b\n1,2\n", "does not begin with epoch,lr"), (b"\xff\xfe\n", "does not begin with"),
     (b"", "holds 0 of 2 epochs"), (HEADER[:9].encode(), "holds 0 of 2"),
     ((HEADER + line(1, 0.5)).encode(), "holds 1 of 2"),
     ((HEADER + line(1, 0.5) + line(2, 0.5))[:-1].encode(), "holds 1 of 2"),
     ((HEADER + line(1, 0.5) + line(2, 0.5) + line(3, 0.5)).encode(), "holds 3 of 2")],
)  # fmt: skip
def test_a_file_that_is_not_that_of_its_record_is_named(
    folder: RunFolder, content: bytes, said: str, record_of
) -> None:
    folder.epochs.write_bytes(content)
    reader = CurveReader(folder)
    folder.write(record_of(folder.run_id, epochs=2))
    reader.read()
    assert said in reader.damage()


def test_a_huge_file_is_not_read(folder: RunFolder) -> None:
    with folder.epochs.open("wb") as file:
        file.truncate(1 << 40)
    reader = CurveReader(folder)
    assert reader.read()[TAG] == {}
    assert "is larger than any is" in reader.damage()


@settings(deadline=None)
@given(Numbers, st.data())
def test_whatever_is_damaged_what_stands_before_it_is_read(
    rows: list[list[float]], data: st.DataObject
) -> None:
    content = whole(rows).encode()
    place = data.draw(st.integers(0, len(content) - 1))
    damage = data.draw(st.binary(max_size=20))
    before = content[:place].count(b"\n")
    with tempfile.TemporaryDirectory() as name:
        folder = RunFolder(Path(name), "run")
        folder.epochs.parent.mkdir()
        folder.epochs.write_bytes(content[:place] + damage + content[place + len(damage) :])
        found = list(CurveReader(folder).read()["lr"].values())
    sure = max(0, before - 1)
    assert found[:sure] == [row[0] for row in rows[:sure]]
    assert all(map(math.isfinite, found))


# Runs of earlier versions, and what only TensorBoard has


def events(folder: RunFolder, *epochs: tuple[int, float], **options: int) -> None:
    with SummaryWriter(str(folder.tensorboard), **options) as writer:
        for epoch, value in epochs:
            writer.add_scalar(TAG, value, epoch)
            writer.add_scalar("optimizer/lr", 0.5, epoch)


def test_without_the_file_the_curves_are_those_of_the_event_files(
    folder: RunFolder, record_of
) -> None:
    events(folder, (1, 0.25), (2, 0.5))
    reader = CurveReader(folder)
    found = reader.read()
    assert list(found) == list(COLUMNS[1:])
    assert (found[TAG], found["lr"], found["seconds"]) == ({1: 0.25, 2: 0.5}, {1: 0.5, 2: 0.5}, {})
    folder.write(record_of(folder.run_id, epochs=9))
    assert reader.damage() == "", "a file that is not there is not damaged"
    folder.record.unlink()
    assert sorted(path.name for path in folder.path.iterdir()) == ["tensorboard"]
    write_text(folder.epochs, HEADER + line(1, 0.75))
    assert reader.read()[TAG] == {1: 0.75}, "the run goes on by this version"


def test_of_a_continued_run_the_second_time_counts(folder: RunFolder) -> None:
    events(folder, (1, 0.25), (2, 0.5), (3, 0.5))
    time.sleep(1.01)  # files are told apart by the second
    events(folder, (2, 0.75), purge_step=2)
    theirs = EventAccumulator(str(folder.tensorboard)).Reload().Scalars(TAG)
    assert (
        logged(folder.tensorboard)[TAG] == {e.step: e.value for e in theirs} == {1: 0.25, 2: 0.75}
    )


def test_every_curve_is_read_and_nothing_else(folder: RunFolder) -> None:
    with SummaryWriter(str(folder.tensorboard)) as writer:
        writer.add_text("config", "of a run", 1)
        writer.add_image("confusion", np.zeros((3, 8, 8), np.uint8), 1)
        for epoch in range(1, 1501):  # TensorBoard's pages keep a thousand
            writer.add_scalar("gate/mean_layer0", 1 / epoch, epoch)
        writer.add_scalar("optimizer/grad_norm", math.inf, 1)
    found = logged(folder.tensorboard)
    assert found["gate/mean_layer0"] == {e: float(np.float32(1 / e)) for e in range(1, 1501)}
    assert math.isnan(found["optimizer/grad_norm"][1]), "a gap, not a number"
    assert found.keys() == {"gate/mean_layer0", "optimizer/grad_norm"}


def test_event_files_are_read_once_for_as_long_as_they_are_the_same(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    read = module._from_events
    monkeypatch.setattr(module, "_from_events", lambda paths: (reads.append(1), read(paths))[1])
    events(folder, (1, 0.25))
    for _ in range(3):
        assert logged(folder.tensorboard)[TAG] == {1: 0.25}
    assert len(reads) == 1
    (path,) = folder.tensorboard.iterdir()
    os.utime(path, (1, 1))
    logged(folder.tensorboard)
    assert len(reads) == 2
    shutil.copytree(folder.path, folder.path.with_name("other"))
    logged(folder.path.with_name("other") / "tensorboard")
    assert len(reads) == 3


def test_a_cache_that_cannot_be_written_costs_time_alone(
    folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    events(folder, (1, 0.25))
    assert logged(folder.tensorboard)[TAG] == {1: 0.25}


@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=9), st.data())
def test_a_damaged_event_file_gives_what_stands_before_the_damage(
    values: list[float], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name:
        with SummaryWriter(name) as writer:
            for epoch, value in enumerate(values, start=1):
                writer.add_scalar(TAG, value, epoch)
        (path,) = Path(name).iterdir()
        content = path.read_bytes()
        place = data.draw(st.integers(0, len(content) - 1))
        damage = b"\xff" * data.draw(st.integers(0, 40))
        path.write_bytes(content[:place] + damage + content[place + len(damage) :])
        found: Curve = logged(Path(name)).get(TAG, {})
        assert found == dict(list(enumerate(values, start=1))[: len(found)])
        ends, at = [], 0
        while at < len(content):  # a record is a length, its checksum, itself, and its checksum
            at += 16 + struct.unpack_from("<Q", content, at)[0]
            ends.append(at)
        assert len(found) >= sum(end <= place for end in ends[-len(values) :])
