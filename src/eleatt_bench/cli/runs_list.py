"""``eleatt-bench runs list``: which runs there are."""

from __future__ import annotations

import csv
import json
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from eleatt_bench.cli.arguments import Parser, choose
from eleatt_bench.cli.offers import settings
from eleatt_bench.common.collector import without_collector
from eleatt_bench.common.locations import runs_dir
from eleatt_bench.common.text import columns, terminal_width
from eleatt_bench.runs.values import Run, ordered, read_runs, select

FORMATS = ("term", "json", "csv")
_COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "test/accuracy": ("test accuracy", "{:.2%}".format),
    "status": ("status", str),
    "test/accuracy_clean": ("clean", "{:.2%}".format),
    "epochs": ("epochs", str),
    "parameters": ("parameters", "{:,}".format),
    "timing.seconds": ("seconds", "{:.0f}".format),
}
"""What is shown of a run, the most important first: a narrow terminal has no room for the last."""


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
        help="only runs that agree, e.g. status=finished",
        offers=settings,
    )
    parser.add_argument("--sort", metavar="KEY", help="order by KEY, the smallest first")
    parser.add_argument("--reverse", action="store_true", help="the largest, or last, first")
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
    if form == "json":
        print(json.dumps([run.values for run in found], indent=2, ensure_ascii=False))
    elif form == "csv":
        _write_csv(found)
    elif not all_of_them:
        print(f"No runs in {runs_dir()}. Start one: eleatt-bench train")
    elif not found:
        print(f"None of {len(all_of_them):,} runs agrees with {' '.join(given.filters)}")
    else:
        _print(found, given.sort)


def _print(runs: Sequence[Run], key: str | None) -> None:
    shown = dict(_COLUMNS)
    if not any("test/accuracy_clean" in run.results for run in runs):
        del shown["test/accuracy_clean"]
    if key is not None and key not in {"run", *shown}:
        shown = {key: (key, lambda value: json.dumps(value).strip('"')), **shown}
    rows = [[run.folder.run_id, *_texts(run, shown)] for run in runs]
    for line in columns(["run", *(name for name, _ in shown.values())], rows, terminal_width()):
        print(line)


def _texts(run: Run, shown: Mapping[str, tuple[str, Callable[[Any], str]]]) -> Iterator[str]:
    for key, (_, text) in shown.items():
        value = run.get(key)
        try:
            yield "–" if value is None else text(value)
        except (TypeError, ValueError):  # of a run that somebody gave such a key
            yield json.dumps(value)


def _write_csv(runs: Sequence[Run]) -> None:
    """A column for every key that any of the runs has."""
    keys = dict.fromkeys(key for run in runs for key in run.values)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(keys)
    for run in runs:
        writer.writerow([_plain(run.values.get(key)) for key in keys])


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str | float) else json.dumps(value)
