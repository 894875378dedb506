"""``eleatt-bench ensemble run=A,B``: the accuracy of finished runs taken together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from eleatt_bench.cli.arguments import Parser
from eleatt_bench.cli.offers import named_runs
from eleatt_bench.common.errors import UserError
from eleatt_bench.common.locations import runs_dir
from eleatt_bench.common.text import columns, terminal_width
from eleatt_bench.runs.ensembles import average
from eleatt_bench.runs.predictions import CLEAN, Predictions, accuracy, read_predictions
from eleatt_bench.runs.record import RunFolder, find_run
from eleatt_bench.tables.samples import paired
from eleatt_bench.tables.statistics import proportion


def ensemble(arguments: list[str]) -> int:
    """``eleatt-bench ensemble run=A,B[,C...]``."""
    parser = Parser(
        "eleatt-bench ensemble",
        description="The mean of the probabilities that finished runs give the same test samples: "
        "its accuracy beside theirs, each with the 95 % interval of that number of samples, and "
        "the paired differences.",
    )
    parser.add_argument(
        "runs", metavar="run=ID,ID[,ID...]", help="ids, or beginnings of them", offers=named_runs
    )
    said = parser.parse(arguments).runs
    names = [name for name in said.removeprefix("run=").split(",") if name]
    folders = list({run.run_id: run for run in (find_run(runs_dir(), n) for n in names)}.values())
    if len(folders) < 2:
        raise UserError("An ensemble is of two different runs or more: run=ID,ID")
    members = {folder.run_id: _predictions(folder) for folder in folders}
    try:
        mean = average(list(members.values()))
    except ValueError as error:
        raise UserError(f"{' and '.join(members)} make no ensemble: {error}") from error
    together = f"mean of {len(members)}"
    rows = [_row(name, found) for name, found in {**members, together: mean}.items()]
    for line in columns(["run", "test accuracy", "95 % interval", "clean"], rows, terminal_width()):
        print(line)
    print()
    for line in _differences(mean, members):
        print(line)
    return 0


def _predictions(folder: RunFolder) -> Predictions:
    if (status := folder.status()) != "finished":
        raise UserError(f"{folder.run_id} is {status}: only finished runs make an ensemble")
    found = read_predictions(folder)
    if found is None:
        raise UserError(
            f"{folder.run_id} left no {folder.predictions.name}: train it again with force=true"
        )
    return found


def _row(name: str, found: Predictions) -> list[str]:
    low, high = proportion(int(found.right.sum()), len(found.right))
    clean = accuracy(found, CLEAN)
    return [
        name,
        f"{found.right.mean():.2%}",
        f"{100 * low:.2f} to {100 * high:.2f}",
        "–" if clean is None else f"{clean:.2%}",
    ]


def _differences(mean: Predictions, members: dict[str, Predictions]) -> Iterator[str]:
    """The mean minus each member, on the same samples; a line each."""
    for name, member in members.items():
        right = dict(zip(member.names.tolist(), member.right.tolist(), strict=True))
        theirs = np.array([right[sample] for sample in mean.names.tolist()])
        found = paired(mean.right.astype(np.int64) - theirs)
        yield (
            f"mean − {name}: {found.mean:+.2f} points, 95 % interval {found.interval.low:+.2f} to "
            f"{found.interval.high:+.2f} (paired bootstrap); right alone on {found.only_first:,} "
            f"and {found.only_second:,} of {len(theirs):,}, p = {found.p:.2g} (McNemar, exact)"
        )
