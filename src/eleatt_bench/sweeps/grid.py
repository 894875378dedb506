"""Many jobs from one command line: checked before the first starts, summed up after the last.

A grid comes from ``-m``; the jobs that tables still lack from the sweeper
`hydra/sweeper=eleatt_table`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.text import closing, columns, terminal_width
from eleatt_bench.config.compose import compose_config
from eleatt_bench.config.composer import Composer
from eleatt_bench.config.schema import plain
from eleatt_bench.data.datasets import prepare_command
from eleatt_bench.launch.jobs import Entry, launch
from eleatt_bench.runs.record import RunFolder, find_run
from eleatt_bench.runs.title import accuracy_text
from eleatt_bench.tables.estimate import expected_memory
from eleatt_bench.tables.plan import Plan, plans
from eleatt_bench.tables.records import missing
from eleatt_bench.training.folder import run_folder


def asked(arguments: Sequence[str]) -> list[Plan]:
    """The tables that ``arguments`` ask for: ``table=NAME``, and overrides said of every run.

    Raises:
        UserError: no table is chosen.
    """
    tables = [a.split("=", 1)[1] for a in arguments if a.startswith("table=")]
    if not tables:
        raise UserError("hydra/sweeper=eleatt_table needs a table: table=digits")
    return plans(tables[-1], arguments)


def missing_jobs(made: Sequence[Plan]) -> list[list[str]]:
    """The overrides of every run that the tables lack and whose data are here, each run once."""
    jobs = {run.run_id: list(run.overrides) for plan in made for run in missing(plan)}
    jobs.pop(None, None)
    return list(jobs.values())


def lacking(made: Sequence[Plan]) -> str:
    """A sentence that names the data sets which are not prepared; nothing if all are."""
    tables: dict[str, list[str]] = {}
    for plan in made:
        for name in plan.unprepared:
            tables.setdefault(name, []).append(plan.spec["name"])
    return "; ".join(
        f"Table {', '.join(names)} needs data set {name}, which is not prepared: "
        f"{prepare_command(name)}"
        for name, names in tables.items()
    )


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
    entries = [Entry(jobs[index]) for index in left]
    if verb == "train":
        entries = trainings([(jobs[i], configs[i]) for i in left], composer)
    try:
        returned: Sequence[JobReturn] = launch(config, entries, initial_job_idx)
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


def trainings(
    jobs: Sequence[tuple[Sequence[str], dict[str, Any]]], composer: Composer
) -> list[Entry]:
    """Runs, given by overrides and configurations, with the pre-trainings they lack before them.

    Each is there once and knows whether another process is at it, and what memory it will take.
    """
    own: dict[str, _Training] = {}  # by the runs' names
    before: dict[str, _Training] = {}
    needs: dict[str, str] = {}
    for overrides, config in jobs:
        folder, this, source = run_folder(config, composer)
        own[folder.run_id] = _Training(overrides, folder, this)
        if source is not None:
            first, that, _ = run_folder(source.config, composer)
            if first.status() != "finished":
                before[first.run_id] = _Training(source.overrides, first, that)
                needs[folder.run_id] = first.run_id
    ordered = before | {name: one for name, one in own.items() if name not in before}
    place = {name: index for index, name in enumerate(ordered)}
    runs_dir = Path(jobs[0][1]["runs_dir"]) if jobs else Path()
    memory = expected_memory([one.identity for one in ordered.values()], runs_dir)
    return [
        Entry(one.overrides, place.get(needs.get(name, "")), one.folder.is_locked, expected)
        for (name, one), expected in zip(ordered.items(), memory, strict=True)
    ]


class _Training(NamedTuple):
    overrides: Sequence[str]
    folder: RunFolder
    identity: dict[str, Any]


def _folder(verb: str, config: dict[str, Any], composer: Composer) -> RunFolder:
    """The folder of the run that a job trains or tests."""
    if verb == "train":
        return run_folder(config, composer)[0]
    return find_run(Path(config["runs_dir"]), config["run"])
