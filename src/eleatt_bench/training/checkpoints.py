"""Checkpoints: written after every epoch, whole or not at all, and read with suspicion."""

from __future__ import annotations

import errno
import io
import os
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.files import replacing
from eleatt_bench.runs.form import says_finished
from eleatt_bench.runs.record import CONTINUED, RunFolder, epoch_of
from eleatt_bench.training.classifier import SequenceClassifier, classifier_of
from eleatt_bench.training.environment import backend_of, device_of, git_commit
from eleatt_bench.training.expected import Expectation, check, network_of, tensors, training_of

Turns = list[list[Any]]
"""[name, number of epochs] for one name after the other, in the order of the epochs."""


class Checkpoints(Callback):
    """Writes ``last.ckpt`` after every epoch, and ``best.ckpt`` if none before was better.

    Best means the highest validation accuracy, the later epoch on ties. ``previous.ckpt`` is the
    last.ckpt of the epoch before. A file holds tensors and plain values only. `resume` makes the
    next ``fit`` begin after the epoch in last.ckpt, or in previous.ckpt if last.ckpt is damaged or
    gone.
    """

    def __init__(self, folder: Path, early_stopping: int | None) -> None:
        self.folder, self.early_stopping = folder, early_stopping
        self.best: dict[str, Any] = {}  # epoch and metrics of the best epoch
        self.last: dict[str, Any] = {}  # epoch and metrics of the last epoch
        self.backends: Turns = []  # what computed the epochs
        self.commits: Turns = []  # of the program that did; "" for an installed package
        self.devices: Turns = []  # on which, and with how many threads
        self._commit = git_commit() or ""
        self._resumed: dict[str, Any] | None = None
        self._last_is_whole = True  # so that it may take the place of the one before

    def resume(self, say: Callable[[str], None], classifier: SequenceClassifier, steps: int) -> int:
        """Read the newest checkpoint that is whole; returns its number of epochs, 0 without one.

        It must belong to the run of ``classifier``, whose epochs have ``steps`` each.

        Raises:
            UserError: there are checkpoints, but none can be read; or the weights of the best epoch
                are lost, which would be tested.
        """
        damaged: UserError | None = None
        for path in (self.folder / name for name in CONTINUED):
            if not path.exists():
                continue
            try:
                self._resumed = load_checkpoint(path, training_of(classifier, steps))
            except UserError as error:
                damaged = damaged or error
                self._last_is_whole = False
                continue
            if path.name == "previous.ckpt":
                state = "gone" if damaged is None else "damaged"
                say(f"last.ckpt is {state}: continuing from the checkpoint before it")
            self.best, self.last = self._resumed["best"], self._resumed["last"]
            if self.best["epoch"] == self.last["epoch"]:
                self._keep_best(path)
            elif path.name == "last.ckpt" and classifier.config["trainer"]["selection"] == "best":
                self._check_best(classifier)  # else an epoch is done again, maybe the best
            return int(self._resumed["epoch"]) + 1
        if damaged is not None:
            raise damaged
        return 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        state = self._resumed
        if state is None:
            return
        classifier = classifier_of(pl_module)
        classifier.load_state_dict(state["model"])
        try:
            trainer.optimizers[0].load_state_dict(state["optimizer"])
            if classifier.scheduler is not None:
                classifier.scheduler.load_state_dict(state["scheduler"])
            trainer.precision_plugin.load_state_dict(state["precision"])
        except Exception as error:  # the kind depends on the optimizer's class
            raise _unreadable(self.folder / "last.ckpt", error) from error
        done = state["epoch"] + 1
        self.backends = _turns(state, "backends", done)
        self.commits = _turns(state, "commits", done)
        self.devices = _turns(state, "devices", done)
        counts = {"ready": done, "started": done, "processed": done, "completed": done}
        trainer.fit_loop.epoch_progress.current.load_state_dict(counts)
        trainer.should_stop = self._exhausted()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        metrics = classifier_of(pl_module).epoch_metrics
        self.last = {"epoch": trainer.current_epoch, "metrics": dict(metrics)}
        _count(self.backends, backend_of(trainer, classifier_of(pl_module)))
        _count(self.commits, self._commit)
        _count(self.devices, device_of(trainer))
        improved = self.improved(metrics)
        if improved:
            self.best = self.last
        if trainer.is_global_zero:
            self._save(trainer, pl_module, improved)
        trainer.should_stop = self._exhausted()

    def improved(self, metrics: Mapping[str, float]) -> bool:
        """Whether the epoch with ``metrics`` is the best so far."""
        return not self.best or metrics["val/accuracy"] >= self.best["metrics"]["val/accuracy"]

    def _exhausted(self) -> bool:
        if self.early_stopping is None or not self.last:
            return False
        return bool(self.last["epoch"] - self.best["epoch"] >= self.early_stopping)

    def _save(self, trainer: Trainer, pl_module: LightningModule, improved: bool) -> None:
        scheduler = classifier_of(pl_module).scheduler
        state = {
            "epoch": trainer.current_epoch,
            "model": pl_module.state_dict(),
            "optimizer": trainer.optimizers[0].state_dict(),
            "scheduler": scheduler.state_dict() if scheduler is not None else None,
            "precision": trainer.precision_plugin.state_dict(),
            "best": self.best,
            "last": self.last,
            "backends": self.backends,
            "commits": self.commits,
            "devices": self.devices,
        }
        last, previous = (self.folder / f"{name}.ckpt" for name in ("last", "previous"))
        with replacing(last) as new_last:
            new_last.write_bytes(_packed(state))
            if last.exists() and self._last_is_whole:
                _link(last, previous)
        self._last_is_whole = True
        if improved:
            self._keep_best(last)

    def _check_best(self, classifier: SequenceClassifier) -> None:
        """Check that the best weights are there, before hours are spent on the remaining epochs."""
        epoch = int(self.best["epoch"])
        try:
            load_checkpoint(self.folder / "best.ckpt", network_of(classifier, epoch))
        except UserError as error:
            raise UserError(
                f"The weights of epoch {epoch + 1}, the best so far, are lost, and if no later "
                f"epoch is as good the run ends without those that it is tested with: {error}"
            ) from error

    def _keep_best(self, path: Path) -> None:
        """Let best.ckpt be the checkpoint at ``path``, which says that its epoch is the best.

        This is called only once that checkpoint is in place. If the process is killed before the
        call, the run makes the call when it continues. In the other order, a kill in between would
        lose the best weights so far: the epoch, trained again on another machine, may be worse.
        """
        best = self.folder / "best.ckpt"
        if not best.exists() or not best.samefile(path):
            _link(path, best)


