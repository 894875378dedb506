"""All files of a run say the same, or it is told which does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from eleatt_bench.runs.curves import HEADER, as_line
from eleatt_bench.runs.predictions import digest_of
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.runs.soundness import sound


def change(folder: RunFolder, **values: object) -> None:
    record = folder.read()
    assert record is not None
    folder.write({**record, **values})


def other_labels(folder: RunFolder) -> None:
    """Predictions that somebody improved, with a record of their digest."""
    with h5py.File(folder.predictions, "r+") as file:
        file["label"][...] = file["logits"][...].argmax(axis=1)
    change(folder, predictions_digest=digest_of(folder.predictions.read_bytes()))


def validate(folder: RunFolder, accuracy: float) -> None:
    """Curves whose second epoch, the tested one, has another validation accuracy."""
    lines = (as_line(epoch, {"val/accuracy": accuracy}) for epoch in (1, 2, 3))
    folder.epochs.write_text(HEADER + "".join(lines))
    change(folder, best_epoch=2)


def bomb(folder: RunFolder) -> None:
    """A gigabyte of zeros in a few kilobytes."""
    count = 1 << 27
    with h5py.File(folder.predictions, "w") as file:
        file.attrs["class_names"] = ["no", "yes"]
        for name, shape, kind in (("logits", (count, 2), "f2"), ("label", (count,), "i2"),
                                  ("name", (count,), "S1")):  # fmt: skip
            made = file.create_dataset(
                name, shape, kind, chunks=(1 << 20, *shape[1:]), compression="gzip"
            )
            made[: 1 << 10] = 0
    change(folder, predictions_digest=digest_of(folder.predictions.read_bytes()))


CASES: dict[str, tuple[Callable[[RunFolder], object], str]] = {
    "no record": (lambda run: run.record.unlink(), "record.json is missing"),
    "failed": (lambda run: change(run, status="failed"), "only a finished one counts"),
    "other accuracy": (
        lambda run: change(run, metrics={s: {"accuracy": 0.8} for s in ("val", "test")}),
        r"predictions.h5: its accuracy is 75.0000%, that of the record 80.0000%",
    ),
    "other seed": (
        lambda run: change(run, seed=77), "record.json: its seed is 77, that of its identity 0",
    ),
    "other data": (
        lambda run: change(run, data_digest="e" * 64), "record.json: its data_digest is eee",
    ),
    "other samples": (
        lambda run: change(run, samples={"train": 9, "test": 5}),
        "predictions.h5: it has 4 samples, the record 5",
    ),
    "other validation": (
        lambda run: validate(run, 0.7), r"accuracy of epoch 2 is 70.0000%, that of the record 75",
    ),
    "other labels": (other_labels, "its accuracy is 100.0000%, that of the record 75"),
    "other predictions": (
        lambda run: run.predictions.write_bytes(b"HDF"), "it is not what the record says",
    ),
    "no predictions": (lambda run: run.predictions.unlink(), "predictions.h5 is missing"),
    "bomb": (bomb, "predictions.h5: its (name|label|logits) is larger than the file"),
    "no config": (lambda run: run.config.unlink(), "config.yaml is missing"),
    "other config": (
        lambda run: run.config.write_text(run.config.read_text().replace("seed: 0", "seed: 1")),
        "config.yaml: its (data|seed) is not that of the record",
    ),
    "no config at all": (lambda run: run.config.write_text("a: 1"), "no configuration of a run"),
    "a folder": (lambda run: (run.epochs.unlink(), run.epochs.mkdir()), "epochs.csv: "),
    "fewer epochs": (
        lambda run: run.epochs.write_text(run.epochs.read_text().rpartition("3,")[0]),
        "epochs.csv: it holds 2 of 3 epochs",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_said(case: str, finished_run, tmp_path: Path) -> None:
    folder = finished_run(tmp_path)
    assert sound(folder)["run_id"] == folder.run_id
    damage, said = CASES[case]
    damage(folder)
    with pytest.raises(ValueError, match=said):
        sound(folder)


def test_a_run_under_another_name_is_none(finished_run, tmp_path: Path) -> None:
    folder = finished_run(tmp_path)
    name = folder.run_id[:-1] + ("0" if folder.run_id[-1] != "0" else "1")
    record = json.loads(folder.record.read_text())
    folder.path.rename(tmp_path / name)
    moved = RunFolder(tmp_path, name)
    with pytest.raises(ValueError, match="it is the record of"):
        sound(moved)
    moved.write({**record, "run_id": name})
    with pytest.raises(ValueError, match="its identity is that of another run"):
        sound(moved)


def test_runs_of_other_recipes_are_theirs_to_name(finished_run, tmp_path: Path) -> None:
    folder = finished_run(tmp_path)
    identity = {**(folder.read() or {})["identity"], "recipe_version": 1}
    change(folder, identity=identity)
    assert sound(folder)["identity"]["recipe_version"] == 1


@pytest.mark.parametrize("selection", ["best", "last"])
def test_the_tested_epoch_has_the_validation_accuracy_of_the_record(
    finished_run, tmp_path: Path, selection: str
) -> None:
    folder = finished_run(tmp_path)
    right, wrong = 0.75 + 1e-8, 0.5
    values = [wrong, wrong, right] if selection == "last" else [wrong, right, wrong]
    lines = (as_line(e, {"val/accuracy": value}) for e, value in enumerate(values, start=1))
    folder.epochs.write_text(HEADER + "".join(lines))
    change(folder, selection=selection, best_epoch=2)
    sound(folder)
