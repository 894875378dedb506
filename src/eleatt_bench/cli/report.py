"""``eleatt-bench report``: the results as pages, and a table's figures for a paper."""

from __future__ import annotations

import sys
from pathlib import Path

from eleatt_bench.cli.arguments import Parser, choose
from eleatt_bench.common.errors import UserError
from eleatt_bench.common.files import check_writable
from eleatt_bench.report.losses import panels
from eleatt_bench.runs.curves import Curve, CurveReader
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.tables.build import table as make_table
from eleatt_bench.tables.plan import Plan, every_plan, plans

_VECTOR, _PIXELS = "pdf", "png"


def report(arguments: list[str]) -> int:
    """``eleatt-bench report [KEY=VALUE...]`` or ``eleatt-bench report figures NAME``."""
    if arguments[:1] == ["figures"]:
        return _figures(arguments[1:])
    parser = Parser(
        "eleatt-bench report",
        description="Write the report: pages about every table and every run, which need neither "
        "a server nor a network. `eleatt-bench report figures --help`: figures for a paper.",
    )
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as for `reproduce`")
    parser.add_argument("--out", type=Path, metavar="DIR", help="RUNS/report")
    given = parser.parse(arguments)
    for word in given.overrides:
        if "=" not in word:
            choose("word", word, ["figures"])

    from eleatt_bench.report.site import write_site

    if given.out is not None:  # before the work
        check_writable(given.out.resolve().parent)
    made = every_plan(given.overrides)
    out = given.out or made[0].runs_dir / "report"
    check_writable(out.resolve().parent)
    count = write_site(made, out, _show)
    print(f"{len(made)} tables and {count:,} runs: open {out / 'index.html'}")
    return 0


def _show(done: int, total: int) -> None:
    if sys.stderr.isatty():
        end = "\n" * (done == total)
        print(f"\r{done:,} of {total:,} runs", end=end, file=sys.stderr, flush=True)


def _figures(arguments: list[str]) -> int:
    parser = Parser(
        "eleatt-bench report figures",
        description="Draw the accuracies of a table and the losses of its runs, as PDF and PNG.",
    )
    parser.add_argument("name", help="one of: eleatt-bench tables")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as for `reproduce`")
    parser.add_argument("--out", type=Path, metavar="DIR", help="RUNS/tables")
    given = parser.parse(arguments)
    for plan in plans(given.name, given.overrides):
        check_writable(given.out or plan.runs_dir / "tables")
        _draw(plan, given.out or plan.runs_dir / "tables")
    return 0


def _draw(plan: Plan, out: Path) -> None:
    from eleatt_bench.report.canvas import save
    from eleatt_bench.report.figures import bars, losses

    made = make_table(plan)
    found = panels(plan, _curves)
    if not found:
        raise UserError(f"No run of table {made.name} is finished. Do them: {made.command}")
    several = any(column.folds > 1 for column in made.columns)
    count = "runs, one per seed and fold" if several else "runs, one per seed"
    for kind, figure in (("bars", bars(made)), ("losses", losses(made, found, count))):
        for form in (_VECTOR, _PIXELS):
            save(figure, out / f"{plan.file_stem}-{kind}.{form}")
        print(f"{out / plan.file_stem}-{kind}.{_VECTOR}, .{_PIXELS}")


def _curves(folder: RunFolder) -> dict[str, Curve]:
    reader = CurveReader(folder)
    found = reader.read()
    if damage := reader.damage():
        print(damage, file=sys.stderr)
    return found
