"""Predictions and curves in little room: what stays as it was, and what within bounds."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import softmax

from eleatt_bench.runs.compact import below_highest, brief, compact, placeless, same, written
from eleatt_bench.runs.curves import COLUMNS, HEADER, as_line
from eleatt_bench.runs.predictions import Predictions, parse

LOGITS = arrays(
    np.float32,
    st.tuples(st.integers(1, 6), st.integers(2, 120)),
    elements=st.one_of(
        st.floats(-(2.0**100), 2.0**100, width=32),
        st.floats(-(2.0**-20), 2.0**-20, width=32),  # ties, and all but ties
        st.floats(-8.0, 8.0, width=32),  # where rounding has the most effect
        st.floats(-20.0, 0.0, width=32),  # where steps grow
        st.sampled_from([0.0, 1.0, 1.0 + 2**-23, -2.0]),
    ),
)


@settings(max_examples=300, deadline=None)
@given(LOGITS)
def test_every_prediction_is_what_it_was(logits: npt.NDArray[np.float32]) -> None:
    kept = below_highest(logits)
    assert np.isfinite(kept).all()
    assert (kept.argmax(axis=1) == logits.argmax(axis=1)).all()
    highest = logits == logits.max(axis=1, keepdims=True)
    assert ((kept == 0) == highest).all(), "whoever was below stays below"
    order = np.argsort(logits, axis=1, kind="stable")
    assert (np.diff(np.take_along_axis(kept, order, axis=1), axis=1) >= 0).all()
    exact = softmax(logits.astype(np.float64), axis=1)
    assert abs(softmax(kept.astype(np.float64), axis=1) - exact).max() < 1e-3
    assert np.array_equal(below_highest(kept.astype(np.float32)), kept)


def test_a_file_is_small_and_has_the_rest_as_it_was() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 4, (10_000, 10)).astype(np.float32)
    found = Predictions(
        names=np.array([f"test_{index:05}".encode() for index in range(10_000)]),
        labels=random.integers(0, 10, 10_000),
        logits=logits,
        class_names=tuple("0123456789"),
        clean=random.integers(0, 2, 10_000).astype(bool),
    )
    content = written(found, "mnist")
    assert len(content) < 200_000, "ten of these and 290 of N-UCLA's stay below 15 MB"
    read = parse(content)
    assert (read.predicted == found.predicted).all()
    assert (read.names == found.names).all()
    assert (read.labels == found.labels).all()
    assert read.clean is not None
    assert (read.clean == found.clean).all()
    assert read.class_names == found.class_names
    assert written(read, "mnist") == written(found, "mnist") == content


def test_a_record_vouches_for_them_and_tells_the_same_run(finished_run, tmp_path) -> None:
    folder, other = finished_run(tmp_path), finished_run(tmp_path, seed=1)
    record = folder.read()
    small, _ = compact(folder, record)
    assert small["predictions_digest"] != record["predictions_digest"]
    assert same(small, record)
    assert not same(small, other.read())
    unverified = {key: value for key, value in record.items() if key != "predictions_digest"}
    assert "predictions_digest" not in compact(folder, unverified)[0]


@pytest.mark.parametrize("where", ["/home/someone", "/its mine's", "'"])
def test_it_names_no_folders(finished_run, tmp_path: Path, where: str) -> None:
    said = ["experiment=digits", f"runs_dir={where}", "seed=1", f"++data_dir={where}"]
    folder = finished_run(
        tmp_path, overrides=said, command=shlex.join(["eleatt-bench", "train", *said])
    )
    record = folder.read()
    small, _ = compact(folder, record)
    assert small["command"] == "eleatt-bench train experiment=digits seed=1"
    assert small["overrides"] == ["experiment=digits", "seed=1"]
    assert same(small, record)


def test_it_names_no_accounts_and_no_passwords(finished_run, tmp_path: Path) -> None:
    own = [
        *("launcher=slurm", "launcher.account=mine", "+launcher.env.KEY=se cret", "logger=mlflow"),
        "+logger.mlflow.tracking_uri=http://me:pass@host",
    ]
    said = ["experiment=digits", *own, "trainer=gpu", "seed=1"]
    folder = finished_run(
        tmp_path, overrides=said, command=shlex.join(["eleatt-bench", "train", *said])
    )
    record = folder.read()
    small, _ = compact(folder, record)
    assert small["overrides"] == ["experiment=digits", "trainer=gpu", "seed=1"]
    assert small["command"] == "eleatt-bench train experiment=digits trainer=gpu seed=1"
    assert same(small, record)
    services = "launcher:\n  account: mine\n  env: {}\nlogger:\n  mlflow:\n    a: b\n"
    config = f"data:\n  name: x\n{services}seed: 1\nruns_dir: /me\n"
    assert placeless(config) == "data:\n  name: x\nseed: 1\nruns_dir: runs\n"


def test_a_command_that_no_shell_reads_stays(finished_run, tmp_path: Path) -> None:
    folder = finished_run(tmp_path, command="it's")
    assert compact(folder, folder.read())[0]["command"] == "it's"


def test_damaged_ones_are_not_made_compact(finished_run, tmp_path) -> None:
    folder = finished_run(tmp_path)
    folder.predictions.write_bytes(folder.predictions.read_bytes()[:-1])
    with pytest.raises(ValueError, match="not what the record says"):
        compact(folder, folder.read())


LINES = st.lists(
    st.lists(st.none() | st.floats(width=32) | st.floats(), min_size=6, max_size=6), max_size=5
)


@settings(deadline=None)
@given(LINES)
def test_curves_say_the_same_in_single_precision(lines: list[list[float | None]]) -> None:
    names = COLUMNS[1:]
    text = HEADER
    for epoch, values in enumerate(lines, start=1):
        known = {name: v for name, v in zip(names, values, strict=True) if v is not None}
        text += as_line(epoch, known)
    short = brief(text)
    assert brief(short) == short
    assert len(short) <= len(text)
    assert short.startswith(HEADER)
    before, after = ([line.split(",") for line in t.splitlines()] for t in (text, short))
    assert [len(line) for line in before] == [len(line) for line in after]
    for old, new in zip(before[1:], after[1:], strict=True):
        assert old[:1] == new[:1]
        for name, one, other in zip(names, old[1:], new[1:], strict=True):
            if not one:
                assert not other
            elif name == "seconds":
                assert float(other) == pytest.approx(float(one), rel=1e-15, abs=0.5001e-3)
            else:
                with np.errstate(over="ignore"):
                    assert np.float32(float(one)) == np.float32(float(other))
                    lossy = np.float32(float(one)) != float(one)
                assert one == other or not lossy


def test_digits_that_training_never_had_are_gone() -> None:
    line = (
        "5,0.0028703181864639014,0.04798681288957596,0.9850000143051147,,0.9879999756813049,26.5141"
    )
    short = "5,0.0028703181864639014,0.047986813,0.985,,0.988,26.514"
    assert brief(f"{HEADER}{line}\n") == f"{HEADER}{short}\n"
