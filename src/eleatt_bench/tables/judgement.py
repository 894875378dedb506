"""The design of a claim and its judgement: words and numbers, without arithmetic.

A table whose comparisons are cached is shown from these alone, without importing NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from eleatt_bench.common.errors import UserError
from eleatt_bench.tables.power import MOST_SEEDS
from eleatt_bench.tables.statistics import Bounds, Looks

MARGIN = 1.0
"""Points below which a difference does not matter; see `margin_of`. A table may set another."""
NO_SPREAD = 1e-9
"""Differences whose spread is at most so many points have no t statistic, and decide nothing."""


class Verdict(StrEnum):
    REPRODUCED = "reproduced"
    SMALLER = "smaller than the paper's"
    LARGER = "larger than the paper's"
    CONTRADICTED = "contradicted"
    BETTER = "better"
    WORSE = "worse"
    NO_DIFFERENCE = "no difference that matters"
    UNDECIDED = "undecided"
    NOT_TESTED = "not tested"

    @property
    def decided(self) -> bool:
        return self not in (Verdict.UNDECIDED, Verdict.NOT_TESTED)

    @property
    def signed(self) -> bool:
        """Whether the verdict says in which direction the rows differ."""
        return self.decided and self is not Verdict.NO_DIFFERENCE


def margin_of(paper: float | None) -> float:
    """The smaller of `MARGIN` and half the paper's difference, if it has one."""
    return min(MARGIN, abs(paper) / 2) if paper else MARGIN


@dataclass(frozen=True)
class Design:
    """What is declared of a claim before its runs.

    Each of the ``looks`` is at the first so many ``seeds``, and asks whether the difference is on
    one side of 0 or within ± ``margin``. ``paper`` is the difference in the paper.

    Raises:
        UserError: no looks, looks that do not rise, or that take more seeds than there are or than
            `MOST_SEEDS`; a margin that is not a number above 0.
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
                f"looks are {list(self.looks)}; they must be numbers of seeds, each larger than "
                "the one before"
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
    """The judgement of a claim. What depends on the spread is a range, over its `spread_range`."""

    verdict: Verdict
    decided_at: int | None
    """The seeds of the first look that decided; its verdict stays, whatever later seeds say."""
    count: int
    """How many seeds are finished in both rows. The estimate is from all of them; it has an
    interval from `eleatt_bench.tables.statistics.LEAST_SEEDS` seeds on."""
    mean: float | None
    std: float | None
    low: float | None
    high: float | None
    confidence: float
    """The confidence of the interval at one look; over all looks together it is 95 %."""
    paper: float | None
    margin: float
    looks: tuple[Look, ...]
    """The looks that have enough seeds to decide, all of them finished in both rows."""
    within_margin: bool
    """A direction was found, but all of the deciding look's interval is within ± ``margin``."""
    prediction: Bounds | None
    """The prediction interval of one more pair of runs, at the deciding or else the latest look."""
    stopped_early: bool
    """The claim is decided and the last look is still open. So the estimate is likely too far from
    0 if a direction was found, and too near 0 if none was."""
    exploratory: bool
    """The estimate uses seeds outside the plan, or the plan is not the one that was recorded before
    its seeds were seen (`eleatt_bench.tables.recorded`)."""
    next_look: int | None
    """How many seeds the next look needs; None once decided, or after the last look."""
    blocked_by: tuple[int, ...]
    """The seeds of the next look that have a failed run."""
    p: float | None
    """The repeated p: the least overall level at which a direction would be decided by now."""
    detectable: Bounds | None
    """The difference that ``count`` seeds find in 80 % of the cases, at the level of a look."""
    seeds_needed: tuple[int | None, int | None] | None
    """How many seeds find the paper's difference in 80 % of the cases; an end that is None is more
    than a thousand."""
    power: Bounds | None
    """How often the last look finds the paper's difference."""

    @property
    def otherwise_since(self) -> bool:
        """Whether the latest look by itself has another verdict than the one that decided."""
        return self.decided_at is not None and self.looks[-1].verdict is not self.verdict

    def plain(self) -> dict[str, Any]:
        """The judgement as plain values, which JSON can hold."""
        values = {**asdict(self), "looks": [asdict(look) for look in self.looks]}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def of_plain(cls, values: Mapping[str, Any]) -> Judgement:
        """The judgement whose `plain` values are ``values``."""
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
