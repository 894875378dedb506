"""What happens at the end of every epoch, in this order: schedule, report, checkpoint.

Lightning steps plateau schedulers after its own checkpoints and skips hooks when it restarts at
an epoch's end; both would make a resumed run differ. Here the scheduler is stepped first, then
everything a restart needs is written to one file, and a restart is a loop that begins at epoch n.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger
from torch.optim.lr_scheduler import ReduceLROnPlateau

from eleatt_bench.durations import duration
from eleatt_bench.errors import UserError
from eleatt_bench.files import replacing
from eleatt_bench.training.classifier import SequenceClassifier


class Schedule(Callback):
    """Step the learning-rate scheduler on what it monitors."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        classifier = _classifier(pl_module)
        scheduler = classifier.scheduler
        if scheduler is None:
            return
        if not isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step()
            return
        monitor = classifier.config["scheduler"]["monitor"]
        if monitor not in classifier.epoch_metrics:
            known = ", ".join(sorted(classifier.epoch_metrics))
            raise UserError(f"scheduler.monitor is {monitor!r}; it can be one of: {known}")
        scheduler.step(classifier.epoch_metrics[monitor])


class EpochReport(Callback):
    """Say once per epoch how it went: to TensorBoard, and as a line to ``say``.

    ``progress`` is called after every batch with (epochs done, all epochs, last metrics).
    """

    def __init__(
        self,
        say: Callable[[str], None],
        progress: Callable[[float, int, dict[str, float]], None],
    ) -> None:
        self.say, self.progress = say, progress
        self.seconds: list[float] = []  # per epoch trained by this process
        self._start = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._start = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        done = trainer.current_epoch + (batch_idx + 1) / trainer.num_training_batches
        assert trainer.max_epochs is not None
        self.progress(done, trainer.max_epochs, _classifier(pl_module).epoch_metrics)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        metrics, epoch = _classifier(pl_module).epoch_metrics, trainer.current_epoch
        for name in ("train/loss", "val/loss"):
            if not math.isfinite(metrics[name]):
                raise UserError(
                    f"{name} is {metrics[name]} in epoch {epoch + 1}: the run diverged. "
                    "Try a smaller optimizer.lr or a smaller trainer.gradient_clip_val"
                )
        self.seconds.append(time.perf_counter() - self._start)
        if isinstance(trainer.logger, TensorBoardLogger):
            trainer.logger.log_metrics(metrics, step=epoch)
            trainer.logger.experiment.flush()  # on disk before the epoch counts as done
        assert trainer.max_epochs is not None
        done, total = epoch + 1, trainer.max_epochs
        left = (total - done) * sum(self.seconds) / len(self.seconds)
        self.say(
            f"epoch {done:>{len(str(total))}}/{total}  loss {metrics['train/loss']:.4f}  "
            f"train {metrics['train/accuracy']:.2%}  val {metrics['val/accuracy']:.2%}  "
            f"{self.seconds[-1]:.1f} s  {duration(left)} left"
        )


class Checkpoints(Callback):
    """Write ``last.ckpt`` after every epoch and ``best.ckpt`` when validation is as good as ever.

    Best means the highest validation accuracy, the later epoch on ties. The file holds tensors
    and plain values only. `resume` makes the next ``fit`` begin after the epoch in last.ckpt.
    """

    def __init__(self, folder: Path, early_stopping: int | None) -> None:
        self.folder, self.early_stopping = folder, early_stopping
        self.best: dict[str, Any] = {}  # epoch and metrics of the best epoch
        self.last: dict[str, Any] = {}  # the same of the last one
        self._resumed: dict[str, Any] | None = None

    def resume(self) -> int:
        """Read ``last.ckpt`` if there is one; the number of epochs it has done."""
        path = self.folder / "last.ckpt"
        if not path.exists():
            return 0
        self._resumed = load_checkpoint(path)
        return int(self._resumed["epoch"]) + 1

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        state = self._resumed
        if state is None:
            return
        classifier = _classifier(pl_module)
        classifier.load_state_dict(state["model"])
        trainer.optimizers[0].load_state_dict(state["optimizer"])
        if classifier.scheduler is not None:
            classifier.scheduler.load_state_dict(state["scheduler"])
        trainer.precision_plugin.load_state_dict(state["precision"])
        self.best, self.last = state["best"], state["last"]
        done = state["epoch"] + 1
        counts = {"ready": done, "started": done, "processed": done, "completed": done}
        trainer.fit_loop.epoch_progress.current.load_state_dict(counts)
        trainer.should_stop = self._exhausted()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        metrics = _classifier(pl_module).epoch_metrics
        self.last = {"epoch": trainer.current_epoch, "metrics": dict(metrics)}
        improved = not self.best or metrics["val/accuracy"] >= self.best["metrics"]["val/accuracy"]
        if improved:
            self.best = self.last
        if trainer.is_global_zero:
            self._save(trainer, pl_module, improved)
        trainer.should_stop = self._exhausted()

    def _exhausted(self) -> bool:
        if self.early_stopping is None or not self.last:
            return False
        return bool(self.last["epoch"] - self.best["epoch"] >= self.early_stopping)

    def _save(self, trainer: Trainer, pl_module: LightningModule, improved: bool) -> None:
        scheduler = _classifier(pl_module).scheduler
        state = {
            "epoch": trainer.current_epoch,
            "model": pl_module.state_dict(),
            "optimizer": trainer.optimizers[0].state_dict(),
            "scheduler": scheduler.state_dict() if scheduler is not None else None,
            "precision": trainer.precision_plugin.state_dict(),
            "best": self.best,
            "last": self.last,
        }
        last, best = self.folder / "last.ckpt", self.folder / "best.ckpt"
        with replacing(last) as new_last:
            torch.save(state, new_last)
            if improved:  # before last.ckpt appears: it names an epoch that best.ckpt must hold
                with replacing(best) as new_best:
                    os.link(new_last, new_best)


def _classifier(module: LightningModule) -> SequenceClassifier:
    assert isinstance(module, SequenceClassifier)  # what this package gives to the trainer
    return module


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The checkpoint at ``path``, on the CPU.

    Raises:
        UserError: no such file, or one that is cut short or holds anything but tensors and
            plain values.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"There is no checkpoint {path}") from error
    except Exception as error:  # torch raises many kinds for a damaged or foreign file
        raise UserError(
            f"Checkpoint {path} cannot be read ({error}). Train again with force=true"
        ) from error
    return state
