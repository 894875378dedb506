"""Runs put among others: whole or not at all, and never in the place of a finished one."""

from __future__ import annotations

from pathlib import Path

import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.runs.export import files_of
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.runs.soundness import sound
from eleatt_bench.runs.taking import Outcome, put, staging, take


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "here"


def taken(run: RunFolder, here: Path, *, published: bool = True) -> Outcome:
    with staging(here) as stage:
        staged = RunFolder(stage, run.run_id)
        put(files_of(run, published=published), staged)
        (outcome,) = take([staged], here).values()
    assert [path.name for path in here.glob(".*")] == [], "nothing is left of the stage"
    return outcome


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def test_a_run_is_taken_once(finished_run, tmp_path: Path, here: Path) -> None:
    run = finished_run(tmp_path / "there")
    assert taken(run, here) is Outcome.TAKEN
    found = RunFolder(here, run.run_id)
    assert found.status() == "finished"
    before = content(here)
    assert taken(run, here) is Outcome.SAME
    assert content(here) == before
    assert taken(found, tmp_path / "there") is Outcome.SAME, "published or not"


def test_a_finished_one_stays(finished_run, tmp_path: Path, here: Path) -> None:
    run = finished_run(tmp_path / "there")
    mine = finished_run(here, right=(1, 0, 0, 0))
    before = content(here)
    assert taken(run, here) is Outcome.OTHER
    mine.record.write_text("{")
    assert taken(run, here) is Outcome.DAMAGED
    mine.record.write_bytes(before[f"{run.run_id}/record.json"])
    assert content(here) == before


def test_what_the_one_that_stays_lacks_is_told(finished_run, tmp_path: Path, here: Path) -> None:
    run = finished_run(tmp_path / "there")
    run.checkpoints.mkdir()
    (run.checkpoints / "best.ckpt").write_bytes(b"weights")
    assert taken(run, here) is Outcome.TAKEN
    before = content(here)
    assert taken(run, here, published=False) is Outcome.LESS
    assert content(here) == before
    mine = RunFolder(here, run.run_id)
    mine.remove()
    assert taken(run, here, published=False) is Outcome.TAKEN
    assert taken(run, here, published=False) is Outcome.SAME
    assert taken(run, here) is Outcome.SAME, "less is given"
    (mine.checkpoints / "best.ckpt").unlink()
    assert taken(run, here, published=False) is Outcome.LESS


def test_one_that_is_being_trained_is_left_alone(finished_run, tmp_path: Path, here: Path) -> None:
    run = finished_run(tmp_path / "there")
    mine = RunFolder(here, run.run_id)
    with mine.held():
        mine.log.write_text("epoch 1")
        assert taken(run, here) is Outcome.BUSY
    assert content(here) == {f"{run.run_id}/log.txt": b"epoch 1"}


def test_files_that_no_run_wrote_stay_where_a_run_makes_room(
    finished_run, tmp_path: Path, here: Path
) -> None:
    run = finished_run(tmp_path / "there")
    mine = finished_run(here)
    mine.write({**mine.read(), "status": "running"})
    mine.checkpoints.mkdir()
    for name in ("notes.txt", "checkpoints/mine.pt", "checkpoints/last.ckpt"):
        (mine.path / name).write_text("hello")
    assert taken(run, here) is Outcome.TAKEN
    assert sound(mine)["status"] == "finished"
    found = content(mine.path)
    assert found["notes.txt"] == found["checkpoints/mine.pt"] == b"hello"
    assert "checkpoints/last.ckpt" not in found


def test_what_is_taken_in_parts_is_no_run_before_its_record(
    finished_run, tmp_path: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished_run(tmp_path / "there")
    mine = finished_run(here)
    mine.write({**mine.read(), "status": "running"})
    replace = Path.replace

    def killed(source: Path, target: Path) -> Path:
        if target == mine.record:
            raise KeyboardInterrupt
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        taken(run, here)
    assert mine.status() == "interrupted"
    monkeypatch.setattr(Path, "replace", replace)
    assert taken(run, here) is Outcome.TAKEN
    assert sound(mine)["status"] == "finished"


@pytest.mark.parametrize("status", ["failed", "running", None])
def test_one_that_is_not_finished_makes_room(finished_run, tmp_path, here, status) -> None:
    run = finished_run(tmp_path / "there")
    mine = finished_run(here)
    mine.log.write_text("epoch 1")
    if status is None:
        mine.record.unlink()
    else:
        mine.write({**(mine.read() or {}), "status": status})
    assert taken(run, here) is Outcome.TAKEN
    assert mine.status() == "finished"
    assert not mine.log.exists(), "nothing of the other is left"


def test_nothing_is_put_behind_a_link(finished_run, tmp_path: Path, here: Path) -> None:
    run = finished_run(tmp_path / "there")
    here.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (here / run.run_id).symlink_to(elsewhere)
    with pytest.raises(UserError, match="is a link to"):
        taken(run, here)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("name", ["..", ".hidden", "a/b", "", "a" * 300, "a\n"])
def test_names_that_are_none(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no name of a run"):
        put({"record.json": b"{}"}, RunFolder(tmp_path, name))
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_makes_room(finished_run, tmp_path: Path, here: Path) -> None:
    run = finished_run(tmp_path / "there")
    (here / run.run_id).mkdir(parents=True)
    assert taken(run, here) is Outcome.TAKEN
    assert RunFolder(here, run.run_id).status() == "finished"
