"""Many jobs from one command line: checked before the first starts, summed up after the last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.files import FileState
from eleatt_bench.common.literal import key_of, value_of
from eleatt_bench.common.locations import config_flags, folder_at
from eleatt_bench.common.text import closing, columns, terminal_width
from eleatt_bench.config.composer import Composer
from eleatt_bench.launch.engine import run_jobs
from eleatt_bench.launch.engines import engine_for, for_cluster, is_local, submit
from eleatt_bench.launch.journal import Journal
from eleatt_bench.launch.overview import failures_message
from eleatt_bench.launch.process import Job
from eleatt_bench.launch.settings import SWEEPS, one_device
from eleatt_bench.runs.identity import is_place
from eleatt_bench.runs.record import RunFolder, check_finished, find_run
from eleatt_bench.runs.title import accuracy_text
from eleatt_bench.runs.wanted import WantedRun
from eleatt_bench.sweeps.jobs import labels, training_jobs
from eleatt_bench.sweeps.sweep import Sweep, check_cluster, sweep_of
from eleatt_bench.training.folder import check_pretraining, wanted_run
from eleatt_bench.training.loggers.ready import loggers_ready

Overrides = Sequence[str]


class Planned(NamedTuple):
    """What a job of a sweep does; ``run`` is None if it tests a run that is there."""

    overrides: Overrides
    config: dict[str, Any]
    folder: RunFolder
    run: WantedRun | None


def sweep(
    hydra: DictConfig, jobs: Sequence[Overrides], first: int, detach: bool = False
) -> Sequence[JobReturn]:
    """What Hydra's launcher does: run ``jobs``, which are numbered from ``first``.

    ``hydra`` is the configuration of the sweep, Hydra's section included. Runs that are finished
    are not started again, unless ``force`` says so. With ``detach`` the jobs are submitted to a
    cluster, and the sweep does not wait for them.

    Raises:
        UserError: before any job starts, if one cannot be composed or is the same run as another;
            after all have ended, if some failed.
    """
    this = sweep_of(hydra)
    verb, config, logs = this.verb, this.config, this.logs
    if detach:
        check_cluster(this, "--detach")
    planned = plan_jobs(verb, jobs)
    left = [
        one for one in planned if one.run is None or config["force"] or not one.folder.is_finished()
    ]
    if len(left) < len(jobs):
        print(f"{len(jobs) - len(left)} of {len(jobs)} runs are finished already")
    before = [_evaluation(one) for one in planned]
    try:
        if left:
            configs = [one.config for one in left if one.run is not None]
            with loggers_ready(configs, this.name, waits=not detach):
                launch(this, left, first, detach)
    finally:
        begun = any(one.folder.record.exists() for one in planned)
        if hydra.get("table") is None and not detach and begun:  # a table shows them itself
            print_results(planned, before)
            _close(config, planned, logs if left else None)
    if not detach:
        _check_finished(planned)
    return [_job_return(one) for one in planned]


def plan_jobs(verb: str, jobs: Sequence[Overrides]) -> list[Planned]:
    """What each of ``jobs`` does; all of them are composed.

    Raises:
        UserError: a job cannot be composed; the message has its number. Or two are the same run.
    """
    composer, planned = Composer(verb), list[Planned]()
    for number, overrides in enumerate(jobs, start=1):
        try:
            config = composer.config(overrides)
            if verb == "train":
                folder, run = wanted_run(overrides, config, composer)
                check_pretraining(folder, run, force=config["force"])
                planned.append(Planned(overrides, config, folder, run))
            else:
                folder = find_run(folder_at(config["runs_dir"]), config["run"])
                check_finished(folder)
                planned.append(Planned(overrides, config, folder, None))
        except UserError as error:
            if len(jobs) == 1:
                raise
            label = labels(jobs)[number - 1]
            raise UserError(f"Job {number} of {len(jobs)}, {label}: {error}") from error
    _check_distinct([one for one in planned if one.run is not None])
    return planned


def _check_distinct(planned: Sequence[Planned]) -> None:
    """Refuse two jobs that are one run: what they differ in has no effect on any number."""
    often = Counter(one.folder.run_id for one in planned)
    for run_id in (name for name, count in often.items() if count > 1):
        same = [one for one in planned if one.folder.run_id == run_id]
        differ = sorted({key_of(o) for one in same for o in one.overrides
                         if not all(o in other.overrides for other in same)})  # fmt: skip
        if not differ:
            raise UserError(f"{' '.join(same[0].overrides)} is asked for twice: once is enough")
        places = [key for key in differ if is_place(key)]
        what = places[0] if places else " and ".join(differ)
        raise UserError(
            f"{what} is no part of a run's name here: {len(same)} jobs would all be {run_id}. "
            f"Give {what} one value"
        )


def launch(this: Sweep, left: Sequence[Planned], first: int, detach: bool = False) -> None:
    """Do the jobs that are ``left``, pre-trainings first; raises as `sweep`."""
    this = _laid_out(this, left)
    config, warm_ok = this.config, one_device(this.config)
    runs = [one.run for one in left if one.run is not None]
    if runs:
        jobs = training_jobs(runs, this.runs_dir, this.logs, first, warm_ok)
    else:
        told = labels([one.overrides for one in left])
        jobs = [
            Job((this.verb, *config_flags(), *one.overrides), label, this.logs / f"{number}.log",
                warm_ok)
            for number, (one, label) in enumerate(zip(left, told, strict=True), first)
        ]  # fmt: skip
    if not is_local(config):
        jobs = for_cluster(jobs, anew=config.get("force", False))
    sweeps = this.runs_dir / SWEEPS
    if detach:
        handed = submit(config, jobs, this.command, folder=sweeps, name=this.name)
        anew = ", and begins anew what is finished by then" if config.get("force") else ""
        print(f"{handed}. The same command without --detach shows how they are{anew}; with "
              "--cancel it ends them")  # fmt: skip
        return
    engine = engine_for(
        config, len(jobs), folder=sweeps, name=this.name, keys={job.key for job in jobs},
        journal=Journal(this.logs / "jobs.jsonl"),
    )  # fmt: skip
    results = run_jobs(jobs, engine)
    failed = [(result.job, result.returncode) for result in results if result.returncode != 0]
    if failed:
        raise UserError(failures_message(failed, len(jobs)))


_LAYOUT = ("accelerator", "devices", "strategy")


def _laid_out(this: Sweep, left: Sequence[Planned]) -> Sweep:
    """``this`` with the device settings of its jobs.

    A table, an experiment or a swept choice may set them for each job.

    Raises:
        UserError: they are not the same for all jobs.
    """
    first = {key: left[0].config["trainer"][key] for key in _LAYOUT}
    for one in left:
        for key, value in first.items():
            other = one.config["trainer"][key]
            if other != value:
                raise UserError(
                    f"{left[0].folder.run_id} has trainer.{key}={value} and {one.folder.run_id} "
                    f"trainer.{key}={other}, but the jobs of one sweep are laid out alike: type "
                    f"one for all, such as trainer.{key}={other}, or start two sweeps"
                )
    return this._replace(config={**this.config, "trainer": {**this.config["trainer"], **first}})


def _evaluation(one: Planned) -> tuple[int, ...] | None:
    """The state of the file of an evaluation, to see later whether it was written anew.

    None if there is no such file, or the job trains.
    """
    if one.run is not None:
        return None
    state = FileState.at(str(one.folder.evaluation(_checkpoint(one))))
    return None if state is None else state.key


def _checkpoint(one: Planned) -> str:
    """The checkpoint that an evaluation tests, ``best`` or ``last``."""
    return str(one.config["checkpoint"] or (one.folder.read() or {}).get("selection", "best"))


def _check_finished(planned: Sequence[Planned]) -> None:
    """Raise a `UserError` that names planned runs which are not finished, if there are any."""
    lack = [one for one in planned if one.run is not None and not one.folder.is_finished()]
    if lack:
        some = ", ".join(one.folder.run_id for one in lack[:5])
        raise UserError(
            f"{len(lack)} of {len(planned)} runs that this sweep planned are not finished: "
            f"{some}{' …' if len(lack) > 5 else ''}. The same command does them"
        )


def _job_return(one: Planned) -> JobReturn:
    done = JobReturn(overrides=list(one.overrides), status=JobStatus.COMPLETED)
    done.return_value = None
    return done


def print_results(planned: Sequence[Planned], before: Sequence[tuple[int, ...] | None]) -> None:
    """Print a line per job: its accuracy, what tells it from the others, and its run.

    ``before`` has the state of each evaluation's file before the sweep. If a state has not changed,
    the job tested nothing.
    """
    tell = differing([one.overrides for one in planned])
    rows = []
    for place, (one, values) in enumerate(zip(planned, tell, strict=True)):
        if one.run is not None:
            texts = [accuracy_text(one.folder.read()), one.folder.status()]
        else:
            checkpoint = _checkpoint(one)
            result = one.folder.read_evaluation(checkpoint)  # first: opening makes NFS look anew
            anew = _evaluation(one) not in (None, before[place])
            texts = [
                accuracy_text(result if anew else None),
                f"{checkpoint} checkpoint" if anew else "not tested",
            ]
            values.pop("run", None)  # the last column has it in full
        last = {"status": texts[1], "run": one.folder.run_id}
        rows.append({"test accuracy": texts[0]} | values | last)
    for line in columns([*rows[0]], [[*row.values()] for row in rows], terminal_width()):
        print(line)


def differing(jobs: Sequence[Overrides]) -> list[dict[str, str]]:
    """For each of ``jobs``, the overrides in which the jobs differ, by their keys."""
    said = [{key_of(o): value_of(o) for o in overrides} for overrides in jobs]
    keys = dict.fromkeys(key for one in said for key in one)
    apart = [key for key in keys if len({one.get(key) for one in said}) > 1]
    return [{key: one.get(key, "–") for key in apart} for one in said]


def _close(config: dict[str, Any], planned: Sequence[Planned], logs: Path | None) -> None:
    """Print where everything lies, and what to type next."""
    where = {"runs": str(config["runs_dir"])}
    if logs is not None:
        where["logs"] = str(logs)
    then = {"curves": ["tensorboard"], "a run": ["runs", "show", planned[0].folder.run_id]}
    closing(where, then, folder_at(config["runs_dir"]))
