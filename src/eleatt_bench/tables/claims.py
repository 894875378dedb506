"""What has become of the claims "A is better than B"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from eleatt_bench.runs.record import Record
from eleatt_bench.tables.comparisons import Comparisons
from eleatt_bench.tables.plan import Place, Plan
from eleatt_bench.tables.spec import Spec, sections_of
from eleatt_bench.tables.table import Cell, Claim


def claims(
    plan: Plan, records: Mapping[str, Record], cells: Mapping[Place, Cell]
) -> Iterator[Claim]:
    """Every claim of the table, in each section and column that it is made of."""
    comparisons = Comparisons(plan, records)
    for section in sections_of(plan.spec):
        for claim in plan.spec["claims"]:
            for column in plan.spec["columns"]:
                if not claim["columns"] or column["name"] in claim["columns"]:
                    yield _claim(plan, section["name"], claim, column, cells, comparisons)
    comparisons.keep()


def _claim(
    plan: Plan,
    section: str,
    claim: Spec,
    column: Spec,
    cells: Mapping[Place, Cell],
    comparisons: Comparisons,
) -> Claim:
    better, than = (cells[section, claim[row], column["name"]] for row in ("better", "than"))
    papers = (better.paper, than.paper)
    runs = (plan.by_cell[section, claim[row], column["name"]] for row in ("better", "than"))
    pairs = list(zip(*runs, strict=True))  # of the same seed and fold
    return Claim(
        section=section,
        better=claim["better"],
        than=claim["than"],
        column=column["name"],
        difference=comparisons.difference(better.by_seed, than.by_seed),
        paper=None if None in papers else float(papers[0]) - float(papers[1]),  # type: ignore[arg-type]
        tests=tuple(comparisons.tests(pairs, column["metric"])),
    )
