"""What the launcher and trainer sections say of a sweep, and which words and variables jobs get."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

from eleatt_bench.common.literal import key_of
from eleatt_bench.common.nested import covers
from eleatt_bench.common.parallel import available_cores
from eleatt_bench.launch.devices import DevicePool, free_device_memory, visible_devices

SWEEPS = "sweeps"
"""The folder in a folder of runs for the logs of sweeps and the lists of queued jobs."""


SWEEP_NAME = "ELEATT_SWEEP"
"""The environment variable that tells a job the name of the sweep it belongs to."""


def is_about_launcher(word: str) -> bool:
    """Whether a word of a command line says how jobs are launched."""
    return covers("launcher", key_of(word))


def without_launcher(arguments: Sequence[str]) -> list[str]:
    """``arguments`` without those about the launcher, for a command that launches nothing."""
    return [word for word in arguments if not is_about_launcher(word)]


def without_force(arguments: Sequence[str]) -> list[str]:
    """``arguments`` without ``force``, for a job that goes on with a run that it began anew."""
    return [word for word in arguments if key_of(word) != "force"]


def begins_anew(arguments: Sequence[str]) -> bool:
    """Whether the ``arguments`` of a job let it begin a finished run anew."""
    return without_force(arguments) != [*arguments]


def outer_variables() -> dict[str, str]:
    """The environment variables that jobs should have; a cluster may pass none on by itself."""
    ours = ("ELEATT_RUNS", "ELEATT_DATA", "ELEATT_DEBUG", SWEEP_NAME, "MLFLOW_TRACKING_URI")
    return {key: os.environ[key] for key in ours if key in os.environ}


def credentials() -> dict[str, str]:
    """Variables with passwords for loggers' servers; not for files or lists that others read."""
    ours = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN",
            "WANDB_API_KEY")  # fmt: skip
    return {key: os.environ[key] for key in ours if key in os.environ}


def leased_gpus(config: Mapping[str, Any], there_are: Callable[[], bool]) -> Any:
    """GPUs of each job on a cluster; by default one per process if the trainer wants GPUs."""
    trainer, said = config["trainer"], config["launcher"]["gpus"]
    if said is not None:
        return said
    wants = trainer["accelerator"]
    return trainer["devices"] if wants == "gpu" or (wants == "auto" and there_are()) else 0


class PoolSettings(TypedDict):
    """The arguments of a `Pool` that follow from the settings."""

    num_jobs: int
    threads_per_job: int  # of each of its processes, if it has several
    devices: DevicePool | None
    warm: bool


def pool_settings(config: Mapping[str, Any], jobs: int) -> PoolSettings:
    """The settings of a pool for ``jobs`` jobs; ``config`` is plain."""
    devices, pool = _devices(config), None
    single = one_device(config)
    if devices and single:
        pool = DevicePool(devices, config["launcher"]["jobs_per_device"], free_device_memory())
    num_jobs = _num_jobs(config, len(devices) if single else 0, jobs)
    return {
        "num_jobs": num_jobs,
        "threads_per_job": max(1, available_cores() // (num_jobs * config["trainer"]["devices"])),
        "devices": pool,
        "warm": config["launcher"]["warm"],
    }


def one_device(config: Mapping[str, Any]) -> bool:
    """Whether a job has one device; with more it starts processes itself and cannot be forked."""
    return bool(config["trainer"]["devices"] == 1)


def _devices(config: Mapping[str, Any]) -> list[str]:
    return [] if config["trainer"]["accelerator"] == "cpu" else visible_devices()


def _num_jobs(config: Mapping[str, Any], devices: int, jobs: int) -> int:
    """How many jobs run at once; a job of several devices runs alone and has all of them."""
    if config["trainer"]["devices"] > 1:
        return 1
    places = devices * config["launcher"]["jobs_per_device"] if devices else available_cores()
    asked = config["launcher"]["jobs"] or places
    return max(1, min(asked, jobs, places if devices else asked))
