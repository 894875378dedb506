"""Lightning's MLFlowLogger: a run of MLflow, nested under the run of its sweep.

MLflow keeps every value that was ever logged, and removes none. So a value is logged only if MLflow
lacks it: an epoch that is trained again, e.g. after a kill, is not logged again.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from eleatt_bench.common.errors import UserError, in_a_line
from eleatt_bench.common.extras import require
from eleatt_bench.common.locations import folder_at
from eleatt_bench.launch.settings import SWEEP_NAME
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.training.loggers.past import LoggedRow
from eleatt_bench.training.loggers.sink import (
    FAILED,
    FINISHED,
    KILLED,
    Config,
    environment_kept,
    parameters,
    read_id,
    write_id,
)

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient
    from pytorch_lightning.loggers import MLFlowLogger

_PARENT = "mlflow.parentRunId"  # MLflow's own tag
_OF_SWEEP = "eleatt_bench.sweep"  # tag of the parent: the name of its sweep
_USUAL = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # not seven, which take minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",  # unless the user sets it
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


class MLflowRun:
    """The run of ``folder`` in MLflow's store."""

    title = "MLflow"

    def __init__(self, folder: RunFolder, config: Config) -> None:
        self._folder, self._config = folder, config
        self._uri = tracking_uri(config)
        self._had: set[tuple[str, int]] = set()  # tag and epoch of each value in the store

    def open(self, rows: Sequence[LoggedRow]) -> None:
        _quiet()
        known = read_id(self._folder, "mlflow")
        run_id = known["run_id"] if known.get("tracking_uri") == self._uri else None
        logger = self._logger = _logger(
            self._config, _still_there(self._uri, run_id), run_name=self._folder.run_id
        )
        client: MlflowClient = logger.experiment
        assert logger.run_id is not None
        write_id(self._folder, "mlflow", tracking_uri=self._uri, run_id=logger.run_id)
        run = client.get_run(logger.run_id)
        if run.info.status != "RUNNING":
            client.update_run(logger.run_id, status="RUNNING")
        if _PARENT not in run.data.tags and (parent := _parent(client, self._config)):
            client.set_tag(logger.run_id, _PARENT, parent)
        if not run.data.params:  # they may be set only once
            logger.log_hyperparams(parameters(self._config))
        self._had = {
            (tag, metric.step)
            for tag in run.data.metrics
            for metric in client.get_metric_history(logger.run_id, tag)
        }
        for row in rows:
            self.log(row)

    def log(self, row: LoggedRow) -> None:
        new = {tag: value for tag, value in row.values.items() if (tag, row.epoch) not in self._had}
        if new:
            self._logger.log_metrics(new, row.epoch)
        self._had |= {(tag, row.epoch) for tag in new}

    def close(self, how: str) -> None:
        self._logger.finalize(how)


@contextmanager
def parent_run(config: Config, name: str, *, waits: bool) -> Iterator[None]:
    """The run under which MLflow shows the runs of the sweep ``name``: made once, found again.

    It is running meanwhile. It ends as the sweep does if this process ``waits`` for the jobs, else
    it goes on.

    Raises:
        UserError: MLflow's store does not answer.
    """
    with _answering(tracking_uri(config)) as client:
        found = _parent(client, config, name)
        logger = _logger(config, found, run_name=name, tags={_OF_SWEEP: name})
        if (first := _parent(client, config, name)) not in (None, logger.run_id):
            client.delete_run(logger.run_id)  # the same command made one at the same time
            logger = _logger(config, first)
        client.update_run(logger.run_id, status="RUNNING")
    how = KILLED
    try:
        yield
        how = FINISHED if waits else "RUNNING"
    except Exception:
        how = FAILED
        raise
    finally:
        with suppress(Exception):  # the error that ended the sweep matters more
            if how != "RUNNING":
                logger.finalize(how)


def tracking_uri(config: Config) -> str:
    """The URI of MLflow's store: of the setting, else its variable, else in the folder of runs."""
    said = config["logger"]["mlflow"]["tracking_uri"] or os.environ.get("MLFLOW_TRACKING_URI")
    path = folder_at(config["runs_dir"]).resolve() / "mlflow.db"
    return str(said or f"sqlite:///{path}")


def check(config: Config) -> None:
    """Check that MLflow is installed and its store answers; a local store is made.

    Raises:
        UserError: MLflow is not installed, or its store does not answer.
    """
    require("mlflow", "logger=mlflow")
    folder_at(config["runs_dir"]).mkdir(parents=True, exist_ok=True)
    with _answering(tracking_uri(config)) as client:
        client.search_experiments(max_results=1)


@contextmanager
def _answering(uri: str) -> Iterator[MlflowClient]:
    """A client of the store ``uri``; any error in the body becomes a `UserError`."""
    _quiet()
    try:
        yield _client(uri)
    except Exception as error:  # of MLflow, requests or SQLAlchemy
        raise UserError(
            f"MLflow's store {uri} cannot be used: {in_a_line(error)}. Start its server, or name "
            "another with logger.mlflow.tracking_uri=URI, or train without it: logger=tensorboard"
        ) from error


def _logger(config: Config, run_id: str | None, **named: Any) -> MLFlowLogger:
    """Lightning's logger; its experiment and its run are made unless they are there."""
    from pytorch_lightning.loggers import MLFlowLogger  # not before: a sweep needs no Lightning

    uri = tracking_uri(config)
    artifacts = folder_at(config["runs_dir"]).resolve() / "mlartifacts"
    logger = MLFlowLogger(
        config["logger"]["mlflow"]["experiment_name"],
        tracking_uri=uri,
        run_id=run_id,
        artifact_location=artifacts.as_uri() if uri.startswith("sqlite:") else None,
        synchronous=True,
        **named,
    )
    from mlflow.exceptions import MlflowException

    with environment_kept():  # MLflow writes the URI of its store into it
        try:
            _ = logger.experiment
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            _ = logger.experiment  # another process has just made the experiment
    return logger


def _client(uri: str) -> MlflowClient:
    from mlflow.tracking import MlflowClient

    return MlflowClient(uri)


def _still_there(uri: str, run_id: str | None) -> str | None:
    """``run_id``, unless somebody has deleted that run."""
    from mlflow.exceptions import MlflowException

    if run_id is None:
        return None
    try:
        found = _client(uri).get_run(run_id).info.lifecycle_stage == "active"
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        found = False
    return run_id if found else None


def _parent(client: MlflowClient, config: Config, name: str | None = None) -> str | None:
    """The run of the sweep ``name``, by default of the sweep that this process belongs to."""
    name = name or os.environ.get(SWEEP_NAME)
    experiment = client.get_experiment_by_name(config["logger"]["mlflow"]["experiment_name"])
    if name is None or experiment is None:
        return None
    of_sweep = f"tags.`{_OF_SWEEP}` = '{name}'"  # a name has only letters, digits, dashes
    found = client.search_runs(
        [experiment.experiment_id], of_sweep, max_results=1, order_by=["attributes.start_time ASC"]
    )
    return str(found[0].info.run_id) if found else None


def _quiet() -> None:
    """Let MLflow leave out its notes, and not retry for minutes; called before it is imported."""
    for name, value in _USUAL.items():
        os.environ.setdefault(name, value)
    for name in ("alembic", "pytorch_lightning.loggers.mlflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
