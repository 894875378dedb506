"""Many claims: which hold for all of them together, and how many say what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from eleatt_bench.tables.judgement import Judgement, Verdict
from eleatt_bench.tables.statistics import ERROR


def holm(p: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted values of ``p``, those of one family.

    Where those at most 0.05 are called different, any of them is so by chance in at most 5 % of the
    families, however the claims depend on each other. Repeated p values have to be given, not those
    of the look at which a claim stopped.
    """
    found, least = [0.0] * len(p), 0.0
    for rank, place in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        least = min(1.0, max(least, (len(p) - rank) * p[place]))
        found[place] = least
    return found


@dataclass(frozen=True)
class Family:
    """Distinct claims, counted by verdict in the order of `Verdict`; some of them exploratory."""

    counts: dict[Verdict, int]
    exploratory: dict[Verdict, int]
    adjusted: dict[Hashable, float]
    """Holm's p of each claim; 1 of one that has had no look."""
    planned: frozenset[Hashable]
    """Those that are not exploratory."""

    @property
    def claims(self) -> int:
        return len(self.adjusted)

    @property
    def holding(self) -> frozenset[Hashable]:
        """Those that differ at 5 % for all claims of the family together; for an exploratory one
        nothing keeps that error."""
        return frozenset(claim for claim in self.planned if self.adjusted[claim] <= ERROR)


def family(claims: Iterable[tuple[Hashable, Judgement]]) -> Family:
    """The family of ``claims``, each named by the runs that it is made of.

    Claims of the same runs are one, and count as the first of them does that is not exploratory.
    """
    distinct: dict[Hashable, Judgement] = {}
    for runs, judgement in claims:
        if runs not in distinct or (distinct[runs].exploratory and not judgement.exploratory):
            distinct[runs] = judgement
    p = [1.0 if j.p is None else j.p for j in distinct.values()]
    explored = [j for j in distinct.values() if j.exploratory]
    return Family(
        _by_verdict(distinct.values()),
        _by_verdict(explored),
        dict(zip(distinct, holm(p), strict=True)),
        frozenset(claim for claim, j in distinct.items() if not j.exploratory),
    )


def _by_verdict(judgements: Iterable[Judgement]) -> dict[Verdict, int]:
    found = Counter(one.verdict for one in judgements)
    return {verdict: found[verdict] for verdict in Verdict if found[verdict]}
