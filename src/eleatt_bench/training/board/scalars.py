"""The numbers that are logged for every epoch, by tag, whichever loggers are chosen."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
from pytorch_lightning import Callback, LightningModule, Trainer

from eleatt_bench.training.board.gates import Gates
from eleatt_bench.training.classifier import classifier_of
from eleatt_bench.training.datamodule import SequenceDataModule


class EpochScalars(Callback):
    """Gathers the numbers at the end of an epoch, on a run's first process, before any logger.

    Nothing here has an influence on any number of the training.
    """

    gates: Gates

    def __init__(self, data: SequenceDataModule) -> None:
        self._data = data
        self.epoch = 0
        """The last whole epoch, from 1."""
        self.values: dict[str, float] = {}
        """The numbers of that epoch, by tag."""
        self.attention: dict[str, npt.NDArray[np.float32]] = {}
        """By gated layer, its attention to the samples that `Gates` watches, after that epoch."""
        self.seconds = 0.0
        """The seconds of training and validation in that epoch."""
        self._began = self._stepped = 0.0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            self.gates = Gates(classifier_of(pl_module), self._data, trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._began = time.perf_counter()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._stepped = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        self.epoch = trainer.current_epoch + 1
        self.seconds = time.perf_counter() - self._began
        self.attention = self.gates.attention()
        self.values = {
            name if "/" in name else f"optimizer/{name}": value
            for name, value in classifier_of(pl_module).epoch_metrics.items()
        }
        steps = trainer.num_training_batches
        self.values["time/seconds_per_step"] = (self._stepped - self._began) / steps
        self.values |= self.gates.statistics(self.attention)
