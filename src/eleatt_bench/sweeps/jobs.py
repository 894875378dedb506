"""The jobs that train runs, as an engine gets them from a sweep or a search."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from eleatt_bench.common.locations import config_flags
from eleatt_bench.launch.devices import UNKNOWN, Memory
from eleatt_bench.launch.process import Job
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.runs.wanted import WantedRun
from eleatt_bench.tables.estimate import expected_memory


def training_jobs(
    runs: Sequence[WantedRun], runs_dir: Path, logs: Path, first: int, warm_ok: bool
) -> list[Job]:
    """A job for each of ``runs``, after one for each pre-training that they lack.

    Each job has the name of its run, and knows whether another process is at that run and how much
    memory it is expected to take.
    """
    own = {run.run_id: run for run in runs}
    lacking = {
        run.before.run_id: run.before
        for run in runs
        if run.before is not None and not run.before.folder(runs_dir).is_finished()
    }
    ordered = [*lacking.values(), *(run for name, run in own.items() if name not in lacking)]
    told = labels([run.overrides for run in ordered])
    memory = expected_memory([run.identity for run in ordered], runs_dir)
    jobs: dict[str | None, Job] = {}
    for number, (run, label, expected) in enumerate(zip(ordered, told, memory, strict=True), first):
        jobs[run.run_id] = training_job(
            run, run.folder(runs_dir), label, logs / f"{number}.log",
            warm_ok=warm_ok, memory=expected,
            needs=None if run.before is None else jobs.get(run.before.run_id),
        )  # fmt: skip
    return list(jobs.values())


def training_job(
    run: WantedRun,
    folder: RunFolder,
    label: str,
    log: Path,
    *,
    warm_ok: bool,
    needs: Job | None = None,
    memory: Memory = UNKNOWN,
) -> Job:
    """The job that trains ``run`` in ``folder``.

    Without a job that it ``needs`` it does the pre-training of the run itself, if that is lacking.
    """
    return Job(
        arguments=("train", *config_flags(), *run.overrides),
        label=label,
        log_path=log,
        warm_ok=warm_ok,
        needs=needs,
        busy=partial(_is_held, folder),
        memory=memory,
        run_id=run.run_id,
        done=folder.is_finished,
        grows=folder.epochs,
    )


def _is_held(folder: RunFolder) -> bool:
    return folder.is_locked() is True


def labels(jobs: Sequence[Sequence[str]]) -> list[str]:
    """What tells each of ``jobs`` from the others."""
    common = set.intersection(*(set(overrides) for overrides in jobs))
    return [" ".join(o for o in job if o not in common) or " ".join(job) for job in jobs]
