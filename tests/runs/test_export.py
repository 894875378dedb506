"""A run as a zip."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.runs import export as module
from eleatt_bench.runs.compact import brief
from eleatt_bench.runs.export import files_of
from eleatt_bench.runs.record import RunFolder, find_run
from eleatt_bench.runs.soundness import sound


def export(folder: RunFolder, path: Path) -> int:
    """One run with its weights."""
    return module.export({folder.run_id: files_of(folder)}, path)


def test_an_unpacked_run_is_that_run(make_run, tmp_path: Path) -> None:
    folder = make_run(0.75)
    path = tmp_path / "new" / "run.zip"
    assert export(folder, path) == path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "elsewhere")
    copy = find_run(tmp_path / "elsewhere", folder.run_id)
    assert copy.read() == folder.read()
    assert copy.status() == "finished"
    for file in (folder.config, folder.predictions, folder.checkpoints / "best.ckpt"):
        relative = file.relative_to(folder.path)
        assert (copy.path / relative).read_bytes() == file.read_bytes()
    assert [p.name for p in copy.checkpoints.iterdir()] == ["best.ckpt"]
    assert not copy.epochs.exists(), "runs of earlier versions have none"
    first = path.read_bytes()
    export(folder, path)
    assert path.read_bytes() == first, "the same run is the same file"


def test_its_curves_go_with_it(make_run, tmp_path: Path) -> None:
    folder = make_run()
    folder.epochs.write_text("epoch,lr\n1,0.5\n")
    export(folder, tmp_path / "run.zip")
    with zipfile.ZipFile(tmp_path / "run.zip") as archive:
        assert archive.read(f"{folder.run_id}/epochs.csv") == folder.epochs.read_bytes()


def test_the_weights_are_those_that_were_tested(make_run, tmp_path: Path) -> None:
    folder = make_run(trainer__selection="last")
    export(folder, tmp_path / "run.zip")
    with zipfile.ZipFile(tmp_path / "run.zip") as archive:
        assert f"{folder.run_id}/checkpoints/last.ckpt" in archive.namelist()


def test_a_zip_is_written_where_a_link_leads_and_never_to_a_pipe(make_run, tmp_path: Path) -> None:
    link, pipe = tmp_path / "link.zip", tmp_path / "pipe"
    link.symlink_to("run.zip")
    export(folder := make_run(), link)
    assert link.is_symlink()
    assert zipfile.is_zipfile(tmp_path / "run.zip")
    os.mkfifo(pipe)
    with pytest.raises(UserError, match=r"pipe is no regular file, which a zip has to be"):
        export(folder, pipe)
    assert pipe.is_fifo()


def test_what_is_not_whole_is_not_exported(make_run, tmp_path: Path) -> None:
    out = tmp_path / "run.zip"
    with pytest.raises(UserError, match="is failed: only a finished run"):
        export(make_run(status="failed"), out)
    folder = make_run(seed=1)
    with folder.held(), pytest.raises(UserError, match="is running: only a finished run"):
        export(folder, out)
    folder.predictions.unlink()
    with pytest.raises(UserError, match=r"lacks .*predictions.h5: train it again with force=true"):
        export(folder, out)
    assert not out.exists()


def test_an_archive_that_does_not_read_back_the_same_is_none(
    make_run, tmp_path: Path, monkeypatch
) -> None:
    folder, out = make_run(), tmp_path / "run.zip"
    export(folder, out)
    before = out.read_bytes()
    add = module._add

    def and_change(archive, file: Path | bytes, name: str) -> None:
        add(archive, file, name)
        if file == folder.predictions:
            file.write_bytes(b"other predictions")

    monkeypatch.setattr(module, "_add", and_change)
    with pytest.raises(UserError, match=r"predictions.h5 changed while it was exported"):
        export(folder, out)
    assert out.read_bytes() == before
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_published_run_is_sound_small_and_always_the_same(finished_run, tmp_path: Path) -> None:
    folder = finished_run(tmp_path / "runs", right=(1, 0) * 500)
    out, again = tmp_path / "run.zip", tmp_path / "again.zip"
    module.export({folder.run_id: files_of(folder, published=True)}, out)
    with zipfile.ZipFile(out) as archive:
        assert {name.rpartition("/")[2] for name in archive.namelist()} == {
            "record.json", "config.yaml", "epochs.csv", "predictions.h5",
        }  # fmt: skip
        archive.extractall(tmp_path / "elsewhere")
    copy = find_run(tmp_path / "elsewhere", folder.run_id)
    record = sound(copy)
    lines = copy.config.read_text().splitlines()
    assert {"data_dir: data", "runs_dir: runs"} < set(lines), "nobody learns of others' folders"
    whole = folder.config.read_text().splitlines()
    assert set(lines) <= {*whole, "data_dir: data", "runs_dir: runs"}
    assert not {"launcher:", "logger:"} & set(lines)
    assert record["whole_predictions_digest"] == (folder.read() or {})["predictions_digest"]
    assert copy.predictions.stat().st_size < folder.predictions.stat().st_size / 2
    assert copy.epochs.read_text() == brief(folder.epochs.read_text())
    module.export({folder.run_id: files_of(copy, published=True)}, again)
    assert again.read_bytes() == out.read_bytes(), "what is compact stays as it is"


def test_weights_that_are_not_there(finished_run, tmp_path: Path) -> None:
    folder = finished_run(tmp_path / "runs")
    with pytest.raises(UserError, match=r"lacks .*best.ckpt: .*or export it without .*--published"):
        files_of(folder)
