"""Which runs a cell of a table is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table as Grid

from eleatt_bench.common.errors import unknown
from eleatt_bench.common.text import plain_console, printable
from eleatt_bench.report.numbers import NOTHING
from eleatt_bench.report.wording import cell_text, section_title
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.runs.summaries import Summary
from eleatt_bench.tables.build import runs_of, table
from eleatt_bench.tables.cells import PlannedRun
from eleatt_bench.tables.plan import Plan
from eleatt_bench.tables.records import find_records, key, percent
from eleatt_bench.tables.spec import sections_of

_WIDTH = 200  # where there is no terminal; run names and commands are long


def explain(plan: Plan, row: str, column: str) -> str:
    """The runs of a cell with their seeds, folds, accuracies, states, names and commands.

    Raises:
        UserError: no such row or column, with the nearest match.
    """
    _check(plan, row, column)
    records = find_records(plan)
    made = table(plan, records)
    place = [c.name for c in made.columns].index(column)
    console = plain_console()
    if not console.is_terminal:
        console.width = _WIDTH
    with console.capture() as capture:
        for section, shown in zip(sections_of(plan.spec), made.sections, strict=True):
            cell = next(r for r in shown.rows if r.name == row).cells[place]
            where = ", ".join(filter(None, (plan.spec["name"], section_title(shown), row, column)))
            console.print(f"{where}: {cell_text(cell)}")
            runs = runs_of(plan, (section["name"], row, column), cell)
            console.print(_grid(plan, runs, records, plan.spec["columns"][place]["metric"]))
    return capture.get()


def _check(plan: Plan, row: str, column: str) -> None:
    rows = [r["name"] for r in plan.spec["rows"]]
    cited = [r["name"] for r in plan.spec["cited"]]
    columns = [c["name"] for c in plan.spec["columns"]]
    if row in cited:
        raise unknown("row with runs (that one is cited)", row, rows)
    if row not in rows:
        raise unknown(f"row of table {plan.spec['name']}", row, rows)
    if column not in columns:
        raise unknown(f"column of table {plan.spec['name']}", column, columns)


def _grid(
    plan: Plan, runs: Sequence[PlannedRun], records: Mapping[str, Summary], metric: str
) -> Grid:
    grid = Grid(box=box.SIMPLE_HEAD)
    pretrained = any(run.before is not None for run in runs)
    members = len({run.row for run in runs}) > 1
    titles = ["seed", "fold", *(["member"] if members else [])]
    titles += ["accuracy", "status", "run", "command"]
    for title in [*titles, *(["begins with the weights of"] if pretrained else [])]:
        grid.add_column(title, overflow="fold", no_wrap=title in {"status", "run"})
    for run in runs:
        record = records.get(key(run))
        name = record["run_id"] if record is not None else run.run_id
        folder = None if name is None else RunFolder(plan.runs_dir, name)
        status = "not prepared" if folder is None else folder.status()
        value = None if record is None else percent(record, metric)
        found = NOTHING if value is None else f"{value:.2f}"
        whole = folder.read() if folder is not None and record is not None else None
        command = run.command if whole is None else whole["command"]
        texts = [str(run.seed), str(run.fold), *([run.row] if members else [])]
        texts += [found, status, name or NOTHING, command]
        if run.before is not None:
            texts.append(run.before.run_id or run.before.command)
        grid.add_row(*map(printable, texts))
    return grid
