"""``eleatt-bench runs list``: which runs there are."""

from __future__ import annotations

import csv
import json
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from eleatt_bench.cli.arguments import Parser, choose
from eleatt_bench.cli.offers import keys, settings
from eleatt_bench.common.collector import without_collector
from eleatt_bench.common.locations import runs_dir
from eleatt_bench.common.text import columns, terminal_width
from eleatt_bench.runs.values import Run, check_keys, differing, ordered, read_runs, select

FORMATS = ("term", "json", "csv")
_COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "test/accuracy": ("test accuracy", "{:.2%}".format),
    "status": ("status", str),
    "test/accuracy_clean": ("clean", "{:.2%}".format),
    "epochs": ("epochs", str),
    "parameters": ("parameters", "{:,}".format),
    "timing.seconds": ("seconds", "{:.0f}".format),
}
"""Heads and formats of values that most runs have; a narrow terminal drops the last columns."""
_FIRST = ("test/accuracy", "status", "test/accuracy_clean")  # shown before settings that differ
_FEW = 100  # runs at most whose settings are compared
_SETTINGS = 8  # settings that are shown at most


def list(arguments: Sequence[str]) -> None:  # noqa: A001  (the action's name)
    """Print the runs that ``arguments`` choose."""
    parser = Parser(
        "eleatt-bench runs list",
        description="List the runs. A KEY is one of the configuration (model.gate), of the "
        "results (test/accuracy), or whatever else a record holds (epochs, timing.seconds).",
    )
    parser.add_argument(
        "filters",
        nargs="*",
        metavar="KEY=VALUE",
        help="only runs that agree, e.g. status=finished; a setting as it is given to `train`",
        offers=settings,
    )
    parser.add_argument(
        "--sort", metavar="KEY", help="order by KEY, the smallest first", offers=keys
    )
    parser.add_argument("--reverse", action="store_true", help="the largest, or last, first")
    parser.add_argument(
        "--columns", metavar="KEY,...", offers=keys,
        help="what is shown of each run; by default the results, and the settings that differ",
    )  # fmt: skip
    parser.add_argument("--format", default="term", help=", ".join(FORMATS), offers=FORMATS)
    given = parser.parse(arguments)
    form = choose("format", given.format, FORMATS)
    with without_collector():
        _list(given, form)


def _list(given: Namespace, form: str) -> None:
    all_of_them = read_runs(runs_dir())
    if given.sort is not None:
        all_of_them = ordered(all_of_them, given.sort, reverse=given.reverse)
    elif given.reverse:
        all_of_them.reverse()
    found = select(all_of_them, given.filters)
    chosen = None if given.columns is None else [key for key in given.columns.split(",") if key]
    check_keys(chosen or (), all_of_them)
    if form == "json":
        values = [run.values if chosen is None else _values(run, chosen) for run in found]
        print(json.dumps(values, indent=2, ensure_ascii=False))
    elif form == "csv":
        _write_csv(found, chosen)
    elif not all_of_them:
        print(f"No runs in {runs_dir()}. Start one: eleatt-bench train")
    elif not found:
        print(f"None of {len(all_of_them):,} runs agrees with {' '.join(given.filters)}")
    else:
        shown = _usual(found, given.sort) if chosen is None else chosen
        heads = ["run", *(_COLUMNS.get(key, (key,))[0] for key in shown)]
        rows = [[run.folder.run_id, *_texts(run, shown)] for run in found]
        for line in columns(heads, rows, terminal_width()):
            print(line)


def _usual(runs: Sequence[Run], key: str | None) -> Sequence[str]:
    """The columns that are shown by default, with ``key``, by which the runs are sorted."""
    shown = [] if key is None or key in {"run", *_COLUMNS} else [key]
    shown += [one for one in _FIRST if any(run.get(one) is not None for run in runs)]
    if len(runs) <= _FEW:
        shown += [one for one in differing(runs) if one != key][:_SETTINGS]
    return [*shown, *(one for one in _COLUMNS if one not in _FIRST)]


def _values(run: Run, keys: Sequence[str]) -> dict[str, Any]:
    return {"run": run.folder.run_id, **{key: run.get(key) for key in keys}}


def _texts(run: Run, keys: Sequence[str]) -> Iterator[str]:
    for key in keys:
        value = run.get(key)
        try:
            yield "–" if value is None else _COLUMNS[key][1](value)
        except (KeyError, TypeError, ValueError):  # a key with no format, or an odd value
            yield json.dumps(value, ensure_ascii=False).strip('"')


def _write_csv(runs: Sequence[Run], chosen: Sequence[str] | None) -> None:
    """A column for each of the keys ``chosen``, or for every key that any of the runs has."""
    if chosen is None:
        rows = [run.values for run in runs]
        names = [*dict.fromkeys(key for row in rows for key in row)]
    else:
        rows, names = [_values(run, chosen) for run in runs], ["run", *chosen]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow([_plain(row.get(key)) for key in names])


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str | float) else json.dumps(value)
