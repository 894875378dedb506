"""Several processes train one run: the same batches, the same result, one record."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from eleatt_bench.config.compose import compose_config
from eleatt_bench.training.run import train

TINY = [
    "train",
    "experiment=digits",
    "model=eleatt_gru",
    "model.hidden_size=8",
    "trainer.max_epochs=2",
    "trainer.num_threads=1",
    "data.batch_size=100",  # 1,366 training samples: the last batch is a small one
    "model.num_layers=2",
    "model.dropout=0.5",  # keyed by sample, as transforms are: the same in any process
    "data.transforms.time_warp=0.5",
    "data.transforms.noise=0.2",
]


def only_run(folder: Path) -> Path:
    (record,) = folder.glob("*/record.json")
    return record.parent


@pytest.mark.slow
def test_two_processes_train_the_run_that_one_trains(command_line, tmp_path: Path) -> None:
    where = [
        f"{name}_dir={tmp_path / place}" for name, place in (("data", "data"), ("runs", "one"))
    ]
    train(compose_config([*TINY[1:], "trainer=cpu", *where]), [])
    ddp = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
    done = command_line(*TINY, *ddp, "runs_dir=two")
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
    assert [record["world_size"] for record in (first, second)] == [1, 2]


@pytest.mark.slow
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


@pytest.mark.slow
def test_processes_that_pretrain_together_begin_together(command_line, tmp_path: Path) -> None:
    """The second one does not look for the first one's record, or checkpoints, too early."""
    ddp = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.num_threads=2"]
    words = [*TINY, *ddp, "pretraining=digits", "trainer.max_epochs=1"]
    done = command_line(*words, timeout=200)
    assert done.returncode == 0, done.stderr
    records = {path: json.loads(path.read_text("utf-8")) for path in tmp_path.glob("runs/*/*.json")}
    assert [record["status"] for record in records.values()] == ["finished"] * 2
    assert {record["num_threads"] for record in records.values()} == {2}, "of each process"
    for path, record in records.items():
        if "pretraining" not in record:
            path.unlink()  # it is trained again, and what it was for begins anew
    done = command_line(*words, "force=true", timeout=200)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("runs/*/record.json"))) == 2


def second_rank(folder: Path) -> int:
    """The id of the process that is rank 1 of a run which has been trained for an epoch."""
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        if any("epoch  1/" in log.read_text("utf-8") for log in folder.rglob("log.txt")):
            for path in Path("/proc").glob("[0-9]*"):
                try:
                    started_here = (path / "cwd").resolve() == folder
                    if started_here and b"\0LOCAL_RANK=1\0" in (path / "environ").read_bytes():
                        return int(path.name)
                except OSError:  # it ended, or is another user's
                    continue
        time.sleep(0.1)
    raise AssertionError("no second process")


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_process_that_dies_ends_its_run_within_seconds_and_not_the_sweep(
    command_line, user_environment: dict[str, str], tmp_path: Path
) -> None:
    command = [
        *TINY, "-m", "seed=0,1", "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2",
        "trainer.max_epochs=40", "launcher.jobs=1",
    ]  # fmt: skip
    sweep = subprocess.Popen(
        [sys.executable, "-m", "eleatt_bench", *command], cwd=tmp_path, env=user_environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    victim = second_rank(tmp_path)
    os.kill(victim, signal.SIGKILL)
    killed = time.monotonic()
    (folder,) = {path.parent for path in tmp_path.glob("runs/*/log.txt")}
    while "Another process of this run ended" not in (folder / "log.txt").read_text("utf-8"):
        assert time.monotonic() - killed < 20
        time.sleep(0.1)
    output, _ = sweep.communicate(timeout=200)
    assert sweep.returncode == 1, output
    status = {
        json.loads(path.read_text("utf-8"))["seed"]: json.loads(path.read_text("utf-8"))["status"]
        for path in tmp_path.glob("runs/*/record.json")
    }
    assert status == {0: "failed", 1: "finished"}, output
    assert re.search(r"Another process of this run ended", output)
    assert command_line(*command, timeout=200).returncode == 0
    records = [json.loads(path.read_text("utf-8")) for path in tmp_path.glob("runs/*/record.json")]
    assert [record["status"] for record in records] == ["finished"] * 2
    assert max(record["timing"]["resumed_after_epoch"] for record in records) >= 1
