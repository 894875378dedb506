"""Many claims: which of them hold for all together, and how many have each verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from eleatt_bench.tables.judgement import Judgement, Verdict
from eleatt_bench.tables.statistics import ERROR


def holm(p: Sequence[float]) -> list[float]:
    """The p values of one family, adjusted as by Holm (1979).

    If claims with an adjusted p of at most 0.05 are called different, at most 5 % of families call
    any claim so by chance, however the claims depend on each other. Give repeated p values, not
    those of the look at which a claim stopped.
    """
    found, least = [0.0] * len(p), 0.0
    for rank, place in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        least = min(1.0, max(least, (len(p) - rank) * p[place]))
        found[place] = least
    return found


@dataclass(frozen=True)
class Family:
    """Distinct claims: all, and the ``exploratory`` ones, counted in the order of `Verdict`."""

    counts: dict[Verdict, int]
    exploratory: dict[Verdict, int]
    adjusted: dict[Hashable, float]
    """Holm's p of each claim; 1 for a claim that has had no look."""
    planned: frozenset[Hashable]
    """The claims that are not exploratory."""

    @property
    def claims(self) -> int:
        return len(self.adjusted)

    @property
    def holding(self) -> frozenset[Hashable]:
        """The claims that differ at 5 % for all claims of the family together.

        Exploratory claims are not among them, since nothing bounds their error.
        """
        return frozenset(claim for claim in self.planned if self.adjusted[claim] <= ERROR)


def family(claims: Iterable[tuple[Hashable, Judgement]]) -> Family:
    """The family of ``claims``, each named by its runs.

    Claims of the same runs are one claim. Its judgement is that of the first of them that is not
    exploratory, or else of the first.
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
