"""The verb about data sets: ``data list | download | prepare | features | verify | show``."""

from __future__ import annotations

import sys
from argparse import Namespace, RawDescriptionHelpFormatter
from pathlib import Path

from rich.progress import Progress

from eleatt_bench.cli.arguments import Parser, choose
from eleatt_bench.cli.data_verify import omitted
from eleatt_bench.common.errors import UserError
from eleatt_bench.common.locations import data_dir
from eleatt_bench.common.text import plain_console
from eleatt_bench.data import catalog, completeness

ACTIONS = ("list", "download", "prepare", "features", "verify", "show")
_BELONGS = {
    "source": "prepare", "splits": "prepare", "skip_bad": "prepare", "all": "verify",
    "sample": "show", "out": "show",
}  # fmt: skip
"""The action that each flag is for."""


def data(arguments: list[str]) -> int:
    """``eleatt-bench data ACTION [NAME]``."""
    if arguments[:1] == ["features"]:  # it takes flags of its own
        from eleatt_bench.cli.data_features import features

        return features(arguments[1:])
    given = _parser().parse(arguments)
    action = choose("action", given.action, ACTIONS)
    if action == "list":
        return _list()
    if given.name is None:
        raise UserError(f"data {action} needs the name of a data set: eleatt-bench data list")
    name = choose("data set", given.name, catalog.names())
    for flag, owner in _BELONGS.items():
        if getattr(given, flag) and action != owner:
            typed = f"--{flag.replace('_', '-')}"
            raise UserError(f"data {action} takes no {typed}: it is for data {owner}")
    if action == "show":
        from eleatt_bench.cli.data_show import show

        show(name, given.sample, given.out)
    elif action == "download":
        path = catalog.download(data_dir(), name)
        print(f"Downloaded to {path}\nNext: eleatt-bench data prepare {name} --source {path}")
    elif action == "prepare":
        return _prepare(name, given)
    else:
        from eleatt_bench.cli.data_verify import verify

        verify(name, given.all)
    return 0


_DESCRIPTION = """\
  list                        which data sets there are, and which are ready
  download NAME               fetch the published files
  prepare NAME --source PATH  turn them into one verified store
  features NAME --help        the same for videos
  verify NAME                 read a store again and compare it with its digests
  show NAME                   count what is in a store, and draw a sample
"""


def _parser() -> Parser:
    parser = Parser(
        "eleatt-bench data",
        description=_DESCRIPTION,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", help=", ".join(ACTIONS), offers=ACTIONS)
    parser.add_argument(
        "name", nargs="?", help="one of: " + ", ".join(catalog.names()), offers=catalog.names()
    )
    parser.add_argument("--source", type=Path, metavar="PATH", help="for prepare: the raw files")
    parser.add_argument(
        "--splits", type=Path, metavar="PATH", help="for prepare sysu: lists of its folds, if any"
    )
    parser.add_argument(
        "--skip-bad",
        action="store_true",
        help="for prepare: leave bad samples out; the store will say which, and why",
    )
    parser.add_argument("--all", action="store_true", help="for verify: name all, not the first 10")
    parser.add_argument("--sample", help="for show: the sequence to draw; the default is the first")
    parser.add_argument("--out", type=Path, metavar="FILE", help="for show: the picture's file")
    return parser


def _list() -> int:
    for name in catalog.names():
        print(f"{name:<8} {catalog.status(data_dir(), name)}")
    print(f"\nStores lie in {data_dir() / 'prepared'} (ELEATT_DATA chooses another folder).")
    return 0


def _prepare(name: str, given: Namespace) -> int:
    console = plain_console()
    left_out: list[str] = []
    try:
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task(f"preparing {name}", total=None)

            def progress(done: int, total: int | None) -> None:
                last = f"writing and verifying {name}" if done == total else None
                bar.update(task, completed=done, total=total, description=last)

            store = catalog.prepare(
                data_dir(),
                name,
                given.source,
                progress,
                splits=given.splits,
                skip_bad=given.skip_bad,
                left_out=left_out.append,
            )
    except (KeyboardInterrupt, SystemExit) as stop:
        print("\nInterrupted: nothing has changed, the same command begins anew.", file=sys.stderr)
        return 130 if isinstance(stop, KeyboardInterrupt) else int(stop.code or 1)
    print(f"{store.path}: {len(store.lengths):,} sequences of {store.source}")
    for line in [*omitted(store), *(f"Left out: {line}" for line in left_out)]:
        print(line)
    if remark := completeness.remark(name, len(store.lengths)):
        print(remark)
    return 0
