"""The verb about runs: ``runs list | show | compare | rm | gc | export | import``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from eleatt_bench.cli.arguments import Parser, chosen_action
from eleatt_bench.cli.offers import run_ids
from eleatt_bench.common.errors import UserError
from eleatt_bench.common.locations import runs_dir
from eleatt_bench.common.text import printable
from eleatt_bench.runs.cleaning import size, waste
from eleatt_bench.runs.record import RunFolder, find_run
from eleatt_bench.runs.summaries import Summaries

ACTIONS = {
    "list": "the runs that are there; KEY=VALUE chooses, --sort KEY orders",
    "show": "all that is known of a run",
    "compare": "two runs side by side: settings, metrics, the same test samples",
    "rm": "remove runs",
    "gc": "remove what finished runs no longer need, and what killed processes left",
    "export": "write runs to one file",
    "import": "take over runs of another machine, checked",
}
_APART = ("list", "compare", "export", "import")  # actions with a module of their own


def runs(arguments: list[str]) -> int:
    """``eleatt-bench runs ACTION ...``."""
    action = chosen_action("eleatt-bench runs", ACTIONS, arguments)
    module = import_module(__name__ + (f"_{action}" if action in _APART else ""))
    getattr(module, "import_runs" if action == "import" else action)(arguments[1:])
    return 0


_LAST = ("identity", "versions")  # shown below what people look for first


def show(arguments: Sequence[str]) -> None:
    """Print the record of the run that ``arguments`` name."""
    parser = Parser("eleatt-bench runs show", description="Show all that is known of a run.")
    parser.add_argument(
        "run", metavar="ID", help="an id, or a beginning of it or of its hash", offers=run_ids
    )
    folder = find_run(runs_dir(), parser.parse(arguments).run)
    record, damage = folder.read() or {}, folder.damage()
    print(f"{folder.run_id}  {folder.status()}")
    if damage:
        print(f"  {damage}")
    keys = [key for key in record if key not in {"run_id", "status", *_LAST}]
    for line in _lines({key: record[key] for key in (*keys, *_LAST) if key in record}):
        print(line)
    if record and folder.predictions.exists() and "predictions_digest" not in record:
        print("  predictions: unverified, the record has no digest of them")
    print(f"  files: {folder.path}")
    if folder.checkpoints.is_dir():
        print(f"  test again: eleatt-bench eval run={folder.run_id}")


def _lines(values: Mapping[str, Any], indent: str = "  ") -> list[str]:
    lines = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            lines += [printable(f"{indent}{key}:"), *_lines(value, indent + "  ")]
        else:
            lines.append(printable(f"{indent}{key}: {json.dumps(value, ensure_ascii=False)}"))
    return lines


def rm(arguments: Sequence[str]) -> None:
    """Remove runs, after asking."""
    parser = Parser("eleatt-bench runs rm", description="Remove runs with all they left.")
    parser.add_argument(
        "runs", nargs="+", metavar="ID", help="an id, or a beginning of it", offers=run_ids
    )
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
        said = folder.remove()
        print("\n".join([f"Removed {folder.run_id}", *said]))


def _doomed(folders: Sequence[RunFolder]) -> list[str]:
    every = [one for _, one in Summaries(runs_dir()).every() if one is not None]
    begun = [one.get("pretraining") for one in every]
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
    """Remove what is no longer needed."""
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
