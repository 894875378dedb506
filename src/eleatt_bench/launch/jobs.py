"""From Hydra's list of overrides to jobs of the pool, and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, OmegaConf

from eleatt_bench.common.errors import UserError
from eleatt_bench.launch.devices import (
    UNKNOWN,
    DevicePool,
    Memory,
    available_cores,
    free_device_memory,
    visible_devices,
)
from eleatt_bench.launch.journal import Journal
from eleatt_bench.launch.overview import failures_message
from eleatt_bench.launch.pool import JobResult, run_jobs
from eleatt_bench.launch.process import Job


@dataclass(frozen=True)
class Entry:
    """A job of a sweep before it is a command line; it ``needs`` an earlier entry, by position."""

    overrides: Sequence[str]
    needs: int | None = None
    busy: Callable[[], bool] | None = None
    memory: Memory = UNKNOWN


def launch(config: DictConfig, entries: Sequence[Entry], initial_job_idx: int) -> list[JobReturn]:
    """Run every entry as a command line of its own; see `Job` for when it starts.

    ``config`` is Hydra's, of the sweep: its launcher section says how many run at once, its
    trainer section on what.

    Raises:
        UserError: after all have ended, if any failed; with the ends of their logs.
    """
    if not entries:
        return []
    # Jobs may override their trainer; the sweep is laid out by what was said of all of them.
    room = layout(config, len(entries))
    jobs = _jobs(config, entries, initial_job_idx, warm_ok=one_device(config))
    journal = Journal(Path(config.hydra.sweep.dir) / "jobs.jsonl")
    results = run_jobs(jobs, **room, journal=journal)
    failed = [(result.job, result.returncode) for result in results if result.returncode != 0]
    if failed:
        raise UserError(failures_message(failed, len(jobs)))
    return [_job_return(result, e) for result, e in zip(results, entries, strict=True)]


class PoolSettings(TypedDict):
    """How a `Pool` is set up: what it takes."""

    num_jobs: int
    threads_per_job: int
    devices: DevicePool | None
    warm: bool


def layout(config: DictConfig, jobs: int) -> PoolSettings:
    """How to run ``jobs`` jobs, by the launcher and trainer sections of ``config``."""
    devices, pool = _devices(config), None
    single = one_device(config)
    if devices and single:
        pool = DevicePool(devices, config.launcher.jobs_per_device, free_device_memory())
    num_jobs = _num_jobs(config, len(devices) if single else 0, jobs)
    return {
        "num_jobs": num_jobs,
        "threads_per_job": max(1, available_cores() // num_jobs),
        "devices": pool,
        "warm": config.launcher.warm,
    }


def one_device(config: DictConfig) -> bool:
    """Whether each job has one device; others start processes themselves and cannot be forked."""
    return bool(config.trainer.devices == 1)


def _devices(config: DictConfig) -> list[str]:
    return [] if config.trainer.accelerator.name == "cpu" else visible_devices()


def _num_jobs(config: DictConfig, devices: int, jobs: int) -> int:
    """How many jobs run at once; jobs of several devices have them all, one after the other."""
    if config.trainer.devices > 1:
        return 1
    room = devices * config.launcher.jobs_per_device if devices else available_cores()
    asked = config.launcher.jobs or room
    return max(1, min(asked, jobs, room if devices else asked))


def _jobs(config: DictConfig, entries: Sequence[Entry], first: int, warm_ok: bool) -> list[Job]:
    common = set.intersection(*(set(entry.overrides) for entry in entries))
    flags = _config_dir(config)
    folder = Path(config.hydra.sweep.dir)
    jobs: list[Job] = []
    for index, entry in enumerate(entries):
        overrides = entry.overrides
        jobs.append(
            Job(
                arguments=(config.hydra.job.name, *flags, *overrides),
                label=" ".join(o for o in overrides if o not in common) or " ".join(overrides),
                log_path=folder / f"{first + index}.log",
                warm_ok=warm_ok,
                needs=None if entry.needs is None else jobs[entry.needs],
                busy=entry.busy,
                memory=entry.memory,
            )
        )
    return jobs


def _config_dir(config: DictConfig) -> list[str]:
    """The user's own ``--config-dir``, which a job's command line needs as well."""
    sources = OmegaConf.to_container(config.hydra.runtime.config_sources)
    assert isinstance(sources, list)
    added = [s["path"] for s in sources if isinstance(s, dict) and s["provider"] == "command-line"]
    return ["--config-dir", added[0]] if added else []


def _job_return(result: JobResult, entry: Entry) -> JobReturn:
    done = JobReturn(overrides=list(entry.overrides), status=JobStatus.COMPLETED)
    done.return_value = None
    return done
