"""What the Hydra sweeper `hydra/sweeper=eleatt_table` asks: the jobs that a table still lacks."""

from __future__ import annotations

from collections.abc import Sequence

from eleatt_bench.data.store import prepare_command
from eleatt_bench.errors import UserError
from eleatt_bench.tables.cells import missing
from eleatt_bench.tables.plan import plan


def missing_jobs(arguments: Sequence[str]) -> list[list[str]]:
    """The overrides of every run that a table lacks.

    ``arguments`` are the overrides given on the command line: ``table=NAME``, and others that are
    said of every run.

    Raises:
        UserError: no table is chosen, or its data are not prepared.
    """
    tables = [a.split("=", 1)[1] for a in arguments if a.startswith("table=")]
    if not tables:
        raise UserError("hydra/sweeper=eleatt_table needs a table: table=digits")
    made = plan(tables[-1], arguments)
    if made.unprepared:
        name = made.unprepared[0]
        raise UserError(
            f"Table {tables[-1]} needs data set {name}, which is not prepared: "
            f"{prepare_command(name)}"
        )
    return [list(run.overrides) for run in missing(made)]
