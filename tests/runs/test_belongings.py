"""What is removed or packed is what a run wrote, by name, and never what a link leads to."""

from __future__ import annotations

from pathlib import Path

import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.runs.cleaning import waste
from eleatt_bench.runs.export import files_of
from eleatt_bench.runs.record import RunFolder, all_runs


def below(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder of somebody's, with checkpoints of the usual names among others."""
    folder = tmp_path.with_name(f"{tmp_path.name}-elsewhere")
    folder.mkdir()
    for name in ("best.ckpt", "last.ckpt", "previous.ckpt", "mine.ckpt", "notes.txt"):
        (folder / name).write_bytes(name.encode())
    return folder


def linked(run: RunFolder, elsewhere: Path) -> RunFolder:
    """``run`` with its checkpoints behind a link."""
    for path in run.checkpoints.iterdir():
        path.unlink()
    run.checkpoints.rmdir()
    run.checkpoints.symlink_to(elsewhere)
    return run


def clean(runs_dir: Path) -> None:
    for one in waste(runs_dir):
        one.remove()


def test_cleaning_leaves_alone_what_no_run_wrote(make_run, tmp_path: Path, elsewhere: Path) -> None:
    linked(make_run(seed=0), elsewhere)
    run = make_run(seed=1)
    (run.checkpoints / "mine.ckpt").write_bytes(b"mine")
    link = run.checkpoints / "previous.ckpt"
    link.unlink()
    link.symlink_to(elsewhere / "previous.ckpt")
    (run.path / ".x.4194305.tmp").symlink_to(elsewhere)
    (run.path / f".x.{10**30}.tmp").write_bytes(b"no process has such an id")
    before = below(elsewhere)
    clean(tmp_path)
    assert below(elsewhere) == before
    assert sorted(path.name for path in run.checkpoints.iterdir()) == [
        "best.ckpt", "mine.ckpt", "previous.ckpt",
    ]  # fmt: skip
    assert not (run.path / f".x.{10**30}.tmp").exists()


def test_a_run_that_is_a_link_is_not_cleaned_and_goes_as_a_link(
    make_run, tmp_path: Path, elsewhere: Path
) -> None:
    run = make_run()
    target = run.path.rename(elsewhere / run.run_id)
    run.path.symlink_to(target)
    before = below(elsewhere)
    clean(tmp_path)
    assert below(elsewhere) == before
    assert [found.run_id for found in all_runs(tmp_path)] == [run.run_id]
    assert run.remove() == [f"{run.path} was a link; what it leads to, {target}, stays as it is"]
    assert below(elsewhere) == before
    assert not run.path.is_symlink()
    assert waste(tmp_path) == []


def test_a_folder_of_runs_may_be_a_link(make_run, tmp_path: Path, elsewhere: Path) -> None:
    run = make_run()
    (elsewhere / "runs").symlink_to(tmp_path)
    clean(elsewhere / "runs")
    assert [path.name for path in run.checkpoints.iterdir()] == ["best.ckpt"]
    assert RunFolder(elsewhere / "runs", run.run_id).remove() == []
    assert not run.path.exists()


def test_of_a_removed_run_stays_what_it_did_not_write(
    make_run, tmp_path: Path, elsewhere: Path
) -> None:
    run = linked(make_run(), elsewhere)
    (run.path / "attention" / "layer0").mkdir(parents=True)
    (run.path / "attention" / "layer0" / "classes.csv").write_text("ours")
    (run.path / "mine").mkdir()
    (run.path / "mine" / "thesis.tex").write_text("years")
    (run.path / "data").symlink_to(elsewhere)
    before = below(elsewhere)
    link, rest = run.remove()
    assert link == f"{run.checkpoints} was a link; what it leads to, {elsewhere}, stays as it is"
    assert rest == (f"{run.path} stays, for no run wrote what is left in it: data, mine/thesis.tex")
    assert sorted(path.name for path in run.path.iterdir()) == ["data", "mine"]
    assert below(elsewhere) == before
    assert all_runs(tmp_path) == []
    assert waste(tmp_path) == []


def test_a_link_alone_does_not_keep_a_folder(make_run, elsewhere: Path) -> None:
    run = linked(make_run(), elsewhere)
    before = below(elsewhere)
    assert len(run.remove()) == 1
    assert not run.path.exists()
    assert below(elsewhere) == before


def test_training_anew_does_not_continue_from_behind_a_link(make_run, elsewhere: Path) -> None:
    run = linked(make_run(), elsewhere)
    (run.path / "notes.txt").write_text("mine")
    before = below(elsewhere)
    with run.held():
        (said,) = run.clear()
    assert "stays as it is" in said
    assert sorted(path.name for path in run.path.iterdir()) == [".lock", "notes.txt"]
    assert below(elsewhere) == before


def test_training_anew_leaves_no_pictures_of_weights_that_are_gone(make_run) -> None:
    run = make_run()
    layer = run.path / "attention" / "layer0"
    layer.mkdir(parents=True)
    for name in ("attention.h5", "classes.csv", "classes.png"):
        (layer / name).write_text("of the old weights")
    (run.path / "attention" / "mine.txt").write_text("mine")
    with run.held():
        assert run.clear() == []
    assert [path.name for path in (run.path / "attention").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    "name", ["", "config.yaml", "predictions.h5", "checkpoints", "record.json", "epochs.csv"]
)
def test_nothing_behind_a_link_is_packed(
    make_run, tmp_path: Path, elsewhere: Path, name: str
) -> None:
    run = make_run()
    path = run.path / name
    run.epochs.touch()
    path.rename(elsewhere / "moved")
    path.symlink_to(elsewhere / "moved")
    with pytest.raises(UserError, match=r"is a link to .*only what lies in the run's own folder"):
        files_of(run)


@pytest.mark.parametrize("selection", ["../../../../secret", "/etc/passwd", "best\0", "previous"])
def test_a_record_leads_nobody_out_of_the_folder(make_run, tmp_path: Path, selection: str) -> None:
    run = make_run()
    (tmp_path.parent / "secret.ckpt").write_bytes(b"secret")
    run.write({**run.read(), "selection": selection})
    with pytest.raises(UserError, match="is damaged: only a finished run is exported"):
        files_of(run)
    assert waste(tmp_path) == []
