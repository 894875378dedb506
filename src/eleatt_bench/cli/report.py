"""``eleatt-bench report``: what a table looks like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eleatt_bench.cli.arguments import Parser, choose
from eleatt_bench.composition import options
from eleatt_bench.errors import UserError
from eleatt_bench.report.canvas import save
from eleatt_bench.report.figures import LOSSES, Curves, bars, losses
from eleatt_bench.runs.curves import CurveReader
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.tables.cells import table as make_table
from eleatt_bench.tables.plan import Plan, PlannedRun, plans
from eleatt_bench.tables.records import find_records, key

_VECTOR, _PIXELS = "pdf", "png"


def report(arguments: list[str]) -> int:
    """``eleatt-bench report figures NAME``."""
    parser = Parser(
        "eleatt-bench report",
        description="Draw the accuracies of a table and the losses of its runs, as PDF and PNG.",
    )
    parser.add_argument("what", help="figures")
    parser.add_argument("name", help="one of: eleatt-bench tables")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as for `reproduce`")
    parser.add_argument("--out", type=Path, metavar="DIR", help="RUNS/tables")
    given = parser.parse(arguments)
    choose("report", given.what, ["figures"])
    name = choose("table", given.name, options("table"))
    for plan in plans(name, given.overrides):
        _draw(plan, given.out or plan.runs_dir / "tables")
    return 0


def _draw(plan: Plan, out: Path) -> None:
    made = make_table(plan)
    panels = _panels(plan)
    if not panels:
        raise UserError(f"No run of table {made.name} is finished. Do them: {made.command}")
    several = any(column.folds > 1 for column in made.columns)
    count = "runs, one per seed and fold" if several else "runs, one per seed"
    out.mkdir(parents=True, exist_ok=True)
    for kind, figure in (("bars", bars(made)), ("losses", losses(made, panels, count))):
        for form in (_VECTOR, _PIXELS):
            save(figure, out / f"{plan.file_stem}-{kind}.{form}")
        print(f"{out / plan.file_stem}-{kind}.{_VECTOR}, .{_PIXELS}")


def _panels(plan: Plan) -> dict[str, dict[str, dict[str, Curves]]]:
    """By section and column, and by row, the losses of all finished runs, those of a run once.

    Columns that show other numbers of the same runs are one panel.
    """
    records = find_records(plan)
    by_panel: dict[tuple[str, str], dict[str, list[PlannedRun]]] = {}
    for (section, row, column), runs in plan.by_cell.items():
        by_panel.setdefault((section, column), {})[row] = runs
    seen: set[tuple[str, ...]] = set()
    panels = {}
    for (section, column), rows in by_panel.items():
        runs = [run for of_row in rows.values() for run in of_row]
        same = tuple(key(run) for run in runs)
        if same in seen or not any(key(run) in records for run in runs):
            continue
        seen.add(same)
        title = ", ".join(filter(None, (section, column)))
        panels[title] = {
            row: _losses([RunFolder(plan.runs_dir, records[key(run)]["run_id"])
                          for run in of_row if key(run) in records])
            for row, of_row in rows.items()
        }  # fmt: skip
    return panels


def _losses(folders: Sequence[RunFolder]) -> dict[str, Curves]:
    read = [CurveReader(folder.tensorboard, tuple(LOSSES)).read() for folder in folders]
    return {tag: [curves[tag] for curves in read] for tag in LOSSES}
