"""Sweeps over the runs that tables still lack, look by look, until nothing more is wanted.

Hydra's sweepers ``eleatt_table`` and ``eleatt_until_decided`` do this.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher

from eleatt_bench.common.errors import UserError
from eleatt_bench.runs.wanted import WantedRun
from eleatt_bench.tables.pending import wanted_now
from eleatt_bench.tables.plan import Plan, plans
from eleatt_bench.tables.recorded import record_plan
from eleatt_bench.tables.records import with_pretrainings


def asked_tables(arguments: Sequence[str]) -> list[Plan]:
    """The tables that ``arguments`` ask for: ``table=NAME``, and overrides for every run.

    Raises:
        UserError: no table is chosen.
    """
    tables = [a.split("=", 1)[1] for a in arguments if a.startswith("table=")]
    if not tables:
        raise UserError("hydra/sweeper=eleatt_table needs a table: table=digits")
    return plans(tables[0], [a for a in arguments if a != f"table={tables[0]}"])


def lacking_data(made: Sequence[Plan]) -> str:
    """A sentence that names the data sets which are not prepared, or damaged; empty if all are."""
    tables: dict[str, list[Plan]] = {}
    for plan in made:
        for name in plan.unprepared:
            tables.setdefault(name, []).append(plan)
    return "; ".join(
        f"Table {', '.join(plan.spec['name'] for plan in those)} needs data set {name}, which "
        f"{those[0].lack(name)}"
        for name, those in tables.items()
    )


def sweep_tables(
    arguments: Sequence[str], launcher: Launcher, until_decided: bool = False
) -> list[JobReturn]:
    """What Hydra's table sweepers do: let ``launcher`` do the runs that the tables still lack.

    These are the runs of the first look. ``until_decided`` goes on, look by look, with the rows of
    claims that are undecided. A run that fails is not tried again, and its claims stay undecided.

    Raises:
        UserError: all that could be done was done, but jobs failed, runs are not finished, or data
            sets are not prepared, or damaged.
    """
    made = asked_tables(arguments)
    for plan in made:
        record_plan(plan)
    lack, failures = lacking_data(made), list[str]()
    returned: list[JobReturn] = []
    tried: set[str | None] = {None}  # runs without an id, because their data are not here
    while runs := _untried(made, until_decided, tried):
        first = len(tried) - 1
        if first:
            print(f"Undecided claims need {len(runs)} more runs", flush=True)
        elif lack:
            print(lack, flush=True)
        tried |= {run.run_id for run in with_pretrainings(runs)}  # each has a numbered log
        try:
            returned += launcher.launch([list(run.overrides) for run in runs], first)
        except UserError as failed:
            failures.append(str(failed))
        if not until_decided:
            break
    if failures or lack:
        raise UserError("\n\n".join([*failures, *([lack] if lack else [])]))
    return returned


def _untried(
    made: Sequence[Plan], until_decided: bool, tried: Collection[str | None]
) -> list[WantedRun]:
    """The runs that the tables want now and that were not ``tried``, each once."""
    runs = {run.run_id: run for plan in made for run in wanted_now(plan, until_decided)}
    return [run for name, run in runs.items() if name not in tried]
