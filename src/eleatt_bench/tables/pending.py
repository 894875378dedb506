"""Which runs a table wants: those of its first look, then those of claims that are undecided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from eleatt_bench.runs.summaries import Summary
from eleatt_bench.tables.build import table
from eleatt_bench.tables.cells import PlannedRun
from eleatt_bench.tables.plan import Plan
from eleatt_bench.tables.records import find_records, key, lacking
from eleatt_bench.tables.table import Claim


def wanted_now(plan: Plan, until_decided: bool) -> list[PlannedRun]:
    """The wanted runs without a finished record, each once, seed by seed: rows grow together.

    They are the runs of the first look and, if ``until_decided``, of the next look of each
    undecided claim. Pre-trainings are left out: whoever starts a run adds them.
    """
    runs, records = list(plan.first_look), find_records(plan)
    if until_decided:
        for claim in table(plan, records).claims:
            runs += _up_to(plan, claim, claim.judgement.next_look or 0)
    return lacking(runs, records)


def wanted_by_look(plan: Plan, records: Mapping[str, Summary]) -> Iterator[list[PlannedRun]]:
    """The runs that each look lacks, as `wanted_now`; for later looks, all that they may need."""
    claims = table(plan, records).claims
    looks = {column["name"]: column["looks"] for column in plan.spec["columns"]}
    told: set[str] = set()
    for place in range(max(map(len, looks.values()))):
        runs = list(plan.first_look) if place == 0 else []
        for claim in claims:
            if not claim.judgement.verdict.decided and place < len(looks[claim.column]):
                runs += _up_to(plan, claim, looks[claim.column][place])
        left = [run for run in lacking(runs, records) if key(run) not in told]
        told |= {key(run) for run in left}
        yield left


def _up_to(plan: Plan, claim: Claim, count: int) -> Iterator[PlannedRun]:
    """The runs of both rows with the first ``count`` seeds."""
    for row in (claim.better, claim.than):
        for run in plan.by_cell[claim.section, row, claim.column]:
            if run.turn < count:
                yield run
