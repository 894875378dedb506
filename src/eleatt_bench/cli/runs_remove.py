"""``eleatt-bench runs rm`` and ``eleatt-bench runs gc``: making room."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from eleatt_bench.cli.arguments import Parser, runs_dir
from eleatt_bench.errors import UserError
from eleatt_bench.runs.cleaning import size, waste
from eleatt_bench.runs.record import RunFolder, find_run
from eleatt_bench.runs.values import read_runs


def rm(arguments: Sequence[str]) -> None:
    """Remove runs, after asking."""
    parser = Parser("eleatt-bench runs rm", description="Remove runs with all they left.")
    parser.add_argument("runs", nargs="+", metavar="ID", help="an id, or a beginning of it")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    given = parser.parse(arguments)
    named = (find_run(runs_dir(), name) for name in given.runs)
    folders = list({folder.run_id: folder for folder in named}.values())
    for folder in folders:
        if folder.status() == "running":
            raise UserError(f"{folder.run_id} is running: stop it first. Nothing was removed")
    for line in _doomed(folders):
        print(line)
    if not given.yes and not _agreed():
        print("Nothing was removed.")
        return
    for folder in folders:
        folder.remove()
        print(f"Removed {folder.run_id}")


def _doomed(folders: Sequence[RunFolder]) -> list[str]:
    begun = [run.record.get("pretraining") for run in read_runs(runs_dir())]
    lines = []
    for folder in folders:
        words = [folder.run_id, folder.status(), _megabytes(size([folder.path]))]
        if others := begun.count(folder.run_id):
            words.append(f"whose weights {others:,} other run{'s' * (others > 1)} began with")
        lines.append("  ".join(words))
    return lines


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise UserError("Nobody is there to ask: eleatt-bench runs rm --yes removes without asking")
    return input("Remove for good? [y/N] ").strip().lower() in {"y", "yes"}


def gc(arguments: Sequence[str]) -> None:
    """Remove what is needed no more."""
    parser = Parser(
        "eleatt-bench runs gc",
        description="Remove the checkpoints of finished runs but the best one (and the last one "
        "where the run was tested with that), and the hidden files of killed processes.",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would go, and stop")
    dry = parser.parse(arguments).dry_run
    found = waste(runs_dir())
    for one in found:
        print(f"{_megabytes(one.bytes):>10}  {one.path}  {one.reason}")
        if not dry:
            one.remove()
    freed = _megabytes(sum(one.bytes for one in found))
    print(f"{len(found):,} would go, which would free {freed}" if dry else f"Freed {freed}")


def _megabytes(number: int) -> str:
    return f"{number / 1e6:,.1f} MB"
