"""Lightning's CSVLogger: ``loggers/csv/metrics.csv`` and ``hparams.yaml`` in the run's folder."""

from __future__ import annotations

from collections.abc import Sequence

from pytorch_lightning.loggers import CSVLogger

from eleatt_bench.runs.record import RunFolder
from eleatt_bench.training.loggers.past import LoggedRow
from eleatt_bench.training.loggers.sink import Config, parameters


class CsvFile:
    """A file with a line for every row; made anew if a run continues, because it cannot be cut."""

    title = "the CSV logger"

    def __init__(self, folder: RunFolder, config: Config) -> None:
        self._folder, self._config = folder, config

    def open(self, rows: Sequence[LoggedRow]) -> None:
        for name in ("metrics.csv", "hparams.yaml"):  # Lightning would warn of them
            (self._folder.loggers / "csv" / name).unlink(missing_ok=True)
        self._logger = CSVLogger(
            self._folder.loggers, name="", version="csv", flush_logs_every_n_steps=1
        )
        self._logger.log_hyperparams(parameters(self._config))
        self._logger.save()
        for row in rows:
            self.log(row)

    def log(self, row: LoggedRow) -> None:
        self._logger.log_metrics(dict(row.values), row.epoch)

    def close(self, how: str) -> None:
        self._logger.finalize("success")
