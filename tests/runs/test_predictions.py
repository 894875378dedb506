"""Which samples were right, by the files that runs leave."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.runs.predictions import (
    Predictions,
    accuracy,
    parse,
    read_predictions,
    write_predictions,
)
from eleatt_bench.runs.record import RunFolder


def test_right_and_clean(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, "run")
    written = Predictions(
        names=np.array([b"s0", b"s1", b"s2", b"s3"]),
        labels=np.array([1, 1, 0, 0]),
        logits=np.array([[0, 1], [1, 0], [1, 0], [1, 0]], np.float32),
        class_names=("no", "yes"),
        clean=np.array([True, True, False, True]),
    )
    write_predictions(folder.predictions, written, "digits")
    whole = read_predictions(folder)
    assert whole is not None
    assert whole.names.tolist() == [b"s0", b"s1", b"s2", b"s3"]
    assert whole.class_names == ("no", "yes")
    assert whole.right.tolist() == [True, False, True, True]
    clean = read_predictions(folder, "accuracy_clean")
    assert clean is not None
    assert clean.names.tolist() == [b"s0", b"s1", b"s3"]
    assert clean.right.tolist() == [True, False, True]


@pytest.mark.parametrize("clean", [None, np.array([False, False])])
def test_what_a_run_did_not_measure_is_no_damage(
    tmp_path: Path, record_of, clean: np.ndarray | None
) -> None:
    """Its protocol tells no copies, or every test sample is one."""
    folder = RunFolder(tmp_path, "run")
    found = Predictions(
        np.array([b"s0", b"s1"]), np.array([1, 0]), np.eye(2, dtype=np.float32), ("n", "y"), clean
    )
    write_predictions(folder.predictions, found, "nucla")
    folder.write(record_of("run", 0.0))
    assert accuracy(found, "accuracy_clean") is None
    assert read_predictions(folder, "accuracy_clean") is None
    whole = read_predictions(folder)
    assert whole is not None
    assert accuracy(whole, "accuracy") == 0
    metrics = {"val": {"accuracy": 0.0}, "test": {"accuracy": 0.0, "accuracy_clean": 0.0}}
    folder.write(record_of("run", metrics=metrics))
    with pytest.raises(UserError, match="does not say which samples repeat none"):
        read_predictions(folder, "accuracy_clean")


def test_they_are_those_that_the_record_counts(trained: Path) -> None:
    (path,) = (trained / "runs").glob("*/record.json")
    folder = RunFolder(trained / "runs", path.parent.name)
    found, record = read_predictions(folder), folder.read()
    assert found is not None
    assert record is not None
    assert np.mean(found.right) == record["metrics"]["test"]["accuracy"]


def test_none_and_damaged(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, "run")
    assert read_predictions(folder) is None
    folder.path.mkdir()
    folder.predictions.write_bytes(b"not HDF5")
    with pytest.raises(UserError, match=r"h5 is damaged .* runs show run .*force=true"):
        read_predictions(folder)


@pytest.mark.parametrize(
    ("part", "content"),
    [
        ("class_names", "yn"), ("class_names", np.bytes_(b"yn")), ("class_names", [0, 1]),
        ("class_names", [[b"n"], [b"y"]]), ("class_names", [b"n", b"\xff"]),
        ("class_names", [0.5, 1.5]), ("label", [b"1"]), ("label", [0.0]), ("label", [True]),
        ("clean", [b"False"]), ("clean", [np.nan]), ("name", [7]), ("logits", [[0, 1]]),
    ],
)  # fmt: skip
def test_what_is_of_another_kind_is_no_predictions(
    tmp_path: Path, part: str, content: object
) -> None:
    found = Predictions(
        np.array([b"s"]), np.array([1]), np.array([[0, 1]], np.float32), ("n", "y"),
        np.array([True]),
    )  # fmt: skip
    path = tmp_path / "predictions.h5"
    write_predictions(path, found, "digits")
    assert parse(path.read_bytes()).class_names == ("n", "y")
    with h5py.File(path, "r+") as file:
        place = file.attrs if part == "class_names" else file
        del place[part]
        place[part] = content
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        parse(path.read_bytes())
