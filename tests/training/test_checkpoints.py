"""Checkpoints are written whole or not at all, whenever one is stopped."""

from __future__ import annotations

import errno
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from eleatt_bench.common import files
from eleatt_bench.common.errors import UserError
from eleatt_bench.training import checkpoints
from eleatt_bench.training.classifier import SequenceClassifier
from eleatt_bench.training.run import train


class Module(torch.nn.Linear):
    scheduler = None


class Stopped(BaseException):
    pass


@pytest.fixture
def save(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """Write checkpoints, without waiting for the disk."""
    monkeypatch.setattr(files, "_sync", lambda path: None)
    monkeypatch.setattr(checkpoints, "classifier_of", lambda module: module)
    nothing = SimpleNamespace(state_dict=dict)
    trainer = SimpleNamespace(current_epoch=3, optimizers=[nothing], precision_plugin=nothing)
    callback, module = checkpoints.Checkpoints(tmp_path, None), Module(60, 60)
    metrics = dict.fromkeys(("train/loss", "train/accuracy", "val/loss", "val/accuracy"), 0.5)
    callback.best = callback.last = {"epoch": 3, "metrics": metrics}
    callback.backends = [["scan", 4]]
    callback.commits = [["", 4]]
    return lambda: callback._save(trainer, module, True)


# Python itself leaves a file to the collector where a signal comes between open and with.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in.*ckpt:pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.slow
def test_a_signal_while_one_is_written_is_that_signal(save, tmp_path) -> None:
    """Not an error of torch's, nor the end of the process."""
    armed = False

    def stop(number: int, frame: object) -> None:
        if armed:
            raise Stopped

    before = signal.signal(signal.SIGUSR1, stop)
    began = time.perf_counter()
    save()
    takes = time.perf_counter() - began
    stopped = 0
    for _ in range(300):
        sender = threading.Thread(target=send, args=(random.uniform(0, takes),))
        try:
            armed = True
            sender.start()
            save()
            armed = False
        except Stopped:
            armed = False
            stopped += 1
        sender.join()
        for path in tmp_path.glob("*.ckpt"):
            assert checkpoints.load_checkpoint(path)["epoch"] == 3
    signal.signal(signal.SIGUSR1, before)
    assert stopped > 50


def send(seconds: float) -> None:
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGUSR1)


def test_the_best_weights_outlive_a_kill_between_two_files(short_config) -> None:
    """Killed when the last epoch's checkpoint was in place, and that of the best not yet."""
    config = short_config("trainer.max_epochs=2", "optimizer.lr=0")  # each epoch ties with the best
    folder, record = train(config, [])
    last, best, previous = (folder.checkpoints / f"{n}.ckpt" for n in ("last", "best", "previous"))
    assert best.samefile(last)
    best.unlink()
    os.link(previous, best)
    folder.record.unlink()
    _, again = train(config, [])
    assert again["best_epoch"] == record["best_epoch"] == 2
    assert again["metrics"] == record["metrics"]
    assert best.samefile(last)


def test_where_the_last_checkpoint_is_gone_it_goes_on_from_the_one_before(
    short_config, capsys
) -> None:
    config = short_config("trainer.max_epochs=2")
    folder, record = train(config, [])
    (folder.checkpoints / "last.ckpt").unlink()
    folder.record.unlink()
    capsys.readouterr()
    _, again = train(config, [])
    assert again["metrics"] == record["metrics"]
    said = capsys.readouterr().out
    assert "last.ckpt is gone: continuing from the checkpoint before it" in said
    assert "continuing after epoch 1" in said


@contextmanager
def killed_before_the_last_checkpoint() -> Iterator[None]:
    """Stop whoever is about to put last.ckpt in place."""
    replace = os.replace

    def killed(source: object, target: object) -> None:
        if str(target).endswith("last.ckpt"):
            raise Stopped
        replace(source, target)  # type: ignore[call-overload]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(Stopped):
            yield


def test_a_damaged_checkpoint_never_replaces_the_whole_one_before(short_config) -> None:
    """Killed between the two files of the first epoch after the damage."""
    config = short_config()
    folder, record = train(config, [])
    folder.record.unlink()
    last = folder.checkpoints / "last.ckpt"
    last.unlink()
    last.write_bytes(b"PK")
    with killed_before_the_last_checkpoint():
        train(config, [])
    assert train(config, [])[1]["metrics"] == record["metrics"]
    epochs = [
        checkpoints.load_checkpoint(folder.checkpoints / f"{name}.ckpt")["epoch"]
        for name in ("last", "previous")
    ]
    assert epochs == [2, 1]


def test_until_the_last_checkpoint_is_there_the_best_is_the_one_before(
    save, tmp_path: Path
) -> None:
    save()
    best = tmp_path / "best.ckpt"
    before = best.stat().st_ino
    with killed_before_the_last_checkpoint():
        save()
    assert best.stat().st_ino == before
    save()
    assert best.samefile(tmp_path / "last.ckpt")
    assert best.stat().st_ino != before


@pytest.fixture
def falling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the validation accuracy be lower after every epoch."""
    whole = SequenceClassifier.on_validation_epoch_end

    def lower(network: SequenceClassifier) -> None:
        whole(network)
        network.epoch_metrics["val/accuracy"] = 0.5 / (1 + network.current_epoch)

    monkeypatch.setattr(SequenceClassifier, "on_validation_epoch_end", lower)


@pytest.mark.usefixtures("falling")
def test_best_weights_that_are_lost_are_missed_before_the_run_goes_on(short_config) -> None:
    for selection in ("best", "last"):
        config = short_config("trainer.max_epochs=2", f"trainer.selection={selection}")
        folder, record = train(config, [])
        assert record["best_epoch"] == 1
        folder.record.unlink()
        (folder.checkpoints / "best.ckpt").unlink()
        if selection == "best":
            with pytest.raises(UserError, match="weights of epoch 1, the best so far, are lost"):
                train(config, [])
        else:
            assert train(config, [])[1]["metrics"] == record["metrics"]


@pytest.mark.slow
def test_where_a_file_has_one_name_checkpoints_are_copied(
    short_config, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = short_config("trainer.max_epochs=2")
    _, usual = train(config, [])

    def link(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    folder, record = train({**config, "force": True}, [])
    assert record["metrics"] == usual["metrics"]
    files = {path.name: path.stat().st_ino for path in folder.checkpoints.iterdir()}
    assert len(set(files.values())) == len(files) == 3
    folder.record.unlink()
    assert train(config, [])[1]["metrics"] == usual["metrics"]


@pytest.mark.usefixtures("falling")
def test_a_run_stops_early_and_stays_stopped(short_config) -> None:
    """Also where it was killed after its last epoch, before its record was written."""
    config = short_config("trainer.max_epochs=6", "trainer.early_stopping=2")
    folder, record = train(config, [])
    assert (record["epochs"], record["best_epoch"]) == (3, 1)
    folder.record.unlink()
    _, again = train(config, [])
    assert (again["epochs"], again["best_epoch"]) == (3, 1)
    assert again["metrics"] == record["metrics"]
