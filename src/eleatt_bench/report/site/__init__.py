"""The report: a folder of pages that needs neither a server nor a network.

``index.html`` tells how far every table is, ``runs.html`` lists the runs, and each table and each
run has a page. Pages come from templates. In the browser, Plotly draws charts from numbers in the
page.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from eleatt_bench import __version__
from eleatt_bench.common import parallel
from eleatt_bench.common.errors import UserError
from eleatt_bench.common.extras import require
from eleatt_bench.common.files import naming, temporaries, temporary_path
from eleatt_bench.report.site.pages import MARK, write_assets, write_page
from eleatt_bench.report.site.run import Line, Made, RunPage, write_run
from eleatt_bench.report.site.table import page_of, write_table
from eleatt_bench.report.site.table_charts import forest
from eleatt_bench.report.verdict_text import of_all
from eleatt_bench.runs.cleaning import may_live
from eleatt_bench.runs.curves import Curve
from eleatt_bench.runs.record import RunFolder, all_runs
from eleatt_bench.tables.plan import Plan
from eleatt_bench.tables.records import find_records

Step = Callable[[int, int], None]
"""Called with how many pages of runs are made, and how many there will be."""

_FEW = 16  # runs: for so few another process does not pay
_PICTURES = (3, 12)  # of misclassified samples, at least and at most
_ALL_PICTURES = 3000  # on all pages: some 15 MB


def write_site(plans: Sequence[Plan], out: Path, step: Step = lambda done, total: None) -> int:
    """Write to ``out`` the report about ``plans`` and all runs in their folder.

    The result is the number of runs. An earlier report in ``out`` stays until the new one is
    complete, then it is replaced.

    Raises:
        UserError: ``out`` holds something else, or a library is missing.
    """
    require("report", "The report")
    out = out.resolve()
    _check_replaceable(out)
    folders = all_runs(plans[0].runs_dir)
    out.parent.mkdir(parents=True, exist_ok=True)
    new = temporary_path(out)
    with naming(out, new):
        try:
            for folder in (new, new / "runs", new / "tables"):
                folder.mkdir()
            write_assets(new)
            _write(plans, folders, new, step)
            _replace(out, new)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    _clean_up_after_killed(out)
    return len(folders)


def _write(plans: Sequence[Plan], folders: Sequence[RunFolder], out: Path, step: Step) -> None:
    least, most = _PICTURES
    pictures = max(least, min(most, _ALL_PICTURES // max(1, len(folders))))
    shown_in = _tables_of_runs(plans)
    data_dir = plans[0].data_dir
    jobs = [
        RunPage(folder, data_dir, out, pictures, tuple(shown_in.get(folder.run_id, ())))
        for folder in folders
    ]
    made: list[Made] = []
    processes = 1 if len(jobs) <= _FEW else parallel.cores()
    for one in parallel.in_order(write_run, jobs, processes):
        made.append(one)
        step(len(made), len(jobs))
    losses: dict[str, Mapping[str, Curve]] = {one.line.run_id: one.losses for one in made}
    lines: list[Line] = [one.line for one in made]
    pages = frozenset(losses)
    progress = [
        write_table(plan, out, pages, lambda folder: losses.get(folder.run_id, {}))
        for plan in plans
    ]
    now = datetime.now().astimezone().isoformat(sep=" ", timespec="minutes")
    common = {"lines": lines, "runs_dir": str(plans[0].runs_dir)}
    made_tables = [one.table for one in progress]
    write_page(
        out, "index.html", "index", progress=progress, now=now, version=__version__,
        forest=forest(made_tables, "All claims that were tested"),
        counts=of_all(made_tables), **common,
    )  # fmt: skip
    write_page(out, "runs.html", "runs", **common)


def _tables_of_runs(plans: Sequence[Plan]) -> dict[str, list[tuple[str, str]]]:
    """For every run, the title and the page of each table that shows it."""
    found: dict[str, list[tuple[str, str]]] = {}
    for plan in plans:
        for record in find_records(plan).values():
            found.setdefault(record["run_id"], []).append((plan.spec["title"], page_of(plan)))
    return found


def _check_replaceable(out: Path) -> None:
    if Path.cwd().is_relative_to(out):
        raise UserError(f"{out} is where you are, and it would be replaced: choose another --out")
    if out.is_dir() and any(out.iterdir()):
        index = out / "index.html"
        if not index.is_file() or MARK not in index.read_text("utf-8", errors="replace"):
            raise UserError(
                f"{out} holds something else than a report: choose a folder of its own with --out"
            )
    elif out.exists() and not out.is_dir():
        raise UserError(f"{out} is not a folder: choose another one with --out")


def _replace(out: Path, new: Path) -> None:
    """Put ``new`` in the place of ``out``, which is never half of either."""
    old = temporary_path(_old(out))
    if out.exists():
        out.rename(old)
    try:
        new.rename(out)
    except BaseException:
        if old.exists():
            old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _old(out: Path) -> Path:
    return out.with_name(f"{out.name}-old")


def _clean_up_after_killed(out: Path) -> None:
    """Remove the unfinished reports that killed processes left beside ``out``."""
    for path, pid in (*temporaries(out), *temporaries(_old(out))):
        if not may_live(path, pid):
            shutil.rmtree(path, ignore_errors=True)
