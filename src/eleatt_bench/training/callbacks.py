"""The end of every epoch: schedule, report, then `epochs`, `loggers`, `checkpoints`.

Lightning steps plateau schedulers after its own checkpoints and skips hooks when it restarts at
an epoch's end; both would make a resumed run differ. Here the scheduler is stepped first, then
everything a restart needs is written to one file, and a restart is a loop that begins at epoch n.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.text import duration
from eleatt_bench.training.classifier import classifier_of

_BEARABLE = 0.1
"""The share of an epoch's steps that a run may lose to gradients without a finite norm."""


class Schedule(Callback):
    """Step the learning-rate scheduler on what it monitors."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        classifier = classifier_of(pl_module)
        scheduler = classifier.scheduler
        if scheduler is None:
            return
        section = classifier.config["scheduler"]
        watched = isinstance(scheduler, ReduceLROnPlateau)
        values = [classifier.epoch_metrics[section["monitor"]]] if watched else []
        try:
            scheduler.step(*values)
        except Exception as error:  # the kind depends on the scheduler's class and options
            raise UserError(
                f"{section['_target_']} cannot go on after epoch {trainer.current_epoch + 1} "
                f"({error}): change scheduler.options"
            ) from error


class EpochReport(Callback):
    """Say once per epoch how it went, as a line to ``say``.

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
        self.progress(done, trainer.max_epochs, classifier_of(pl_module).epoch_metrics)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        metrics, epoch = classifier_of(pl_module).epoch_metrics, trainer.current_epoch
        for name in ("train/loss", "val/loss"):
            if not math.isfinite(metrics[name]):
                raise _diverged(f"{name} is {metrics[name]} in epoch {epoch + 1}")
        lost, steps = classifier_of(pl_module).lost_steps, classifier_of(pl_module).steps
        if lost:
            found = f"{lost:,} of {steps:,} gradients in epoch {epoch + 1} had no finite norm"
            if lost > _BEARABLE * steps:
                raise _diverged(found)
            self.say(f"{found} and counted as zero")
        self.seconds.append(time.perf_counter() - self._start)
        assert trainer.max_epochs is not None
        done, total = epoch + 1, trainer.max_epochs
        left = (total - done) * median(self.seconds)  # a machine may have slept through one
        self.say(
            f"epoch {done:>{len(str(total))}}/{total}  val {metrics['val/accuracy']:.2%}  "
            f"train {metrics['train/accuracy']:.2%}  loss {metrics['train/loss']:.4f}  "
            f"{self.seconds[-1]:.1f} s  {duration(left)} left"
        )


def _diverged(found: str) -> UserError:
    return UserError(
        f"{found}: the run diverged. "
        "Try a smaller optimizer.lr or a smaller trainer.gradient_clip_val"
    )
