"""``eleatt-bench runs export``: a run as one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eleatt_bench.cli.arguments import Parser, runs_dir
from eleatt_bench.runs.export import export as write
from eleatt_bench.runs.record import find_run


def export(arguments: Sequence[str]) -> None:
    """Write a run to a zip."""
    parser = Parser(
        "eleatt-bench runs export",
        description="Write the configuration, the record, the tested weights and the predictions "
        "of a finished run to one file. Unpacked in a folder of runs it is that run again.",
    )
    parser.add_argument("run", metavar="ID", help="an id, or a beginning of it or of its hash")
    parser.add_argument("--out", type=Path, metavar="FILE.zip", help="the default is ID.zip")
    given = parser.parse(arguments)
    folder = find_run(runs_dir(), given.run)
    path = given.out or Path(f"{folder.run_id}.zip")
    print(f"{path}  {write(folder, path) / 1e6:,.1f} MB, read back and the same")
