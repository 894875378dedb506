"""The page of a table: its numbers, each with a link to its runs, its claims, its figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from eleatt_bench.report.grid import joined, lay_out, lay_out_claims, parameters_text
from eleatt_bench.report.losses import Read, panels
from eleatt_bench.report.numbers import number
from eleatt_bench.report.site import table_charts
from eleatt_bench.report.site.pages import write_page
from eleatt_bench.report.verdict_text import verdicts_line
from eleatt_bench.report.wording import (
    cell_text,
    claim_place,
    is_tested,
    notes,
    paper_text,
    seconds_text,
    section_title,
    title,
)
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.runs.summaries import Summary
from eleatt_bench.tables.build import runs_of, table
from eleatt_bench.tables.cells import PlannedRun
from eleatt_bench.tables.family import family
from eleatt_bench.tables.judgement import Verdict
from eleatt_bench.tables.plan import Plan
from eleatt_bench.tables.records import find_records, key, percent
from eleatt_bench.tables.spec import sections_of
from eleatt_bench.tables.table import Row, Table


class Square(NamedTuple):
    """A square of a table: its text, the number it is sorted by, and what it links to."""

    text: str
    value: float | str | None = None
    link: str | None = None


class SquareGroup(NamedTuple):
    title: str
    lines: list[list[Square]]


class CellRun(NamedTuple):
    """A run of a cell; ``run_id`` is None if the run has no page."""

    seed: int
    fold: int
    accuracy: float | None
    status: str
    run_id: str | None


class CellRuns(NamedTuple):
    anchor: str
    title: str
    text: str
    runs: list[CellRun]


class Progress(NamedTuple):
    """A table in the index."""

    table: Table
    page: str
    title: str
    verdicts: str


def page_of(plan: Plan) -> str:
    """Where the page of a table lies in the site."""
    return f"tables/{plan.file_stem}.html"


def write_table(plan: Plan, out: Path, pages: frozenset[str], read: Read) -> Progress:
    """Write a table's page; ``pages`` are the runs that have one, ``read`` gives their losses."""
    records = find_records(plan)
    made = table(plan, records)
    heading = title(made)
    write_page(
        out,
        page_of(plan),
        "table",
        heading=heading,
        made=made,
        header=["row", *lay_out(made).header[1:]],
        groups=list(_groups(made)),
        claims=lay_out_claims(made),
        untested=[claim_place(claim) for claim in made.claims if not is_tested(claim)],
        notes=notes(made),
        forest=table_charts.forest([made], "Differences"),
        accuracies=[chart for section in made.sections if section.done
                    for chart in table_charts.accuracies(made, section)],
        losses=table_charts.losses(panels(plan, read)),
        cells=list(_cells(plan, made, records, pages)),
    )  # fmt: skip
    return Progress(made, page_of(plan), heading, _verdicts(made))


def _verdicts(made: Table) -> str:
    """How many claims have each verdict; only ``not tested`` if no claim is tested."""
    found = family((claim.runs, claim.judgement) for claim in made.claims)
    if found.counts.keys() == {Verdict.NOT_TESTED}:
        return Verdict.NOT_TESTED
    return verdicts_line(found)


def _groups(made: Table) -> Iterator[SquareGroup]:
    if made.cited:
        yield SquareGroup("Cited", [_entries(made, row, None) for row in made.cited])
    for place, section in enumerate(made.sections):
        lines = [
            _entries(made, row, (place, number_of_row))
            for number_of_row, row in enumerate(section.rows)
        ]
        yield SquareGroup(section_title(section), lines)


def _entries(made: Table, row: Row, place: tuple[int, int] | None) -> list[Square]:
    found = [Square(row.name, row.name)]
    for index, (column, in_paper, cell) in enumerate(
        zip(made.columns, made.in_paper, row.cells, strict=True)
    ):
        link = None if place is None else f"#{_anchor(*place, index)}"
        found.append(Square(cell_text(cell), cell.mean, link))
        found += [Square(number(cell.fold_std), cell.fold_std)] if column.folds > 1 else []
        found += [Square(paper_text(cell), cell.paper)] if in_paper else []
    seconds = [value for cell in row.cells for value in (cell.seconds or {}).values()]
    return [
        *found,
        Square(joined(parameters_text(cell) for cell in row.cells), row.cells[0].parameters),
        Square(joined(seconds_text(cell, made) for cell in row.cells), min(seconds, default=None)),
    ]


def _cells(
    plan: Plan, made: Table, records: Mapping[str, Summary], pages: frozenset[str]
) -> Iterator[CellRuns]:
    """The runs of every cell, in the order of the table."""
    for place, (section, shown) in enumerate(
        zip(sections_of(plan.spec), made.sections, strict=True)
    ):
        for number_of_row, row in enumerate(shown.rows):
            for index, column in enumerate(plan.spec["columns"]):
                named = (section["name"], row.name, column["name"])
                runs = runs_of(plan, named, row.cells[index])
                of = f"the mean of {', '.join(row.members)}" if row.members else ""
                where = (section_title(shown), row.name, of, column["name"])
                yield CellRuns(
                    _anchor(place, number_of_row, index),
                    ", ".join(filter(None, where)),
                    cell_text(row.cells[index]),
                    [_run(run, plan, records, column["metric"], pages) for run in runs],
                )


def _run(
    run: PlannedRun,
    plan: Plan,
    records: Mapping[str, Summary],
    metric: str,
    pages: frozenset[str],
) -> CellRun:
    record = records.get(key(run))
    name = run.run_id if record is None else str(record["run_id"])
    status = "not prepared" if name is None else RunFolder(plan.runs_dir, name).status()
    found = None if record is None else percent(record, metric)
    return CellRun(run.seed, run.fold, found, status, name if name in pages else None)


def _anchor(section: int, row: int, column: int) -> str:
    return f"cell-{section}-{row}-{column}"
