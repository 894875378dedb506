"""What may be said of one claim: its word, its estimate, and what more seeds would tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import takewhile
from typing import Any

import numpy as np

from eleatt_bench.common.errors import UserError
from eleatt_bench.tables.crossing import Looks, quantile
from eleatt_bench.tables.looks import deciding, overall_level
from eleatt_bench.tables.power import MOST_SEEDS, detectable, power, seeds_needed, spread_range
from eleatt_bench.tables.statistics import LEAST_SEEDS, Bounds, mean, std
from eleatt_bench.tables.verdicts import (
    NO_SPREAD,
    WORDS,
    Levels,
    Verdict,
    first_decided,
    levels_of,
    margin_of,
    moments,
    one_pair,
    p_values,
    words,
)


@dataclass(frozen=True)
class Design:
    """What is declared of a claim before its runs: look after so many of the ``seeds``, in their
    order, at whether the difference, that is ``paper`` in the paper, is above 0 or within ±
    ``margin``.

    Raises:
        UserError: looks that do not rise, or of more seeds than there are or than anyone will
            train; a margin of 0 or less.
    """

    seeds: tuple[int, ...]
    looks: Looks
    paper: float | None = None
    margin: float | None = None  # None: that of `margin_of`

    def __post_init__(self) -> None:
        if not self.looks or any(
            a >= b for a, b in zip((0, *self.looks), self.looks, strict=False)
        ):
            raise UserError(
                f"looks are {list(self.looks)}; they must be numbers of seeds that rise"
            )
        if self.looks[-1] > MOST_SEEDS:
            raise UserError(f"looks are {list(self.looks)}; {MOST_SEEDS:,} seeds are the most")
        if self.looks[-1] > len(self.seeds):
            raise UserError(
                f"looks are {list(self.looks)}, but there are {len(self.seeds)} seeds: give as "
                "many as the last look needs"
            )
        if self.margin is not None and not 0 < self.margin < math.inf:
            raise UserError(f"a margin is {self.margin}; it must be a number of points above 0")

    @property
    def planned(self) -> tuple[int, ...]:
        """The seeds of all looks."""
        return self.seeds[: self.looks[-1]]

    @property
    def points(self) -> float:
        """The margin in percentage points."""
        return margin_of(self.paper) if self.margin is None else self.margin


@dataclass(frozen=True)
class Look:
    """What the first ``count`` seeds say by themselves."""

    count: int
    mean: float
    std: float
    low: float  # of the interval at the nominal level of a look
    high: float
    p: float  # nominal, two-sided
    verdict: Verdict


@dataclass(frozen=True)
class Judgement:
    """A claim, judged. Ranges of what depends on the spread are those of `spread_range`."""

    verdict: Verdict
    decided_at: int | None
    """The first look that decided; its verdict stays whatever later seeds say."""
    count: int
    """How many seeds both rows have finished. The estimate is of all of them."""
    mean: float | None
    std: float | None
    low: float | None
    high: float | None
    confidence: float
    """Of intervals at one look; over all looks together it is 95 %."""
    paper: float | None
    margin: float
    looks: tuple[Look, ...]
    """Those whose seeds are finished in both rows and that have seeds enough to decide."""
    within_margin: bool
    """A direction was found, but all of the deciding look's interval is within ± ``margin``."""
    prediction: Bounds | None
    """Where one more pair of runs would be, by the deciding look, or else the latest."""
    stopped_early: bool
    """Decided before the last look, so the estimate is likely too far from 0."""
    exploratory: bool
    """Seeds outside the plan are among those of the estimate, or the plan is not what was declared
    before they were seen (`eleatt_bench.tables.recorded`)."""
    next_look: int | None
    """How many seeds the next look needs; None once decided, or after the last look."""
    blocked_by: tuple[int, ...]
    """Seeds of the next look of which a run has failed."""
    p: float | None
    """The repeated p: the least overall level at which this would be decided by now."""
    detectable: Bounds | None
    """The difference that so many seeds find in 80 % of the cases, at the level of a look."""
    seeds_needed: tuple[int | None, int | None] | None
    """How many find the paper's difference in 80 %; None of two is more than a thousand."""
    power: Bounds | None
    """How often the last look finds the paper's difference."""

    def plain(self) -> dict[str, Any]:
        """It as JSON holds it."""
        values = {**asdict(self), "looks": [asdict(look) for look in self.looks]}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def of_plain(cls, values: Mapping[str, Any]) -> Judgement:
        """What `plain` was made of."""
        found = {**values, "verdict": Verdict(values["verdict"])}
        found["looks"] = tuple(
            Look(**{**look, "verdict": Verdict(look["verdict"])}) for look in values["looks"]
        )
        for name, kind in _TUPLES.items():
            if values[name] is not None:
                found[name] = kind(values[name])
        return cls(**found)


_TUPLES: dict[str, Callable[[Any], tuple[Any, ...]]] = {
    **dict.fromkeys(("prediction", "detectable", "power"), Bounds._make),
    **dict.fromkeys(("seeds_needed", "blocked_by"), tuple),
}


def judge(
    better: Mapping[int, float],
    than: Mapping[int, float],
    design: Design,
    failed: Collection[int] = (),
) -> Judgement:
    """What the accuracies (%) of two rows, by seed, say of the claim that one is ``better``.

    A look counts when all of its seeds are finished in both rows; ``failed`` are seeds of which a
    run has failed in either.
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
    """All looks at the first so many seeds, and those up to the first that decides."""
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
    """The fields of a `Judgement` that tell where all differences are."""
    count, center, spread = len(differences), mean(differences), std(differences)
    if center is None or spread is None:
        return {"count": count, "mean": center, "std": None, "low": None, "high": None}
    low, high = _around(center, quantile(count, level) * spread / math.sqrt(count))
    return {"count": count, "mean": center, "std": spread, "low": low, "high": high}


def _around(center: float, half: float) -> Bounds:
    return Bounds(center - half, center + half)


def _repeated_p(seen: Sequence[float], counts: Looks) -> float | None:
    return float(overall_level(counts, np.array(min(seen)))) if seen else None


def _foresight(count: int, spread: float | None, level: float, design: Design) -> dict[str, Any]:
    """The fields of a `Judgement` that tell what so many seeds, or more, find."""
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
