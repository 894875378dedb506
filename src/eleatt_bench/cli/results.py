"""The verb about published results: ``results add | verify | write``."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from eleatt_bench.cli.arguments import Parser, chosen_action
from eleatt_bench.common.collector import without_collector
from eleatt_bench.config.composer import Composer
from eleatt_bench.report.publication import Publication, is_current

ACTIONS = {
    "add": "publish a table with its finished runs",
    "verify": "make all published tables again from their runs, and compare",
    "write": "write all published tables anew from their runs",
}
_APART = ("add", "verify")  # actions with a module of their own


def results(arguments: list[str]) -> int:
    """``eleatt-bench results ACTION ...``."""
    action = chosen_action("eleatt-bench results", ACTIONS, arguments)
    module = import_module(__name__ + (f"_{action}" if action in _APART else ""))
    with without_collector():
        getattr(module, action)(arguments[1:])
    return 0


def write(arguments: Sequence[str]) -> None:
    """Write all tables."""
    parser = Parser(
        "eleatt-bench results write",
        description="Write every published table anew from the runs beside it, as after a change "
        "of how tables are written. Tables of earlier recipes stay as they are.",
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path("results"), metavar="FOLDER",
        help="of published results; the default is results",
    )  # fmt: skip
    publication = Publication(parser.parse(arguments).folder)
    publication.check_there()
    with Composer() as composer:
        for stem, entry in publication.entries().items():
            if is_current(entry):
                publication.write(publication.plan(entry, composer))
                print(f"Wrote {stem}")
