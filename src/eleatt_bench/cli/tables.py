"""The verbs about tables: ``tables``, ``table``, ``reproduce``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eleatt_bench.cli.arguments import Parser, choose
from eleatt_bench.composition import compose_config, options
from eleatt_bench.files import write_text
from eleatt_bench.report.render import FORMATS, render
from eleatt_bench.tables.cells import table as make_table
from eleatt_bench.tables.plan import Plan, plan

WRITTEN = ("md", "tex", "csv")


def tables(arguments: list[str]) -> int:
    """``eleatt-bench tables``."""
    Parser("eleatt-bench tables", description="List the tables.").parse(arguments)
    for name in options("table"):
        spec = compose_config([f"table={name}"]).table
        print(f"{name:<10} {spec.title}: {len(spec.rows)} rows, {len(spec.seeds)} seeds")
    print("\nRun one: eleatt-bench reproduce NAME    Look at one: eleatt-bench table NAME")
    return 0


def table(arguments: list[str]) -> int:
    """``eleatt-bench table NAME``."""
    parser = Parser("eleatt-bench table", description="Show a table from the runs that are there.")
    parser.add_argument("name", help="one of: eleatt-bench tables")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as for `reproduce`")
    parser.add_argument("--format", default="term", help=", ".join(FORMATS))
    parser.add_argument("--out", type=Path, metavar="PATH", help="write to a file instead")
    given = parser.parse(arguments)
    form = choose("format", given.format, list(FORMATS))
    made = plan(choose("table", given.name, options("table")), given.overrides)
    text = render(make_table(made), form)
    if given.out is None:
        print(text, end="")
    else:
        write_text(given.out, text)
        print(f"Wrote {given.out}")
    return 0


def reproduce(arguments: list[str]) -> int:
    """``eleatt-bench reproduce NAME``."""
    parser = Parser(
        "eleatt-bench reproduce",
        description="Do the runs that a table lacks, then write the table. A stopped table "
        "continues when the same command is given again.",
    )
    parser.add_argument("name", help="one of: eleatt-bench tables")
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="said of every run, e.g. trainer=gpu, launcher.jobs=4, 'table.seeds=[0,1]'",
    )
    given = parser.parse(arguments)
    name = choose("table", given.name, options("table"))
    made = plan(name, given.overrides)  # before any run starts: do all overrides apply?
    from eleatt_bench.cli.hydra import run_hydra

    sweep = ["hydra/sweeper=eleatt_table", f"table={name}", *given.overrides]
    try:
        run_hydra("train", ["--multirun"], sweep, lambda cfg: None)
    finally:
        _write(made)
    return 0


def _write(made: Plan) -> None:
    result = make_table(made)
    folder = made.runs_dir / "tables"
    paths: Sequence[Path] = [folder / f"{made.file_stem}.{form}" for form in WRITTEN]
    for path, form in zip(paths, WRITTEN, strict=True):
        write_text(path, render(result, form))
    print(render(result, "term"), end="")
    print(f"Wrote {', '.join(str(path) for path in paths)}")
    print(f"Curves: tensorboard --logdir {made.runs_dir}    Runs: eleatt-bench runs list")
