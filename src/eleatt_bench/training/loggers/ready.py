"""What loggers need before a run and around the runs of a sweep; imports only chosen loggers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from eleatt_bench.launch.settings import SWEEP_NAME
from eleatt_bench.training.loggers.sink import Config


def check_ready(config: Config) -> None:
    """Check that the loggers of ``config`` can be used, before a run or a sweep's first job.

    Raises:
        UserError: an extra is not installed, or a server does not answer.
    """
    if config["logger"]["mlflow"] is not None:
        from eleatt_bench.training.loggers import mlflow_run

        mlflow_run.check(config)
    if config["logger"]["wandb"] is not None:
        from eleatt_bench.training.loggers import wandb_run

        wandb_run.check(config)


@contextmanager
def loggers_ready(configs: Iterable[Config], name: str, *, waits: bool = True) -> Iterator[None]:
    """Make the loggers ready for the jobs of the sweep ``name``, which have these ``configs``.

    The jobs start in the body. Unless the sweep ``waits`` for them, they outlast it.

    Raises:
        UserError: as for `check_ready`, before any job.
    """
    different = {repr(config["logger"]): config for config in configs}
    for config in different.values():
        check_ready(config)
    before = os.environ.get(SWEEP_NAME)
    with ExitStack() as stack:
        for config in different.values():
            if config["logger"]["mlflow"] is not None:
                from eleatt_bench.training.loggers.mlflow_run import parent_run

                stack.enter_context(parent_run(config, name, waits=waits))
        os.environ[SWEEP_NAME] = name
        try:
            yield
        finally:
            del os.environ[SWEEP_NAME]
            if before is not None:
                os.environ[SWEEP_NAME] = before
