"""Lightning's WandbLogger: a run of Weights & Biases, on its server or in files for `wandb sync`.

The server counts the rows of a run, and a run that continues there skips as many. A file knows
nothing of other files: offline, the file of a continued run holds all rows, and replaces the
earlier files.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Sequence
from typing import Any

from eleatt_bench.common.errors import UserError, in_a_line
from eleatt_bench.common.extras import require
from eleatt_bench.common.locations import folder_at
from eleatt_bench.launch.settings import SWEEP_NAME
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.training.loggers.past import LoggedRow
from eleatt_bench.training.loggers.sink import (
    FINISHED,
    Config,
    parameters,
    read_id,
    write_id,
)

_PATIENCE = 30.0  # seconds for the server to answer, and in the end to take what is left


class WandbRun:
    """The run of ``folder``; files are below ``wandb/`` in the folder of runs."""

    title = "Weights & Biases"

    def __init__(self, folder: RunFolder, config: Config) -> None:
        self._folder, self._config = folder, config
        self._settings: dict[str, Any] = config["logger"]["wandb"]

    def open(self, rows: Sequence[LoggedRow]) -> None:
        import wandb
        from pytorch_lightning.loggers import WandbLogger  # not before: a sweep needs no Lightning

        own = {key: self._settings[key] or "" for key in ("project", "entity")}
        known = read_id(self._folder, "wandb")
        fits = known.items() >= own.items()
        name = known["id"] if fits and known.get("id") else uuid.uuid4().hex[:16]
        write_id(self._folder, "wandb", id=name, **own)
        runs_dir = folder_at(self._config["runs_dir"])
        for old in (runs_dir / "wandb").glob(f"offline-run-*-{name}"):
            shutil.rmtree(old)
        run = wandb.init(
            name=self._folder.run_id,
            id=name,
            resume="allow",
            reinit="create_new",
            dir=runs_dir,
            group=self._settings["group"] or os.environ.get(SWEEP_NAME),
            settings=_settings(),
            **{key: self._settings[key] for key in ("project", "entity", "mode")},
        )
        run.define_metric("trainer/global_step")  # as Lightning does where it begins the run
        run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
        self._logger = WandbLogger(experiment=run)
        self._logger.log_hyperparams(parameters(self._config))
        self._skip = run.starting_step
        for row in rows:
            self.log(row)

    def log(self, row: LoggedRow) -> None:
        if self._skip:  # the server has this row
            self._skip -= 1
        else:
            self._logger.log_metrics(row.values, row.epoch)

    def close(self, how: str) -> None:
        self._logger.experiment.finish(exit_code=0 if how == FINISHED else 1)


def check(config: Config) -> None:
    """Check that W&B is installed and, unless offline, that it knows the user and answers.

    Raises:
        UserError: W&B is not installed, does not know the user, or does not answer.
    """
    require("wandb", "logger=wandb")
    if config["logger"]["wandb"]["mode"] == "offline":
        return
    import requests
    import wandb

    instead = "logger.wandb.mode=offline leaves files for `wandb sync`"
    if not wandb.login(prompt=False, verify=False):
        raise UserError(f"Weights & Biases does not know who you are: wandb login; or {instead}")
    url = str(wandb.setup().settings.base_url)
    try:
        requests.get(url, timeout=10)
    except requests.RequestException as error:
        raise UserError(
            f"Weights & Biases does not answer at {url}: {in_a_line(error)}. Mend that; or "
            f"{instead}"
        ) from error


def _settings() -> Any:
    import wandb

    return wandb.Settings(
        silent=True,
        console="off",  # the run's output is in its log.txt
        init_timeout=_PATIENCE,
        finish_timeout=_PATIENCE,
        disable_code=True,
    )
