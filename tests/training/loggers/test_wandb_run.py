"""Weights & Biases offline, for real: what its files hold of runs of the command line."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from eleatt_bench.runs.record import all_runs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("wandb") is None, reason="no extra wandb: make test-loggers"),
    pytest.mark.timeout(900),
]

SMALL = ("experiment=digits", "model.hidden_size=8", "trainer.num_threads=1")
OFFLINE = ("logger=wandb", "logger.wandb.mode=offline")


def records(path: Path) -> Iterator[Any]:
    """What is in a ``.wandb`` file: LevelDB's log format, of protocol buffers."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, offset, parts = path.read_bytes(), 7, b""
    while offset + 7 <= len(content):
        if 32_768 - offset % 32_768 < 7:  # the end of a block
            offset += 32_768 - offset % 32_768
        _, length, kind = struct.unpack_from("<IHB", content, offset)
        parts += content[offset + 7 : offset + 7 + length]
        offset += 7 + length
        if kind in (1, 4):  # a whole one, or the end of one
            yield Record.FromString(parts)
            parts = b""


def history(path: Path) -> list[dict[str, float]]:
    """The rows that were logged."""
    rows = []
    for record in records(path):
        if record.WhichOneof("record_type") == "history":
            items = {i.key or "/".join(i.nested_key): i.value_json for i in record.history.item}
            rows.append({key: json.loads(value) for key, value in items.items()})
    return rows


def files(tmp_path: Path) -> list[Path]:
    return sorted(tmp_path.glob("runs/wandb/offline-run-*/run-*.wandb"))


def test_a_run_leaves_its_curves_settings_and_results(command_line, tmp_path: Path) -> None:
    done = command_line("train", "-m", *SMALL, *OFFLINE, "data.limit=64", "trainer.max_epochs=2",
                        "seed=0,1", timeout=600)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = files(tmp_path)
    folders = {folder.run_id: folder for folder in all_runs(tmp_path / "runs")}
    assert len(found) == len(folders) == 2
    groups = set()
    for path in found:
        (of_run, *_) = [r.run for r in records(path) if r.WhichOneof("record_type") == "run"]
        folder = folders.pop(of_run.display_name)
        groups.add(of_run.run_group)
        ids = json.loads((folder.loggers / "ids.json").read_text("utf-8"))
        assert path.name == f"run-{of_run.run_id}.wandb"
        assert (ids["wandb"]["id"], of_run.project) == (of_run.run_id, "eleatt-bench")
        first, second, results = history(path)
        assert [row["trainer/global_step"] for row in (first, second)] == [1, 2]
        record = folder.read()
        assert results["result/test_accuracy"] == record["metrics"]["test"]["accuracy"]
        losses = [line.split(",")[2] for line in folder.epochs.read_text().splitlines()[1:]]
        assert [repr(row["train/loss"]) for row in (first, second)] == losses
        settings = {
            update.key: update.value_json
            for r in records(path) if r.WhichOneof("record_type") in ("config", "run")
            for update in (r.config.update if r.HasField("config") else r.run.config.update)
        }  # fmt: skip
        assert json.loads(settings["optimizer"])["lr"] == 0.005
    (group,) = groups
    assert group.startswith("digits-"), "the sweep"


def test_a_killed_run_goes_on_in_the_same_run_with_every_epoch_once(
    command_line, tmp_path: Path, user_environment
) -> None:
    overrides = (*SMALL, *OFFLINE, "trainer.max_epochs=5")
    with subprocess.Popen(
        [sys.executable, "-m", "eleatt_bench", "train", *overrides],
        cwd=tmp_path, env=user_environment | {"PYTHONUNBUFFERED": "1"}, text=True,
        stdout=subprocess.PIPE, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            if "epoch 3/5" in line:
                break
        os.killpg(process.pid, signal.SIGKILL)
    (folder,) = all_runs(tmp_path / "runs")
    before = json.loads((folder.loggers / "ids.json").read_text("utf-8"))
    (folder.checkpoints / "previous.ckpt").replace(folder.checkpoints / "last.ckpt")
    done = command_line("train", *overrides, timeout=600)
    assert done.returncode == 0, done.stderr
    assert json.loads((folder.loggers / "ids.json").read_text("utf-8")) == before
    (path,) = files(tmp_path)
    assert path.name == f"run-{before['wandb']['id']}.wandb"
    *rows, results = history(path)
    assert [row["trainer/global_step"] for row in rows] == [1, 2, 3, 4, 5]
    assert all(row.keys() == rows[0].keys() for row in rows), "whatever was logged before the kill"
    assert results["trainer/global_step"] == folder.read()["best_epoch"]
    again = command_line("train", *overrides, timeout=600)  # from its record
    assert again.returncode == 0
    assert files(tmp_path) == [path]


def test_online_it_asks_who_one_is_and_whether_the_server_is_there(
    command_line, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nobody = {"HOME": str(tmp_path), "NETRC": str(tmp_path / "none"), "WANDB_API_KEY": ""}
    nowhere = nobody | {"WANDB_BASE_URL": f"http://127.0.0.1:{port}", "WANDB_API_KEY": "0" * 40}
    for env, said in ((nobody, "wandb login"), (nowhere, f"not answer at http://127.0.0.1:{port}")):
        done = command_line("train", *SMALL, "logger=wandb", env=env, timeout=300)
        assert done.returncode == 1
        assert said in done.stderr
        assert "logger.wandb.mode=offline" in done.stderr
    assert all_runs(tmp_path / "runs") == []
