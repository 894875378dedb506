"""``eleatt-bench runs export``: write finished runs to one zip file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eleatt_bench.cli.arguments import Parser
from eleatt_bench.cli.offers import run_ids
from eleatt_bench.common.errors import UserError
from eleatt_bench.common.locations import runs_dir
from eleatt_bench.runs.export import Files, files_of
from eleatt_bench.runs.export import export as write
from eleatt_bench.runs.record import RunFolder, find_run
from eleatt_bench.runs.values import read_runs, select


def export(arguments: Sequence[str]) -> None:
    """Write runs to a zip."""
    parser = Parser(
        "eleatt-bench runs export",
        description="Write the configuration, the record, the tested weights, the predictions and "
        "the curves of finished runs to one file. Unpacked in a folder of runs they are these runs "
        "again; `eleatt-bench runs import FILE.zip` checks them before.",
    )
    parser.add_argument(
        "runs", nargs="+", metavar="ID|KEY=VALUE",
        help="an id, or a beginning of it or of its hash; or, as for `runs list`, which runs",
        offers=run_ids,
    )  # fmt: skip
    parser.add_argument(
        "--published", action="store_true",
        help="as in results/: no weights, and predictions in little room",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, metavar="FILE.zip", help="the default is ID.zip, or runs.zip of several"
    )
    given = parser.parse(arguments)
    folders = chosen(given.runs)
    path = given.out or Path(f"{folders[0].run_id if len(folders) == 1 else 'runs'}.zip")
    found: dict[str, Files] = {
        folder.run_id: files_of(folder, published=given.published) for folder in folders
    }
    size = write(found, path)
    count = "" if len(folders) == 1 else f"{len(folders):,} runs, "
    print(f"{path}  {count}{size / 1e6:,.1f} MB, read back and the same")


def chosen(words: Sequence[str]) -> list[RunFolder]:
    """The runs that are named, and those that agree with all filters; each once.

    Raises:
        UserError: there is no such run, or no run agrees with the filters.
    """
    filters = [word for word in words if "=" in word]
    found = [find_run(runs_dir(), word) for word in words if "=" not in word]
    if filters:
        agreeing = [run.folder for run in select(read_runs(runs_dir()), filters)]
        if not agreeing:
            raise UserError(f"No run in {runs_dir()} agrees with {' '.join(filters)}")
        found += agreeing
    return list({folder.run_id: folder for folder in found}.values())
