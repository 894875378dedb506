"""Many claims: which hold for all of them together, and how many say what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np

from eleatt_bench.tables.crossing import Floats
from eleatt_bench.tables.judge import Judgement
from eleatt_bench.tables.looks import ERROR
from eleatt_bench.tables.verdicts import Verdict


def holm(p: Floats) -> Floats:
    """Holm's (1979) adjusted values of ``p`` (..., M), each family along the last axis.

    Where those at most 0.05 are called different, any of them is so by chance in at most 5 % of the
    families, however the claims depend on each other. Repeated p values have to be given, not those
    of the look at which a claim stopped.
    """
    order = np.argsort(p, axis=-1)
    sorted_p = np.take_along_axis(p, order, axis=-1)
    scaled = sorted_p * np.arange(p.shape[-1], 0, -1)
    rising = np.minimum(np.maximum.accumulate(scaled, axis=-1), 1)
    found = np.empty_like(rising)
    np.put_along_axis(found, order, rising, axis=-1)
    return found


@dataclass(frozen=True)
class Family:
    """Distinct claims, counted by verdict in the order of `Verdict`."""

    counts: dict[Verdict, int]
    adjusted: dict[Hashable, float]
    """Holm's p of each claim; 1 of one that has had no look."""

    @property
    def claims(self) -> int:
        return len(self.adjusted)

    @property
    def holding(self) -> frozenset[Hashable]:
        """Those that differ at 5 % for all claims of the family together."""
        return frozenset(claim for claim, p in self.adjusted.items() if p <= ERROR)


def family(claims: Iterable[tuple[Hashable, Judgement]]) -> Family:
    """The family of ``claims``, each named by the runs that it is made of.

    Claims of the same runs are one, and count as the first of them does.
    """
    distinct: dict[Hashable, Judgement] = {}
    for runs, judgement in claims:
        distinct.setdefault(runs, judgement)
    p = np.array([1.0 if j.p is None else j.p for j in distinct.values()])
    found = Counter(j.verdict for j in distinct.values())
    return Family(
        {verdict: found[verdict] for verdict in Verdict if found[verdict]},
        dict(zip(distinct, holm(p).tolist(), strict=True)),
    )
