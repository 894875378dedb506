"""From the runs of a table to its numbers."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eleatt_bench.data.store import prepare_command
from eleatt_bench.runs.identity import without_digest
from eleatt_bench.runs.record import Record, RunFolder, all_runs
from eleatt_bench.tables.plan import Plan, PlannedRun


@dataclass(frozen=True)
class Cell:
    """The accuracies (%) of one row and column, one per finished seed, beside the paper's."""

    values: tuple[float, ...]
    seeds: int  # how many the table asks for; 0 for a cited row
    paper: float | None

    @property
    def mean(self) -> float | None:
        return statistics.fmean(self.values) if self.values else None

    @property
    def std(self) -> float | None:
        """Sample standard deviation over seeds (n − 1); None for fewer than two."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True)
class Row:
    name: str
    cells: tuple[Cell, ...]
    parameters: int | None  # None: not run yet, or cited


@dataclass(frozen=True)
class Table:
    """What a table shows. ``rows`` are this project's, ``cited`` are other people's."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    cited: tuple[Row, ...]
    paper_note: str
    notes: tuple[str, ...]
    runs: int  # how many the table needs
    finished: int

    @property
    def in_paper(self) -> tuple[bool, ...]:
        """Of each column, whether the paper has a number for any of its cells."""
        by_column = zip(*(row.cells for row in (*self.rows, *self.cited)), strict=True)
        return tuple(any(cell.paper is not None for cell in cells) for cells in by_column)


def table(plan: Plan) -> Table:
    """The cells of ``plan`` from the finished runs in its ``runs_dir``."""
    records = find_records(plan)
    columns = tuple(column["name"] for column in plan.spec["columns"])
    rows = tuple(_row(plan, row, records) for row in plan.spec["rows"])
    cited = tuple(
        Row(row["name"], tuple(Cell((), 0, row["paper"].get(c)) for c in columns), None)
        for row in plan.spec["cited"]
    )
    distinct = {_key(run): run for run in plan.runs}
    return Table(
        name=plan.spec["name"],
        title=plan.spec["title"],
        columns=columns,
        rows=rows,
        cited=cited,
        paper_note=plan.spec["paper_note"],
        notes=(*plan.spec["notes"], *_remarks(plan)),
        runs=len(distinct),
        finished=sum(key in records for key in distinct),
    )


def find_records(plan: Plan) -> dict[str, Record]:
    """The records of the plan's finished runs, by `_key`.

    Where the data are on this machine a run is found by its name. Where they are not, any finished
    run that agrees in everything but the data's digest is taken.
    """
    found: dict[str, Record] = {}
    by_content: dict[str, Record] | None = None
    for run in plan.runs:
        if run.run_id is not None:
            record = RunFolder(plan.runs_dir, run.run_id).read()
        else:
            if by_content is None:
                by_content = _records_by_content(plan)
            record = by_content.get(_content(run.identity))
        if record is not None and record["status"] == "finished":
            found[_key(run)] = record
    return found


def missing(plan: Plan) -> list[PlannedRun]:
    """The runs without a finished record, each once, seed by seed so that rows grow together."""
    records = find_records(plan)
    left = {_key(run): run for run in plan.runs if _key(run) not in records}
    return sorted(left.values(), key=lambda run: plan.spec["seeds"].index(run.seed))


def _row(plan: Plan, row: Mapping[str, Any], records: Mapping[str, Record]) -> Row:
    cells, parameters = [], None
    for column in plan.spec["columns"]:
        done = [
            records[_key(run)]
            for run in plan.runs
            if (run.row, run.column) == (row["name"], column["name"]) and _key(run) in records
        ]
        values = tuple(100 * float(r["metrics"]["test"][column["metric"]]) for r in done)
        cells.append(Cell(values, len(plan.spec["seeds"]), row["paper"].get(column["name"])))
        if done:
            parameters = int(done[0]["parameters"])
    return Row(row["name"], tuple(cells), parameters)


def _remarks(plan: Plan) -> list[str]:
    remarks = []
    if plan.variation:
        remarks.append(f"A variation of the table: {' '.join(plan.variation)}")
    for name in plan.unprepared:
        remarks.append(
            f"Data set {name} is not prepared here, so runs were matched by everything but the "
            f"data's digest. Prepare it: {prepare_command(name)}"
        )
    return remarks


def _key(run: PlannedRun) -> str:
    return run.run_id if run.run_id is not None else _content(run.identity)


def _content(identity: Mapping[str, Any]) -> str:
    return json.dumps(without_digest(identity), sort_keys=True)


def _records_by_content(plan: Plan) -> dict[str, Record]:
    records = [folder.read() for folder in all_runs(plan.runs_dir)]
    return {
        _content(record["identity"]): record
        for record in records
        if record is not None and record["status"] == "finished"
    }
