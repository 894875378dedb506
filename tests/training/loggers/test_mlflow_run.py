"""MLflow for real: runs of the command line in a SQLite store and on a server, read by MLflow."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from eleatt_bench.common.errors import UserError
from eleatt_bench.config.compose import compose_config
from eleatt_bench.runs.record import RunFolder, all_runs
from eleatt_bench.training.loggers.ready import check_ready

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("mlflow") is None, reason="no extra mlflow: make test-loggers"),
    pytest.mark.timeout(900),
    # MLflow 3.17 with SQLAlchemy 2.1: about a strategy that MLflow chooses.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),
]

SMALL = ("experiment=digits", "model.hidden_size=8", "trainer.num_threads=1")
FEW = (*SMALL, "data.limit=64", "trainer.max_epochs=3")


class Store:
    """What MLflow says of the runs in the folder ``runs``, or on a server."""

    def __init__(self, uri: str) -> None:
        from mlflow.tracking import MlflowClient

        self.client = MlflowClient(uri)

    def runs(self) -> list[Any]:
        experiment = self.client.get_experiment_by_name("eleatt-bench")
        assert experiment is not None
        return list(self.client.search_runs([experiment.experiment_id]))

    def parent_and_children(self) -> tuple[Any, list[Any]]:
        """The run of the only sweep, and those nested under it."""
        (parent,) = (run for run in self.runs() if "eleatt_bench.sweep" in run.data.tags)
        of_it = parent.info.run_id
        return parent, [r for r in self.runs() if r.data.tags.get("mlflow.parentRunId") == of_it]

    def curve(self, run: Any, tag: str) -> list[tuple[int, float]]:
        history = self.client.get_metric_history(run.info.run_id, tag)
        return sorted((metric.step, metric.value) for metric in history)


@pytest.fixture
def store(tmp_path: Path) -> Callable[[], Store]:
    return lambda: Store(f"sqlite:///{(tmp_path / 'runs' / 'mlflow.db').resolve()}")


def start(tmp_path: Path, environment: dict[str, str], *overrides: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "eleatt_bench", "train", *overrides],
        cwd=tmp_path, env=environment | {"PYTHONUNBUFFERED": "1"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def wait_for(process: subprocess.Popen[str], text: str) -> str:
    """What the process prints up to a line that holds ``text``."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if text in line:
            return said
    raise AssertionError(said)


