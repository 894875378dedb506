"""From Hydra's list of overrides to jobs of the pool, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, OmegaConf

from eleatt_bench.errors import UserError
from eleatt_bench.launch.devices import DevicePool, available_cores, visible_devices
from eleatt_bench.launch.journal import Journal
from eleatt_bench.launch.overview import failures_message
from eleatt_bench.launch.pool import JobResult, run_jobs
from eleatt_bench.launch.process import Job


def launch(
    config: DictConfig,
    job_overrides: Sequence[Sequence[str]],
    initial_job_idx: int,
    needs: Mapping[int, int] | None = None,
    busy: Sequence[Callable[[], bool]] = (),
) -> list[JobReturn]:
    """Run every entry of ``job_overrides`` as a command line of its own.

    ``config`` is Hydra's, of the sweep: its launcher section says how many run at once, its
    trainer section on what. Entry i starts when entry ``needs[i]``, an earlier one, has ended well,
    and while ``busy[i]()``, if given, is false: while no other process is at the same work.

    Raises:
        UserError: after all have ended, if any failed; with the ends of their logs.
    """
    if not job_overrides:
        return []
    # Jobs may override their trainer; the sweep is laid out by what was said of all of them.
    devices = _devices(config)
    single = config.trainer.devices == 1
    pool = DevicePool(devices, config.launcher.jobs_per_device) if devices and single else None
    num_jobs = _num_jobs(config, len(devices) if single else 0, len(job_overrides))
    jobs = _jobs(config, job_overrides, initial_job_idx, needs or {}, busy, warm_ok=single)
    results = run_jobs(
        jobs,
        num_jobs=num_jobs,
        threads_per_job=max(1, available_cores() // num_jobs),
        devices=pool,
        warm=config.launcher.warm,
        journal=Journal(Path(config.hydra.sweep.dir) / "jobs.jsonl"),
    )
    failed = [(result.job, result.returncode) for result in results if result.returncode != 0]
    if failed:
        raise UserError(failures_message(failed, len(jobs)))
    return [_job_return(result, o) for result, o in zip(results, job_overrides, strict=True)]


def _devices(config: DictConfig) -> list[str]:
    return [] if config.trainer.accelerator.name == "cpu" else visible_devices()


def _num_jobs(config: DictConfig, devices: int, jobs: int) -> int:
    """How many jobs run at once; jobs of several devices have them all, one after the other."""
    if config.trainer.devices > 1:
        return 1
    room = devices * config.launcher.jobs_per_device if devices else available_cores()
    asked = config.launcher.jobs or room
    return max(1, min(asked, jobs, room if devices else asked))


def _jobs(
    config: DictConfig,
    job_overrides: Sequence[Sequence[str]],
    first: int,
    needs: Mapping[int, int],
    busy: Sequence[Callable[[], bool]],
    warm_ok: bool,
) -> list[Job]:
    common = set.intersection(*(set(overrides) for overrides in job_overrides))
    flags = _config_dir(config)
    folder = Path(config.hydra.sweep.dir)
    jobs: list[Job] = []
    for index, overrides in enumerate(job_overrides):
        jobs.append(
            Job(
                arguments=(config.hydra.job.name, *flags, *overrides),
                label=" ".join(o for o in overrides if o not in common) or " ".join(overrides),
                log_path=folder / f"{first + index}.log",
                warm_ok=warm_ok,
                needs=jobs[needs[index]] if index in needs else None,
                busy=busy[index] if busy else None,
            )
        )
    return jobs


def _config_dir(config: DictConfig) -> list[str]:
    """The user's own ``--config-dir``, which a job's command line needs as well."""
    sources = OmegaConf.to_container(config.hydra.runtime.config_sources)
    assert isinstance(sources, list)
    added = [s["path"] for s in sources if isinstance(s, dict) and s["provider"] == "command-line"]
    return ["--config-dir", added[0]] if added else []


def _job_return(result: JobResult, overrides: Sequence[str]) -> JobReturn:
    done = JobReturn(overrides=list(overrides), status=JobStatus.COMPLETED)
    done.return_value = None
    return done
