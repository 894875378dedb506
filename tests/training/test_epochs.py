"""epochs.csv of a run that continues from a checkpoint, whatever became of the file meanwhile."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from eleatt_bench.config.compose import compose_config
from eleatt_bench.runs.curves import HEADER
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.training.run import train

SMALL = ["experiment=digits", "model.hidden_size=4", "trainer.num_threads=1"]


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, list[str]]:
    """A run of five epochs with the checkpoint of the fourth, and the lines it had in the end."""
    top = tmp_path_factory.mktemp("interrupted")
    where = [f"data_dir={top / 'data'}", f"runs_dir={top / 'runs'}"]
    folder, _ = train(compose_config([*SMALL, *where, "trainer.max_epochs=5"]), [])
    lines = folder.epochs.read_text(encoding="utf-8").splitlines(keepends=True)
    folder.record.unlink()
    (folder.checkpoints / "previous.ckpt").replace(folder.checkpoints / "last.ckpt")
    return folder, lines


@pytest.fixture
def go_on(interrupted, tmp_path: Path) -> Callable[[Callable[[RunFolder], None]], list[str]]:
    """Do something to a copy of the run, continue it; what it said of epochs.csv, and its lines."""
    folder, _ = interrupted
    where = [f"data_dir={folder.path.parents[1] / 'data'}", f"runs_dir={tmp_path / 'runs'}"]

    def do(damage: Callable[[RunFolder], None]) -> list[str]:
        copy = RunFolder(tmp_path / "runs", folder.run_id)
        shutil.copytree(folder.path, copy.path)
        damage(copy)
        _, record = train(compose_config([*SMALL, *where, "trainer.max_epochs=5"]), [])
        assert record["timing"]["resumed_after_epoch"] == 4
        return copy.epochs.read_text(encoding="utf-8").splitlines(keepends=True)

    return do


def values(line: str) -> list[str]:
    """Without the seconds."""
    return line.split(",")[:-1]


@pytest.mark.parametrize(
    "kept",
    [(6, ""), (6, "6,0.001,0."), (5, ""), (5, "5"), (5, "5,1,2,3,4,5,6\n5,1,2,3,4,5,6\n")],
    ids=["beyond", "beyond and half", "as far", "half a line", "strange lines"],
)
@pytest.mark.few(1)
def test_what_is_beyond_the_checkpoint_is_cut(interrupted, go_on, kept, capsys) -> None:
    _, lines = interrupted
    count, tail = kept
    found = go_on(lambda run: run.epochs.write_text("".join(lines[:count]) + tail))
    assert found[:5] == lines[:5], "the seconds, too"
    assert [values(line) for line in found] == [values(line) for line in lines]
    assert "epochs.csv" not in capsys.readouterr().out


def remove(run: RunFolder) -> None:
    run.epochs.unlink()


def cut(run: RunFolder) -> None:
    content = run.epochs.read_bytes()
    run.epochs.write_bytes(content[: content.index(b"\n3,") + 5])


def fill(run: RunFolder) -> None:
    run.epochs.write_bytes(b"\0" * 500)


@pytest.mark.parametrize(("damage", "lost"), [(remove, 1), (cut, 3), (fill, 1)])
@pytest.mark.few(1)
def test_lost_lines_come_from_the_event_files(interrupted, go_on, damage, lost, capsys) -> None:
    _, lines = interrupted
    found = go_on(damage)
    assert f"epochs.csv lacks the epochs from {lost} on" in capsys.readouterr().out
    assert len(found) == len(lines)
    assert found[:lost] == lines[:lost]
    for ours, theirs in zip(found[lost:5], lines[lost:5], strict=True):
        assert ours.endswith(",\n"), "the seconds are not known"
        a, b = values(ours), values(theirs)
        assert (a[0], a[2:]) == (b[0], b[2:])
        assert float(a[1]) == pytest.approx(float(b[1]), rel=1e-7)
    assert values(found[4]) == values(lines[4]), "the checkpoint's own epoch is whole"
    assert values(found[5]) == values(lines[5])


def test_without_event_files_the_checkpoint_tells_of_its_epochs_and_the_others_stay_empty(
    interrupted, go_on
) -> None:
    _, lines = interrupted

    def damage(run: RunFolder) -> None:
        run.epochs.unlink()
        shutil.rmtree(run.tensorboard)

    found = go_on(damage)
    assert found[0] == HEADER
    assert [line.split(",")[0] for line in found[1:]] == ["1", "2", "3", "4", "5"]
    assert found[1] == "1,,,,,,\n"
    assert values(found[4]) == values(lines[4])
    assert values(found[5]) == values(lines[5])


@pytest.mark.slow
def test_force_begins_the_file_anew(interrupted, tmp_path: Path) -> None:
    folder, lines = interrupted
    copy = RunFolder(tmp_path / "runs", folder.run_id)
    shutil.copytree(folder.path, copy.path)
    data_dir = folder.path.parents[1] / "data"
    where = [f"data_dir={data_dir}", f"runs_dir={tmp_path / 'runs'}", "force=true"]
    train(compose_config([*SMALL, *where, "trainer.max_epochs=5"]), [])
    found = copy.epochs.read_text(encoding="utf-8").splitlines(keepends=True)
    assert [values(line) for line in found] == [values(line) for line in lines]
    assert found[1:] != lines[1:], "other seconds"