def test_a_sweep_is_there_with_its_runs_nested_and_once(
    command_line, tmp_path: Path, store: Callable[[], Store], monkeypatch
) -> None:
    sweep = ("train", "-m", *FEW, "seed=0,1", "logger=[tensorboard,mlflow]")
    for _ in range(2):  # the second time from the records
        done = command_line(*sweep, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        assert not done.stderr, "no notes of MLflow's"
        parent, children = store().parent_and_children()
        assert len(store().runs()) == 3
        assert {run.info.status for run in (parent, *children)} == {"FINISHED"}
        assert parent.info.run_name.startswith("digits-")
    folders = {folder.run_id: folder for folder in all_runs(tmp_path / "runs")}
    assert {run.info.run_name for run in children} == folders.keys()
    for run in children:
        folder = folders[run.info.run_name]
        record = folder.read()
        assert run.data.params["optimizer/lr"] == "0.005"
        assert run.data.params["seed"] == str(record["seed"])
        assert run.data.metrics["result/test_accuracy"] == record["metrics"]["test"]["accuracy"]
        events = EventAccumulator(str(folder.tensorboard)).Reload()
        assert run.data.metrics.keys() == set(events.Tags()["scalars"])
        for tag in run.data.metrics:
            shown = [(event.step, pytest.approx(event.value)) for event in events.Scalars(tag)]
            assert store().curve(run, tag) == shown
    assert not (tmp_path / "mlruns").exists()

    import mlflow  # as its users read it

    uri = f"sqlite:///{(tmp_path / 'runs' / 'mlflow.db').resolve()}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    table = mlflow.search_runs(experiment_names=["eleatt-bench"])
    assert len(table) == 3
    assert table["metrics.val/accuracy"].notna().sum() == 2

    plain = command_line("train", *FEW, "logger=none", "runs_dir=other", timeout=600)
    assert plain.returncode == 0, plain.stderr
    (alone,) = all_runs(tmp_path / "other")
    with h5py.File(alone.predictions) as a, h5py.File(folders[alone.run_id].predictions) as b:
        assert np.array_equal(a["logits"][:], b["logits"][:]), "to the last bit"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_goes_on_in_the_same_run_with_every_epoch_once(
    command_line, tmp_path: Path, user_environment, store: Callable[[], Store], how: int
) -> None:
    overrides = (*SMALL, "trainer.max_epochs=5", "logger=[mlflow]")
    process = start(tmp_path, user_environment, *overrides)
    wait_for(process, "epoch 3/5")
    os.killpg(process.pid, how)
    process.communicate(timeout=120)
    (before,) = store().runs()
    assert before.info.status == ("RUNNING" if how == signal.SIGKILL else "KILLED")
    (folder,) = all_runs(tmp_path / "runs")
    # As if the kill had come before the last checkpoint: MLflow knows an epoch more than it.
    (folder.checkpoints / "previous.ckpt").replace(folder.checkpoints / "last.ckpt")
    logged = len(store().curve(before, "train/loss"))
    done = command_line("train", *overrides, timeout=600)
    assert done.returncode == 0, done.stderr
    assert folder.read()["timing"]["resumed_after_epoch"] < logged
    (run,) = store().runs()
    assert (run.info.run_id, run.info.status) == (before.info.run_id, "FINISHED")
    for tag in run.data.metrics:
        steps = [step for step, _ in store().curve(run, tag)]
        best = folder.read()["best_epoch"]
        assert steps == ([best] if tag.startswith("result/") else [1, 2, 3, 4, 5]), tag
    exact = [float(line.split(",")[4]) for line in folder.epochs.read_text().splitlines()[1:]]
    assert [value for _, value in store().curve(run, "val/loss")] == exact

    anew = command_line("train", *overrides, "force=true", timeout=600)
    assert anew.returncode == 0, anew.stderr
    assert len(store().runs()) == 2, "force begins anew, also there"


def test_a_run_that_fails_says_so_there(command_line, store: Callable[[], Store]) -> None:
    done = command_line(
        "train", "-m", *FEW, "seed=0,1", "model=rnn", "trainer.gradient_clip_val=null",
        "optimizer.lr=1e36", "logger=mlflow", timeout=600,
    )  # fmt: skip
    assert done.returncode == 1
    parent, children = store().parent_and_children()
    assert [run.info.status for run in (parent, *children)] == ["FAILED"] * 3


def test_jobs_at_once_share_the_store_and_the_parent(
    command_line, store: Callable[[], Store]
) -> None:
    done = command_line(
        "train", "-m", *FEW, "seed=range(6)", "logger=mlflow", "launcher.jobs=4", timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    _, children = store().parent_and_children()
    assert len(children) == 6
    for run in children:
        assert [step for step, _ in store().curve(run, "train/loss")] == [1, 2, 3]


@pytest.fixture
def server(tmp_path: Path, user_environment) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A tracking server of its own: its address and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path / "server"
    folder.mkdir()
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1",
         "--backend-store-uri", "sqlite:///store.db"],
        cwd=folder, env=user_environment, stdout=log, stderr=log, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 300
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert process.poll() is None, (folder / "log").read_text()
        assert time.monotonic() < deadline, (folder / "log").read_text()
        time.sleep(0.2)
    yield f"http://127.0.0.1:{port}", process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    log.close()


def test_a_server_that_is_lost_ends_no_training_and_one_that_is_not_there_begins_none(
    command_line, tmp_path: Path, user_environment, server
) -> None:
    address, process = server
    where = f"logger.mlflow.tracking_uri={address}"
    run = start(tmp_path, user_environment, *SMALL, "trainer.max_epochs=40", "logger=mlflow", where)
    wait_for(run, "epoch  2/40")
    (known,) = Store(address).runs()
    assert len(Store(address).curve(known, "val/loss")) >= 1
    os.killpg(process.pid, signal.SIGKILL)
    said, _ = run.communicate(timeout=300)
    assert run.returncode == 0, said
    assert said.count("MLflow is lost: ") == 1
    assert said.count("MLflow lacks a part of this run: ") == 1
    assert "test accuracy" in said
    (folder,) = all_runs(tmp_path / "runs")
    assert folder.read()["epochs"] == 40
    times = [
        datetime.fromisoformat(line[:19])
        for line in folder.log.read_text("utf-8").splitlines()
        if "epoch" in line or "MLflow" in line
    ]
    assert max(b - a for a, b in pairwise(times)) < timedelta(seconds=60), "no storm of retries"

    done = command_line("train", *FEW, "seed=3", "logger=mlflow", where, timeout=300)
    assert done.returncode == 1
    assert f"MLflow's store {address} cannot be used: " in done.stderr
    assert "logger.mlflow.tracking_uri=URI" in done.stderr
    config = compose_config([*FEW, f"runs_dir={tmp_path}", "logger=mlflow", where])
    began = time.monotonic()
    with pytest.raises(UserError, match="cannot be used"):
        check_ready(config)
    assert time.monotonic() - began < 60
    assert [one.run_id for one in all_runs(tmp_path / "runs")] == [folder.run_id]


def test_a_run_that_was_deleted_there_is_begun_anew_with_all_its_epochs(
    command_line, tmp_path: Path, store: Callable[[], Store]
) -> None:
    overrides = (*FEW, "logger=mlflow")
    assert command_line("train", *overrides, timeout=600).returncode == 0
    (run,) = store().runs()
    store().client.delete_run(run.info.run_id)
    (folder,) = all_runs(tmp_path / "runs")
    lose = RunFolder(tmp_path / "runs", folder.run_id)
    lose.record.unlink()
    (lose.checkpoints / "previous.ckpt").replace(lose.checkpoints / "last.ckpt")
    assert command_line("train", *overrides, timeout=600).returncode == 0
    (again,) = store().runs()
    assert again.info.run_id != run.info.run_id
    assert [step for step, _ in store().curve(again, "train/loss")] == [1, 2, 3]
