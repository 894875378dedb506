"""What the Hydra sweeper `hydra/sweeper=eleatt_table` asks: the jobs that a table still lacks."""

from __future__ import annotations

from collections.abc import Sequence

from eleatt_bench.data.store import prepare_command
from eleatt_bench.errors import UserError
from eleatt_bench.tables.plan import Plan, plans
from eleatt_bench.tables.records import missing


def asked(arguments: Sequence[str]) -> list[Plan]:
    """The tables that ``arguments`` ask for: ``table=NAME``, and overrides said of every run.

    Raises:
        UserError: no table is chosen.
    """
    tables = [a.split("=", 1)[1] for a in arguments if a.startswith("table=")]
    if not tables:
        raise UserError("hydra/sweeper=eleatt_table needs a table: table=digits")
    return plans(tables[-1], arguments)


def missing_jobs(made: Sequence[Plan]) -> list[list[str]]:
    """The overrides of every run that the tables lack and whose data are here, each run once."""
    jobs = {run.run_id: list(run.overrides) for plan in made for run in missing(plan)}
    jobs.pop(None, None)
    return list(jobs.values())


def lacking(made: Sequence[Plan]) -> str:
    """A sentence that names the data sets which are not prepared; nothing if all are."""
    tables: dict[str, list[str]] = {}
    for plan in made:
        for name in plan.unprepared:
            tables.setdefault(name, []).append(plan.spec["name"])
    return "; ".join(
        f"Table {', '.join(names)} needs data set {name}, which is not prepared: "
        f"{prepare_command(name)}"
        for name, names in tables.items()
    )
