"""``eleatt-bench report``: the results as pages, and a table's figures for a paper."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eleatt_bench.cli.arguments import Parser, choose
from eleatt_bench.cli.offers import overrides
from eleatt_bench.common.errors import UserError
from eleatt_bench.common.extras import require
from eleatt_bench.common.files import check_writable
from eleatt_bench.report.losses import panels
from eleatt_bench.report.wording import is_tested, title
from eleatt_bench.runs.curves import Curve, CurveReader
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.tables.build import table as make_table
from eleatt_bench.tables.plan import Plan, every_plan, plans
from eleatt_bench.tables.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
    parser.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="as for `reproduce`",
        offers=lambda word: ("figures", *overrides()(word)),
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="DIR", help="the default is RUNS/report")
    given = parser.parse(arguments)
    for word in given.overrides:
        if "=" not in word:
            choose("word", word, ["figures"])

    require("report", "report")  # before the work
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
        description="Draw the accuracies of a table, its claims and the losses of its runs, as PDF "
        "and PNG.",
    )
    parser.add_table()
    parser.add_argument("--out", type=Path, metavar="DIR", help="the default is RUNS/tables")
    given = parser.parse(arguments)
    require("figures", "report figures")
    made = plans(given.name, given.overrides)
    out = given.out or made[0].runs_dir / "tables"
    check_writable(out)
    tables = [make_table(plan) for plan in made]
    done = [table for table in tables if table.finished]
    if not done:
        commands = dict.fromkeys(table.command for table in tables)
        raise UserError(
            f"No run of table {given.name} is finished. Do them: {next(iter(commands))}"
        )
    for plan, table in zip(made, tables, strict=True):
        if table.finished:
            _draw(plan, table, out)
    if len(made) > 1:
        variation = made[0].file_stem.removeprefix(made[0].spec["name"])
        _draw_claims(done, "All claims that were tested", out / f"{given.name}{variation}")
    return 0


def _draw(plan: Plan, table: Table, out: Path) -> None:
    from eleatt_bench.report.figures import accuracies, losses

    several = any(column.folds > 1 for column in table.columns)
    count = "runs, one per seed and fold" if several else "runs, one per seed"
    if any(section.done for section in table.sections):
        _save(accuracies(table), out / f"{plan.file_stem}-accuracies")
    _draw_claims([table], title(table), out / plan.file_stem)
    if found := panels(plan, _curves):
        _save(losses(table, found, count), out / f"{plan.file_stem}-losses")


def _draw_claims(tables: Sequence[Table], name: str, stem: Path) -> None:
    from eleatt_bench.report.forest_figure import forest_figure

    if any(map(is_tested, (claim for table in tables for claim in table.claims))):
        _save(forest_figure(tables, name), stem.with_name(f"{stem.name}-claims"))


def _save(figure: Figure, stem: Path) -> None:
    from eleatt_bench.report.canvas import save

    for form in (_VECTOR, _PIXELS):
        save(figure, stem.with_name(f"{stem.name}.{form}"))
    print(f"{stem}.{_VECTOR}, .{_PIXELS}")


def _curves(folder: RunFolder) -> dict[str, Curve]:
    reader = CurveReader(folder)
    found = reader.read()
    if damage := reader.damage():
        print(damage, file=sys.stderr)
    return found
