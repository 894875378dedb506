"""The verb ``search``: Optuna looks for the settings with the best validation accuracy."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from eleatt_bench.cli.arguments import Parser, check_no_table, choose
from eleatt_bench.cli.offers import options as options_of
from eleatt_bench.cli.offers import overrides
from eleatt_bench.common.errors import UserError
from eleatt_bench.common.locations import folder_at
from eleatt_bench.common.text import closing, columns, terminal_width
from eleatt_bench.config.composer import Composer
from eleatt_bench.config.setup import options
from eleatt_bench.data.protocols import find
from eleatt_bench.launch.engines import engine_for
from eleatt_bench.launch.settings import SWEEPS, one_device
from eleatt_bench.sweeps.grid import differing
from eleatt_bench.sweeps.search import Search, train_command
from eleatt_bench.sweeps.space import Space, read_file, read_space
from eleatt_bench.sweeps.trials import RUN, Trials, require_optuna
from eleatt_bench.training.folder import wanted_run
from eleatt_bench.training.loggers.ready import loggers_ready

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

_SHOWN = 10  # best trials that are shown

DESCRIPTION = """\
Search for the settings with the best validation accuracy. The test set has no part in it, unless
the protocol is one to choose settings by, whose test accuracy is no result. A trial is an ordinary
run with the given seed. The same command continues a stopped search, with more trials if you like;
given twice at the same time, the two share the trials.
"""


def search(arguments: list[str]) -> int:
    """``eleatt-bench search EXPERIMENT``."""
    parser = Parser("eleatt-bench search", description=DESCRIPTION)
    parser.add_argument(
        "experiment", help="a file in configs/experiment", offers=options_of("experiment")
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=SWEEP",
        help="what is searched: choice(a,b), range(start,stop,step), interval(low,high), "
        "int(interval(1,9)), tag(log,interval(low,high)); or KEY=VALUE, said of every trial",
        offers=overrides(),
    )
    parser.add_argument("--space", type=Path, metavar="FILE", help="more of them, in YAML")
    parser.add_argument(
        "--trials", type=int, required=True, metavar="N", help="how many, those done included"
    )
    parser.add_argument("--detach", action="store_true", help=argparse.SUPPRESS)  # to be refused
    given = parser.parse(arguments)
    if given.detach:
        raise UserError(
            "search has to wait for trials before it chooses others: leave out --detach"
        )
    if given.trials < 1:
        raise UserError(f"--trials is {given.trials}; it must be at least 1")
    name = choose("experiment", given.experiment, options("experiment"))
    require_optuna()
    said = [*(read_file(given.space) if given.space else []), *given.overrides]
    check_no_table("search", said)
    space = read_space([f"experiment={name}"], said)
    composer = Composer()
    space.check(composer)
    _search(name, space, composer, given.trials)
    return 0


def _search(name: str, space: Space, composer: Composer, most: int) -> None:
    config = composer.config(space.corner)
    runs_dir = folder_at(config["runs_dir"])
    if config["force"]:
        raise UserError(
            f"search takes the runs in {runs_dir} as they are, so that it can be continued: "
            "leave out force=true, or give another folder with runs_dir=FOLDER"
        )
    data = config["data"]
    find(data["name"], data["protocol"])  # before anything is written
    path = runs_dir / "searches" / f"{name}-{_digest(space, composer)}.db"
    engine = engine_for(config, most, folder=runs_dir / SWEEPS, name=path.stem, trials=True)
    with Trials(path, seed=config["seed"]) as trials:
        try:
            with loggers_ready([config], path.stem), engine:
                search = Search(
                    space, trials, engine,
                    most=most, warm_ok=one_device(config), composer=composer,
                    say=partial(print, flush=True),
                )  # fmt: skip
                search.go()
        finally:
            best, counts = trials.best(), trials.counts()
            _print_best(space, best)
            words = [
                "complete",
                "pruned",
                "failed",
                *(["unfinished"] if counts["unfinished"] else []),
            ]
            print(", ".join(f"{counts[word]} {word}" for word in words))
            _close(path, runs_dir, best)
    if search.cancelled:
        raise UserError(
            f"The jobs of {search.cancelled} trials were ended: the same command goes on with them"
        )
    if not best and not counts["unfinished"]:
        raise UserError(f"No trial is complete: the logs in {path.with_suffix('')} say why")


def _close(path: Path, runs_dir: Path, best: Sequence[FrozenTrial]) -> None:
    """Print where everything lies, and what to type next."""
    where = {"runs": str(runs_dir), "trials": str(path), "logs": str(path.with_suffix(""))}
    then = {"curves": ["tensorboard"]}
    then |= {"a run": ["runs", "show", best[0].user_attrs[RUN]]} if best else {}
    closing(where, then, runs_dir)


def _digest(space: Space, composer: Composer) -> str:
    """A digest of what a search is: its dimensions, and the runs at samples of these."""
    corner, _ = wanted_run(space.corner, composer.config(space.corner), composer)
    found: list[str | None] = []
    for one in space.variants():
        try:
            folder, _ = wanted_run(one, composer.config(one), composer)
            found.append(folder.run_id)
        except UserError:  # these values do not go together, so there is no such run
            found.append(None)
    dimensions = sorted(repr(dimension) for dimension in space.dimensions)
    named = [corner.run_id, sorted(map(str, found)), dimensions]
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()[:8]


def _print_best(space: Space, best: Sequence[FrozenTrial]) -> None:
    """Print the best trials, a line each with what differs, and the command of the best one."""
    if not best:
        return
    count = len(space.fixed)
    shown = best[:_SHOWN]
    tell = differing([space.overrides(trial)[count:] for trial in shown])
    rows = [
        [str(trial.number + 1), f"{trial.value:.2%}", *values.values(), trial.user_attrs[RUN]]
        for trial, values in zip(shown, tell, strict=True)
    ]
    print()
    for line in columns(["trial", "accuracy", *tell[0], "run"], rows, terminal_width()):
        print(line)
    print(f"\nThe best: {train_command(space.overrides(best[0]))}\n")
