"""The judgement of one claim: its verdict, its estimate, and what more seeds would tell."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import takewhile
from typing import Any

import numpy as np

from eleatt_bench.tables.judgement import NO_SPREAD, Design, Judgement, Look, Verdict
from eleatt_bench.tables.looks import overall_level
from eleatt_bench.tables.power import detectable, power, seeds_needed, spread_range
from eleatt_bench.tables.statistics import (
    LEAST_SEEDS,
    Bounds,
    Looks,
    deciding,
    mean,
    quantile,
    std,
)
from eleatt_bench.tables.verdicts import (
    WORDS,
    Levels,
    first_decided,
    levels_of,
    moments,
    one_pair,
    p_values,
    words,
)


def judge(
    better: Mapping[int, float],
    than: Mapping[int, float],
    design: Design,
    failed: Collection[int] = (),
) -> Judgement:
    """The judgement of the claim that row ``better`` has a higher accuracy than row ``than``.

    Rows are accuracies in %, by seed. A look counts when all its seeds are finished in both rows.
    ``failed`` are the seeds that have a failed run in either row.
    """
    differences = {s: better[s] - than[s] for s in sorted(better.keys() & than.keys())}
    levels, counts = levels_of(design.looks), deciding(design.looks)
    finished = tuple(takewhile(lambda n: differences.keys() >= set(design.seeds[:n]), counts))
    looks, seen = _looks(differences, finished, levels, design)
    last = seen[-1] if seen else None
    decided = last if last is not None and last.verdict.decided else None
    following = () if decided else counts[len(finished) :][:1]
    estimate = _estimate(list(differences.values()), levels.sign)
    return Judgement(
        verdict=last.verdict if last else Verdict.UNDECIDED if differences else Verdict.NOT_TESTED,
        decided_at=decided.count if decided else None,
        **estimate,
        confidence=1 - levels.sign,
        paper=design.paper,
        margin=design.points,
        looks=looks,
        within_margin=decided is not None and _small(decided, design.points),
        prediction=None if last is None else _prediction(last, levels.size),
        stopped_early=decided is not None and finished[-1] < counts[-1],
        exploratory=not differences.keys() <= set(design.planned),
        next_look=following[0] if following else None,
        blocked_by=tuple(s for n in following for s in design.seeds[:n] if s in failed),
        p=_repeated_p([look.p for look in seen], counts),
        **_foresight(estimate["count"], estimate["std"], levels.sign, design),
    )


def _small(look: Look, margin: float) -> bool:
    return look.verdict.signed and -margin < look.low < look.high < margin


def _prediction(look: Look, level: float) -> Bounds:
    return _around(look.mean, one_pair(look.count, level) * look.std)


def _looks(
    differences: Mapping[int, float], counts: Looks, levels: Levels, design: Design
) -> tuple[tuple[Look, ...], tuple[Look, ...]]:
    """All looks, at the first ``counts`` seeds, and those up to the first look that decides."""
    if not counts:
        return (), ()
    values = np.array([differences[seed] for seed in design.seeds[: counts[-1]]])
    means, stds = moments(values, counts)
    paper = np.array(np.nan if design.paper is None else design.paper)
    codes = words(means, stds, counts, levels, paper, np.array(design.points))
    half = stds / np.sqrt(counts) * [quantile(count, levels.sign) for count in counts]
    numbers = (means, stds, means - half, means + half, p_values(means, stds, counts))
    rows = zip(counts, *(n.tolist() for n in numbers), (WORDS[c] for c in codes), strict=True)
    looks = tuple(Look(*row) for row in rows)
    return looks, looks[: int(first_decided(codes)[1]) + 1]


def _estimate(differences: Sequence[float], level: float) -> dict[str, Any]:
    """The fields of a `Judgement` that estimate the mean of all ``differences``."""
    count, center, spread = len(differences), mean(differences), std(differences)
    if center is None or spread is None or count < LEAST_SEEDS:
        return {"count": count, "mean": center, "std": spread, "low": None, "high": None}
    low, high = _around(center, quantile(count, level) * spread / math.sqrt(count))
    return {"count": count, "mean": center, "std": spread, "low": low, "high": high}


def _around(center: float, half: float) -> Bounds:
    return Bounds(center - half, center + half)


def _repeated_p(seen: Sequence[float], counts: Looks) -> float | None:
    return float(overall_level(counts, np.array(min(seen)))) if seen else None


def _foresight(count: int, spread: float | None, level: float, design: Design) -> dict[str, Any]:
    """The fields of a `Judgement` that tell what ``count`` seeds, or more, can find."""
    found = dict.fromkeys(("detectable", "seeds_needed", "power"))
    if spread is None or spread <= NO_SPREAD or count < LEAST_SEEDS:
        return found
    spreads = spread_range(spread, count)
    found["detectable"] = Bounds(*(detectable(s, count, level) for s in spreads))
    if design.paper:
        found["seeds_needed"] = tuple(seeds_needed(design.paper, s, level) for s in spreads)
        last = max(design.looks[-1], LEAST_SEEDS)
        found["power"] = Bounds(*(power(design.paper, s, last, level) for s in spreads[::-1]))
    return found
