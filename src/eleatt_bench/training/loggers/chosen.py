"""The loggers that a run's configuration chooses, as one callback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Self

from pytorch_lightning import Callback, LightningModule, Trainer

from eleatt_bench.common.errors import UserError, in_a_line
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.training.board.hparams import finals
from eleatt_bench.training.board.scalars import EpochScalars
from eleatt_bench.training.board.tensorboard import TensorBoard
from eleatt_bench.training.checkpoints import Checkpoints
from eleatt_bench.training.datamodule import SequenceDataModule
from eleatt_bench.training.loggers.past import Past
from eleatt_bench.training.loggers.sink import FAILED, FINISHED, KILLED, Config, Sink


class Loggers(Callback):
    """Hands the numbers of each epoch to the loggers, on the first process of a run.

    It is a context manager around the whole run, and tells the loggers how the run ends. A logger
    that cannot be opened is a `UserError`. A logger that fails later, e.g. because its server is
    lost, does not end the training: one line says so, and the logger is left alone. After a run
    that ends well, such a logger is opened once more to take what it lacks.
    """

    def __init__(
        self,
        folder: RunFolder,
        config: Config,
        data: SequenceDataModule,
        checkpoints: Checkpoints,
        epochs_before: int,
        say: Callable[[str], None],
    ) -> None:
        self._epochs_before, self._say = epochs_before, say
        self._past, self._scalars = Past(folder), EpochScalars(data)
        self._sinks = _sinks(folder, config)
        self._open: list[Sink] = []
        self._lost: list[Sink] = []
        self._board: TensorBoard | None = None
        if config["logger"]["tensorboard"]:
            self._board = TensorBoard(
                folder.tensorboard, config, data, self._scalars, checkpoints,
                partial(self._past.known, epochs_before), epochs_before, say,
            )  # fmt: skip

    @property
    def callbacks(self) -> list[Callback]:
        """The callbacks that a trainer needs, before the one that writes checkpoints."""
        board = [self._board] if self._board else []
        sinks = [self] if self._sinks else []
        return [self._scalars, *board, *sinks] if board or sinks else []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        self._past.begin(self._epochs_before)
        for sink in self._sinks:
            try:
                sink.open(self._past.rows)
            except Exception as error:  # of whatever library
                raise UserError(
                    f"{sink.title} does not take this run: {in_a_line(error)}. The same command "
                    "continues the run once that is mended; with logger=tensorboard it goes on "
                    f"without {sink.title}"
                ) from error
            self._open.append(sink)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:  # on disk before the epoch counts as done
            self._add(self._scalars.epoch, self._scalars.values)

    def finish(self, metrics: Mapping[str, Mapping[str, float]], epoch: int) -> None:
        """Log the final ``metrics``, those of the weights after ``epoch``."""
        if self._board is not None:
            self._board.finish(metrics, epoch)
        if self._sinks:
            self._add(epoch, finals(metrics))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        how = FINISHED if error is None else FAILED if isinstance(error, Exception) else KILLED
        for sink in list(self._lost) if error is None else ():
            try:
                sink.open(self._past.rows)
            except Exception as again:
                self._say(f"{sink.title} lacks a part of this run: {in_a_line(again)}")
            else:
                self._say(f"{sink.title} is back, and has all of this run")
                self._open.append(sink)
        for sink in list(self._open):
            self._managed(sink, partial(sink.close, how))

    def _add(self, epoch: int, values: Mapping[str, float]) -> None:
        row = self._past.add(epoch, values)
        for sink in list(self._open):
            self._managed(sink, partial(sink.log, row))

    def _managed(self, sink: Sink, act: Callable[[], None]) -> None:
        """Call ``act`` of ``sink``; if it fails, say so and leave the logger alone from then on."""
        try:
            act()
        except Exception as error:  # of whatever library
            self._say(
                f"{sink.title} is lost: {in_a_line(error)}. The training goes on without it; "
                f"what it lacks is in {self._past.path}"
            )
            self._lost.append(sink)
            self._open.remove(sink)


def _sinks(folder: RunFolder, config: Config) -> list[Sink]:
    chosen, sinks = config["logger"], list[Sink]()
    if chosen["csv"]:
        from eleatt_bench.training.loggers.csv_file import CsvFile

        sinks.append(CsvFile(folder, config))
    if chosen["mlflow"] is not None:
        from eleatt_bench.training.loggers.mlflow_run import MLflowRun

        sinks.append(MLflowRun(folder, config))
    if chosen["wandb"] is not None:
        from eleatt_bench.training.loggers.wandb_run import WandbRun

        sinks.append(WandbRun(folder, config))
    return sinks
