"""Which engine runs jobs, by the launcher section of a configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from eleatt_bench.launch.engine import Engine
from eleatt_bench.launch.journal import Journal
from eleatt_bench.launch.pool import Pool
from eleatt_bench.launch.process import Job
from eleatt_bench.launch.settings import pool_settings

_TRIALS = 8  # trials that are queued or run at once: later ones learn from earlier ones


def is_local(config: Mapping[str, Any]) -> bool:
    """Whether jobs run on this machine, as children of this process."""
    return bool(config["launcher"]["name"] == "local")


def engine_for(
    config: Mapping[str, Any],
    jobs: int,
    *,
    folder: Path,
    name: str,
    keys: Set[str] = frozenset(),
    journal: Journal | None = None,
    trials: bool = False,
) -> Engine:
    """The engine for ``jobs`` jobs of the sweep ``name``; ``folder`` is the one of all sweeps.

    ``keys`` are those of the jobs, as far as they are known before.
    With ``trials`` only a few jobs are handed over at once: later trials learn from earlier ones.

    Raises:
        UserError: the cluster cannot give what ``config`` asks for, or does not answer.
    """
    say = partial(print, flush=True)
    match config["launcher"]["name"]:
        case "local":
            return Pool(**pool_settings(config, jobs), journal=journal)
        case "ray":
            from eleatt_bench.launch.ray.driver import Ray
            from eleatt_bench.launch.ray.submission import submitted

            by_another = None if trials else submitted(config, keys, folder / name, say)
            if by_another is not None:
                return by_another
            return Ray.of(config, most=None if trials else jobs, journal=journal, say=say)
    from eleatt_bench.launch.slurm.engine import Slurm
    from eleatt_bench.launch.slurm.script import request

    wanted = request(config)
    at_once = wanted.parallel or (_TRIALS if trials else jobs)
    most = at_once if trials else None
    if trials:  # each is an array of its own, and SLURM would let one wait for all before it
        wanted = replace(wanted, parallel=None)
    return Slurm(wanted, folder, name, at_once=at_once, most=most, say=say)


def submit(
    config: Mapping[str, Any],
    jobs: Sequence[Job],
    command: Sequence[str],
    *,
    folder: Path,
    name: str,
) -> str:
    """Hand ``jobs`` to a cluster and do not wait; a sentence about how to look at them.

    Ray gets the sweep's own ``command``, which runs the jobs there.

    Raises:
        UserError: the cluster does not take them.
    """
    if config["launcher"]["name"] == "ray":
        from eleatt_bench.launch.ray.submission import submit as submit_sweep

        count = submit_sweep(config, jobs, command, folder / name)
        return f"{count:,} jobs are in Ray's hands: ray job logs {name}"
    engine = engine_for(config, len(jobs), folder=folder, name=name)
    from eleatt_bench.launch.slurm.engine import Slurm

    assert isinstance(engine, Slurm)
    return f"{engine.submit(jobs):,} jobs are in SLURM's hands: squeue --name={name}"


def cancel(config: Mapping[str, Any], *, folder: Path, name: str) -> int:
    """End the jobs of the sweep ``name`` on its cluster; how many there were.

    Raises:
        UserError: the cluster does not do it.
    """
    if config["launcher"]["name"] == "ray":
        from eleatt_bench.launch.ray.submission import cancel as cancel_sweep

        return cancel_sweep(config, folder / name)
    from eleatt_bench.launch.slurm.cancelling import cancel as cancel_arrays

    return cancel_arrays(folder, name)


def for_cluster(jobs: Sequence[Job], *, anew: bool) -> list[Job]:
    """``jobs`` with logs that are named by key, so that later commands find those of the same jobs.

    With ``anew``, a job that was done before does not count as done.
    """
    made: dict[Job, Job] = {}
    for job in jobs:
        made[job] = replace(
            job,
            log_path=job.log_path.with_name(f"{job.key}.log"),
            needs=None if job.needs is None else made[job.needs],
            done=None if anew else job.done,
        )
    return list(made.values())
