"""The verb about runs: ``runs list``, ``runs show``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from eleatt_bench.cli.arguments import Parser, choose, runs_dir
from eleatt_bench.runs.record import RunFolder, all_runs, find_run

ACTIONS = ("list", "show")


def runs(arguments: list[str]) -> int:
    """``eleatt-bench runs list`` and ``eleatt-bench runs show ID``."""
    parser = Parser("eleatt-bench runs", description="List the runs, or show one.")
    parser.add_argument("action", help=" or ".join(ACTIONS))
    parser.add_argument("run", nargs="?", help="for show: an id, or the beginning of its hash")
    given = parser.parse(arguments)
    if choose("action", given.action, ACTIONS) == "show":
        if given.run is None:
            parser.error("show needs a run: eleatt-bench runs list")
        _show(find_run(runs_dir(), given.run))
    else:
        _list(all_runs(runs_dir()))
    return 0


def _list(folders: Sequence[RunFolder]) -> None:
    if not folders:
        print(f"No runs in {runs_dir()}. Start one: eleatt-bench train")
        return
    table = grid("run", "status", "test accuracy", "epochs", "parameters", "seconds")
    for folder in folders:
        record = folder.read() or {}
        seconds = record.get("timing", {}).get("seconds")
        table.add_row(
            folder.run_id,
            folder.status(),
            accuracy_text(record),
            str(record.get("epochs", "–")),
            f"{record['parameters']:,}" if "parameters" in record else "–",
            "–" if seconds is None else f"{seconds:.0f}",
        )
    show(table)


def _show(folder: RunFolder) -> None:
    record = folder.read() or {}
    print(f"{folder.run_id}  {folder.status()}")
    long = ("identity", "versions")  # last, below what one looks for first
    keys = [k for k in record if k not in {"run_id", "status", *long}]
    for line in _lines({key: record[key] for key in (*keys, *long) if key in record}):
        print(line)
    print(f"  files: {folder.path}")
    print(f"  test again: eleatt-bench eval run={folder.run_id}")


def _lines(values: Mapping[str, Any], indent: str = "  ") -> list[str]:
    lines = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{key}:", *_lines(value, indent + "  ")]
        else:
            lines.append(f"{indent}{key}: {json.dumps(value, ensure_ascii=False)}")
    return lines


def accuracy_text(record: Mapping[str, Any] | None) -> str:
    """The test accuracy in a record or evaluation, or a dash."""
    test = (record or {}).get("metrics", {}).get("test")
    if not test:
        return "–"
    clean = f"  clean {test['accuracy_clean']:.2%}" if "accuracy_clean" in test else ""
    return f"{test['accuracy']:.2%}{clean}"


def grid(*columns: str) -> Table:
    """An empty table for `show`; runs' names and their status are never broken."""
    table = Table(box=box.SIMPLE_HEAD)
    for name in columns:
        table.add_column(name, no_wrap=name in {"run", "status"}, overflow="fold")
    return table


def show(table: Table) -> None:
    """Print ``table`` as wide as the terminal, or as it needs to be where there is none."""
    console = Console()
    if not console.is_terminal:
        console.width = 200
    console.print(table)
