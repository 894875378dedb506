"""epochs.csv: a line for every epoch, on disk before the checkpoint that the epoch ends with."""

from __future__ import annotations

from collections.abc import Callable

from pytorch_lightning import Callback, LightningModule, Trainer

from eleatt_bench.common.files import append, write_text
from eleatt_bench.runs.curves import HEADER, CurveReader, as_line, logged
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.training.callbacks import EpochReport
from eleatt_bench.training.checkpoints import Checkpoints
from eleatt_bench.training.classifier import classifier_of


class EpochLines(Callback):
    """Writes epochs.csv on the first process of a run, after ``report`` and before ``checkpoints``.

    If a run continues, its file is cut to ``epochs_before``, the number of its checkpoint's epochs.
    """

    def __init__(
        self,
        folder: RunFolder,
        report: EpochReport,
        checkpoints: Checkpoints,
        epochs_before: int,
        say: Callable[[str], None],
    ) -> None:
        self._folder, self._report, self._checkpoints = folder, report, checkpoints
        self._epochs_before, self._say = epochs_before, say

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        path = self._folder.epochs
        text = HEADER + "".join(self._lines())
        if not path.exists() or path.read_bytes() != text.encode():
            write_text(path, text)

    def _lines(self) -> list[str]:
        """The lines of the epochs done before.

        Lost values are taken from the event files, whose learning rate is of single precision, and
        from the checkpoint, which knows the last and the best epoch. Neither knows seconds. A value
        that is known nowhere stays empty.
        """
        reader = CurveReader(self._folder)
        done = reader.read() if self._epochs_before else {}
        if (kept := reader.epochs) < self._epochs_before:
            for name, curve in done.items():
                for epoch, value in logged(self._folder.tensorboard).get(name, {}).items():
                    curve.setdefault(epoch, value)
                for one in (self._checkpoints.best, self._checkpoints.last):
                    if name in one["metrics"]:
                        curve[one["epoch"] + 1] = one["metrics"][name]
            self._say(
                f"epochs.csv lacks the epochs from {kept + 1} on: they are taken from the event "
                "files and the checkpoint, without seconds"
            )
        return [
            as_line(epoch, {name: curve[epoch] for name, curve in done.items() if epoch in curve})
            for epoch in range(1, self._epochs_before + 1)
        ]

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            values = classifier_of(pl_module).epoch_metrics | {"seconds": self._report.seconds[-1]}
            append(self._folder.epochs, as_line(trainer.current_epoch + 1, values))
