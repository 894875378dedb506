"""Many jobs from one command line: checked before the first starts, summed up after the last."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from eleatt_bench.cli.closing import closing
from eleatt_bench.cli.columns import columns, terminal_width
from eleatt_bench.cli.runs_list import accuracy_text
from eleatt_bench.composer import Composer
from eleatt_bench.composition import compose_config
from eleatt_bench.config import plain
from eleatt_bench.errors import UserError
from eleatt_bench.launch.hydra import launch
from eleatt_bench.runs.record import RunFolder, find_run
from eleatt_bench.tables.sweep import asked, lacking, missing_jobs
from eleatt_bench.training.run import run_folder

Jobs = Sequence[Sequence[str]]


def sweep(config: DictConfig, jobs: Jobs, initial_job_idx: int) -> Sequence[JobReturn]:
    """What Hydra's launcher does: run ``jobs``, each a list of overrides.

    Runs that are finished are not started again, unless ``force`` says so.

    Raises:
        UserError: a job that cannot be composed, before any is started; or, after all have
            ended, the jobs that failed.
    """
    verb = str(config.hydra.job.name)
    composer = Composer(verb)
    configs = [composer.config(overrides) for overrides in jobs]
    folders = [_folder(verb, one, composer) for one in configs]
    left = {
        index: folder
        for index, folder in enumerate(folders)
        if verb != "train" or config.force or folder.status() != "finished"
    }
    if len(left) < len(jobs):
        print(f"{len(jobs) - len(left)} of {len(jobs)} runs are finished already")
    ordered, needs = [jobs[index] for index in left], dict[int, int]()
    busy: list[Callable[[], bool]] = []
    if verb == "train":
        trained = [(jobs[i], configs[i]) for i in left]
        ordered, needs, runs = with_pretraining(trained, composer)
        busy = [run.is_locked for run in runs]
    try:
        returned: Sequence[JobReturn] = launch(config, ordered, initial_job_idx, needs, busy)
    finally:
        if config.get("table") is None:  # a table shows the results itself
            print_results(verb, jobs, folders)
            _close(config, folders, started=bool(left))
    return returned


def sweep_tables(arguments: Sequence[str], launcher: Launcher) -> Sequence[JobReturn]:
    """What Hydra's table sweeper does: let ``launcher`` do the runs that the tables still lack.

    Raises:
        UserError: after all that could be done, the jobs that failed and the data sets that lack.
    """
    made = asked(arguments)
    jobs, lack = missing_jobs(made), lacking(made)
    if lack and jobs:
        print(lack, flush=True)
    try:
        returned = launcher.launch(jobs, initial_job_idx=0) if jobs else []
    except UserError as failed:
        raise UserError(f"{failed}\n\n{lack}" if lack else str(failed)) from failed
    if lack:
        raise UserError(lack)
    return returned


def print_results(verb: str, jobs: Jobs, folders: Sequence[RunFolder]) -> None:
    """A line per job: its run, and the accuracy it came to."""
    rows = []
    for overrides, folder in zip(jobs, folders, strict=True):
        if verb == "train":
            rows.append([folder.run_id, accuracy_text(folder.read()), folder.status()])
            continue
        checkpoint = plain(compose_config(overrides, verb))["checkpoint"]
        path = folder.path / f"eval-{checkpoint}.json"
        result = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        rows.append([folder.run_id, accuracy_text(result), f"{checkpoint} checkpoint"])
    for line in columns(["run", "test accuracy", "status"], rows, terminal_width()):
        print(line)


def _close(config: DictConfig, folders: Sequence[RunFolder], *, started: bool) -> None:
    """Where everything lies, and what to type next."""
    where = {"runs": str(config.runs_dir)}
    if started:
        where["logs"] = str(config.hydra.sweep.dir)
    then = {"curves": ["tensorboard"], "a run": ["runs", "show", folders[0].run_id]}
    closing(where, then, Path(config.runs_dir))


def with_pretraining(
    jobs: Sequence[tuple[Sequence[str], dict[str, Any]]], composer: Composer
) -> tuple[list[Sequence[str]], dict[int, int], list[RunFolder]]:
    """Overrides and configurations of runs, with the pre-trainings they lack, each once, before.

    Returns the overrides of all, by position the position of the job that one has to wait for, and
    the runs of all.
    """
    folders: dict[str, RunFolder] = {}
    ordered: dict[str, Sequence[str]] = {}  # by the runs' names
    own: dict[str, Sequence[str]] = {}
    needs: dict[str, str] = {}
    for overrides, config in jobs:
        folder, _, source = run_folder(config, composer)
        own[folder.run_id] = overrides
        folders[folder.run_id] = folder
        if source is not None:
            before, _, _ = run_folder(source.config, composer)
            if before.status() != "finished":
                ordered[before.run_id] = source.overrides
                needs[folder.run_id] = before.run_id
                folders[before.run_id] = before
    ordered |= {name: overrides for name, overrides in own.items() if name not in ordered}
    place = {name: index for index, name in enumerate(ordered)}
    by_place = {place[name]: place[before] for name, before in needs.items()}
    return list(ordered.values()), by_place, [folders[name] for name in ordered]


def _folder(verb: str, config: dict[str, Any], composer: Composer) -> RunFolder:
    """The folder of the run that a job trains or tests."""
    if verb == "train":
        return run_folder(config, composer)[0]
    return find_run(Path(config["runs_dir"]), config["run"])
