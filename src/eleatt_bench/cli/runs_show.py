"""``eleatt-bench runs show``: all that is known of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from eleatt_bench.cli.arguments import Parser, runs_dir
from eleatt_bench.runs.record import find_run

_LAST = ("identity", "versions")  # below what one looks for first


def show(arguments: Sequence[str]) -> None:
    """Print the record of the run that ``arguments`` name."""
    parser = Parser("eleatt-bench runs show", description="Show all that is known of a run.")
    parser.add_argument("run", metavar="ID", help="an id, or a beginning of it or of its hash")
    folder = find_run(runs_dir(), parser.parse(arguments).run)
    record = folder.read() or {}
    print(f"{folder.run_id}  {folder.status()}")
    keys = [key for key in record if key not in {"run_id", "status", *_LAST}]
    for line in _lines({key: record[key] for key in (*keys, *_LAST) if key in record}):
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