_ONE_NAME = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
"""The errors of a file system that has no hard links, or no room for one more."""


def _turns(state: Mapping[str, Any], key: str, done: int) -> Turns:
    """The turns of the ``done`` epochs; unknown if an earlier version wrote the checkpoint."""
    return [list(turn) for turn in state.get(key) or [["unknown", done]]]


def _count(turns: Turns, name: str) -> None:
    """Count one more epoch of ``name``."""
    if not turns or turns[-1][0] != name:
        turns.append([name, 0])
    turns[-1][1] += 1


def _packed(state: Mapping[str, Any]) -> memoryview:
    """The content of a checkpoint file.

    It is made in memory: Ctrl-C while torch writes to a file becomes an error of torch's own, or
    ends the process at once.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getbuffer()


def _link(path: Path, name: Path) -> None:
    """Make ``name`` a hard link to the file at ``path``, in place of what it named.

    A file system without hard links, as on memory sticks and some network folders, gets a copy.
    """
    with replacing(name) as temporary:
        try:
            os.link(path, temporary)
        except OSError as error:
            if error.errno not in _ONE_NAME:
                raise
            shutil.copyfile(path, temporary)


def load_checkpoint(path: Path, expected: Expectation | None = None) -> dict[str, Any]:
    """The checkpoint at ``path``, on the CPU.

    Raises:
        UserError: there is no such file, or it is cut short, changed, or not as ``expected``, or
            holds anything except tensors and plain values.
    """
    if not path.exists():
        raise UserError(
            f"There is no checkpoint {path}: a run that was published or taken over has no weights "
            "unless it was exported with them. Train it again with force=true"
        )
    try:
        size = _check_archive(path)
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        check(state, expected or Expectation())
        stored = {t.untyped_storage().data_ptr(): t.untyped_storage() for t in tensors(state)}
        if sum(storage.nbytes() for storage in stored.values()) > size:
            raise ValueError("its tensors are larger than the file")
    except Exception as error:  # torch raises many kinds for a damaged or foreign file
        raise _unreadable(path, error) from error
    return state


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError(f"Checkpoint {path} cannot be read ({error}). Train again with force=true")


def _check_archive(path: Path) -> int:
    """The size of the file, once the checksums of its parts are compared, which torch does not do.

    Raises:
        ValueError: a part is not what was written, or the parts would unpack to more than the size.
    """
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        if sum(part.file_size for part in parts) > size:  # torch compresses nothing
            raise ValueError("it would unpack to more than its size")
        wrong = archive.testzip()
    if wrong is not None:
        raise ValueError(f"{wrong} does not match its checksum")
    return size


def weights_of(
    folder: RunFolder, checkpoint: str | None = None, classifier: SequenceClassifier | None = None
) -> dict[str, Tensor]:
    """The weights in a run's ``checkpoint``, "best" or "last", by default those that are tested.

    Raises:
        UserError: as for `load_checkpoint`; or the weights are not of the epoch that the run's
            record names.
    """
    record = folder.read() or {}
    number = epoch_of(record, checkpoint)
    epoch = None if number is None else number - 1
    expected = Expectation(epoch=epoch) if classifier is None else network_of(classifier, epoch)
    name = checkpoint or record.get("selection", "best")
    state: dict[str, Tensor] = load_checkpoint(folder.checkpoints / f"{name}.ckpt", expected)[
        "model"
    ]
    return state


_PREFIX = "recurrent."


def begin_with(classifier: SequenceClassifier, source: RunFolder) -> None:
    """Take over all recurrent layers from a finished run; the linear layer stays as it is.

    Raises:
        UserError: ``source`` is not finished, its weights cannot be read, or its layers do not fit.
    """
    # Its lock says nothing: another run that waited may hold the lock, only to read the record.
    record = source.read()
    if not says_finished(record):
        raise UserError(f"{source.run_id}, whose weights this run begins with, is not finished")
    try:
        state = weights_of(source)
    except UserError as error:  # to train this run again would not help
        raise UserError(
            f"This run begins with the weights of {source.run_id}. "
            f"{str(error).partition('. Train')[0]}. Train that run again first: "
            f"{record['command']} force=true"
        ) from error
    theirs = {
        name.removeprefix(_PREFIX): value
        for name, value in state.items()
        if name.startswith(_PREFIX)
    }
    ours = classifier.recurrent.state_dict()
    for name in [*theirs, *(name for name in ours if name not in theirs)]:
        here, there = _shape(ours, name), _shape(theirs, name)
        if here != there:
            raise UserError(
                f"The recurrent layers of {source.run_id} do not fit this network: {name} is "
                f"{there} there and {here} here. Choose another experiment with "
                "pretraining=EXPERIMENT"
            )
    classifier.recurrent.load_state_dict(theirs)


def _shape(state: dict[str, Tensor], name: str) -> str:
    return " × ".join(map(str, state[name].shape)) if name in state else "absent"
