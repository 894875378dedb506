"""Several processes train one run: the same batches, the same result, one record."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

TINY = [
    "train",
    "experiment=digits",
    "model=eleatt_gru",
    "model.hidden_size=8",
    "trainer.max_epochs=2",
    "trainer.num_threads=1",
    "data.batch_size=100",  # 1,366 training samples: the last batch is a small one
    "model.dropout=0",
    "data.transforms.time_warp=0.5",  # keyed by sample, so that it is the same in any process
    "data.transforms.noise=0.2",
]


def only_run(folder: Path) -> Path:
    (record,) = folder.glob("*/record.json")
    return record.parent


def test_two_processes_train_the_run_that_one_trains(command_line, tmp_path: Path) -> None:
    for name, where in {
        "one": ["trainer=cpu"],
        "two": ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"],
    }.items():
        done = command_line(*TINY, *where, f"runs_dir={name}")
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("epoch 2/2") == 1, "only the first process speaks"
    one, two = only_run(tmp_path / "one"), only_run(tmp_path / "two")
    assert one.name == two.name, "how a run is computed is no part of its name"
    with h5py.File(one / "predictions.h5") as a, h5py.File(two / "predictions.h5") as b:
        assert np.array_equal(a["name"][:], b["name"][:]), "no sample padded, repeated or dropped"
        # The same sums in another order, over two epochs of updates.
        np.testing.assert_allclose(b["logits"][:], a["logits"][:], rtol=1e-3, atol=1e-3)
    first, second = (json.loads((run / "record.json").read_text("utf-8")) for run in (one, two))
    for stage in ("train", "val", "test"):
        for metric, value in first["metrics"][stage].items():
            assert second["metrics"][stage][metric] == pytest.approx(value, rel=1e-3, abs=3e-3)
    assert second["device"].startswith("2 x ")


def test_a_distributed_run_continues_from_its_checkpoint(command_line, tmp_path: Path) -> None:
    ddp = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
    whole = command_line(*TINY, *ddp, "runs_dir=whole")
    assert whole.returncode == 0, whole.stderr
    run = only_run(tmp_path / "whole")
    (run / "record.json").unlink()  # as if killed between training and testing
    again = command_line(*TINY, *ddp, "runs_dir=whole")
    assert again.returncode == 0, again.stderr
    assert "continuing after epoch 2" in again.stdout
    assert json.loads((run / "record.json").read_text("utf-8"))["status"] == "finished"
