"""Verdicts in words, the same for every reader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import compress

from eleatt_bench.report.numbers import signed
from eleatt_bench.tables.family import Family, family
from eleatt_bench.tables.judgement import Judgement, Verdict
from eleatt_bench.tables.power import MOST_SEEDS
from eleatt_bench.tables.statistics import Bounds
from eleatt_bench.tables.table import Claim, Table


def judgement_text(found: Judgement) -> str:
    """``smaller than the paper's at 5 seeds (within the margin, stopped early)``.

    The text of an undecided claim goes on with its `outlook`.
    """
    if found.verdict is Verdict.NOT_TESTED:
        return found.verdict
    seeds = found.decided_at or (found.looks[-1].count if found.looks else found.count)
    also = ", ".join(marks(found))
    text = f"{found.verdict} at {_seeds(seeds)}" + (f" ({also})" if also else "")
    return "; ".join([text, *outlook(found)])


SIGNS = {
    "within the margin": "†",
    "stopped early": "‡",
    "exploratory": "§",
    "otherwise at the latest look": "¶",
}
"""Remarks on a verdict, each with a sign that stands for it where there is no room."""


def marks(found: Judgement) -> list[str]:
    """The remarks of `SIGNS` that are true of ``found``."""
    true = (
        found.within_margin, found.stopped_early, found.exploratory, found.otherwise_since
    )  # fmt: skip
    return list(compress(SIGNS, true))


def outlook(found: Judgement) -> Iterator[str]:
    """What an undecided claim waits for, and what more seeds would find."""
    if found.verdict is not Verdict.UNDECIDED:
        return
    if found.next_look is not None:
        yield f"the next look is at {found.next_look}"
    if found.blocked_by:
        word = "seed" if len(found.blocked_by) == 1 else "seeds"
        yield f"{word} {', '.join(map(str, found.blocked_by))} failed"
    if found.detectable is not None:
        low, high = (f"{value:.1f}" for value in found.detectable)
        yield f"{_seeds(found.count)} find {_range(low, high)} points in 80 %"
    if found.seeds_needed is not None and found.paper is not None:
        low, high = (_most(count) for count in found.seeds_needed)
        yield f"the paper's {signed(found.paper)} needs {_range(low, high)} seeds"
    if found.power is not None and found.next_look is not None:
        yield f"the last look finds it in {percent_range(found.power)}"


def percent_range(shares: Bounds) -> str:
    """``18–85 %``."""
    low, high = (f"{100 * share:.0f}" for share in shares)
    return f"{_range(low, high)} %"


def counting_line(found: Family, *, is_whole: bool = True) -> str:
    """``12 claims: 3 reproduced (1 exploratory), 9 undecided; 2 hold for the whole family (Holm)``.

    The last part is left out if the family is not whole.
    """
    if not found.claims:
        return "no claims"
    text = f"{found.claims} claim{'s' * (found.claims != 1)}: {verdicts_line(found)}"
    holding = len(found.holding) if is_whole else 0
    verb = "holds" if holding == 1 else "hold"
    return f"{text}; {holding} {verb} for the whole family (Holm)" if holding else text


def verdicts_line(found: Family) -> str:
    """``3 reproduced (1 exploratory), 9 undecided``."""
    explored = {verdict: f" ({n} exploratory)" for verdict, n in found.exploratory.items()}
    return ", ".join(
        f"{n} {verdict}{explored.get(verdict, '')}" for verdict, n in found.counts.items()
    )


def of_all(tables: Sequence[Table]) -> str:
    """`counting_line` of the claims of all ``tables``; claims of the same runs count once.

    If some claims were left out, only verdicts are counted, since the family is all claims.
    """
    found = family((claim.runs, claim.judgement) for table in tables for claim in table.claims)
    return counting_line(found, is_whole=not any(table.is_part for table in tables))


def standing(claims: Iterable[Claim]) -> Iterator[str]:
    """Which claims are not decided, a sentence for each reason."""
    found: dict[str, list[str]] = {}
    for claim in claims:
        said = claim.judgement
        if said.verdict.decided:
            continue
        seeds = ", ".join(map(str, said.blocked_by))
        if said.blocked_by:
            why = "blocked by failed runs"
        elif said.next_look is None:
            why = "undecided at the last look"
        else:
            why = "waiting for more seeds" if said.looks else "not looked at yet"
        where = ", ".join(filter(None, (claim.section, claim.column, seeds and f"seed {seeds}")))
        found.setdefault(why, []).append(f"{claim.better} > {claim.than} ({where})")
    for why, named in found.items():
        more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
        yield f"{len(named)} {why}: {', '.join(named[:_NAMED])}{more}"


_NAMED = 4  # claims in a list that may be long


def _seeds(count: int) -> str:
    return f"{count} seed{'s' * (count != 1)}"


def _range(low: str, high: str) -> str:
    if low == high:
        return low
    return f"{low}–{high}" if high[0].isdigit() else f"{low} to {high}"


def _most(count: int | None) -> str:
    return f"more than {MOST_SEEDS}" if count is None else str(count)
