"""What the launcher and trainer sections say of a sweep, and what of the command line and the
environment goes to its jobs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

from eleatt_bench.common.parallel import available_cores
from eleatt_bench.launch.devices import DevicePool, free_device_memory, visible_devices

SWEEPS = "sweeps"
"""The folder in a folder of runs for what is of no run: logs, and who is queued where."""


def is_about_launcher(word: str) -> bool:
    """Whether a word of a command line says how jobs are launched."""
    return word.lstrip("+~").startswith(("launcher=", "launcher."))


def without_launcher(arguments: Sequence[str]) -> list[str]:
    """``arguments`` without those about the launcher, for what launches nothing itself."""
    return [word for word in arguments if not is_about_launcher(word)]


def without_force(arguments: Sequence[str]) -> list[str]:
    """The words of a job that goes on with what it began anew."""
    return [word for word in arguments if word.lstrip("+").partition("=")[0] != "force"]


def begins_anew(arguments: Sequence[str]) -> bool:
    """Whether the words of a job let it begin anew what is finished."""
    return without_force(arguments) != [*arguments]


def outer_variables() -> dict[str, str]:
    """What of this process's environment is meant for its jobs; a cluster may pass on nothing."""
    ours = ("ELEATT_RUNS", "ELEATT_DATA", "ELEATT_DEBUG", "ELEATT_SWEEP", "MLFLOW_TRACKING_URI")
    return {key: os.environ[key] for key in ours if key in os.environ}


def credentials() -> dict[str, str]:
    """What lets jobs speak with the loggers' servers; not for files or lists that others read."""
    ours = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN",
            "WANDB_API_KEY")  # fmt: skip
    return {key: os.environ[key] for key in ours if key in os.environ}


def leased_gpus(config: Mapping[str, Any], there_are: Callable[[], bool]) -> Any:
    """How many GPUs each job of a cluster has: one for each process of a trainer that wants any."""
    trainer, said = config["trainer"], config["launcher"]["gpus"]
    if said is not None:
        return said
    wants = trainer["accelerator"]
    return trainer["devices"] if wants == "gpu" or (wants == "auto" and there_are()) else 0


class PoolSettings(TypedDict):
    """How a `Pool` is set up: what it takes."""

    num_jobs: int
    threads_per_job: int  # of each of its processes, if it has several
    devices: DevicePool | None
    warm: bool


def pool_settings(config: Mapping[str, Any], jobs: int) -> PoolSettings:
    """How to run ``jobs`` jobs, by the launcher and trainer sections of ``config``, plain."""
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
    """Whether each job has one device; others start processes themselves and cannot be forked."""
    return bool(config["trainer"]["devices"] == 1)


def _devices(config: Mapping[str, Any]) -> list[str]:
    return [] if config["trainer"]["accelerator"] == "cpu" else visible_devices()


def _num_jobs(config: Mapping[str, Any], devices: int, jobs: int) -> int:
    """How many jobs run at once; jobs of several devices have them all, one after the other."""
    if config["trainer"]["devices"] > 1:
        return 1
    places = devices * config["launcher"]["jobs_per_device"] if devices else available_cores()
    asked = config["launcher"]["jobs"] or places
    return max(1, min(asked, jobs, places if devices else asked))
