"""What is declared of a claim, and what became of it: the words and numbers, without arithmetic.

A table whose comparisons are kept is shown from these alone; NumPy is not even imported.
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
"""Differences below it do not matter, unless the paper's own is small or the table says another."""
NO_SPREAD = 1e-9
"""Differences that are alike to so many points have no t statistic, and decide nothing."""


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
        """Whether it says in which direction the rows differ."""
        return self.decided and self is not Verdict.NO_DIFFERENCE


def margin_of(paper: float | None) -> float:
    """The smaller one of `MARGIN` and half the paper's difference, if it has one."""
    return min(MARGIN, abs(paper) / 2) if paper else MARGIN


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
    """A claim, judged. Ranges of what depends on the spread are those of `spread_range`."""

    verdict: Verdict
    decided_at: int | None
    """The first look that decided; its verdict stays whatever later seeds say."""
    count: int
    """How many seeds both rows have finished. The estimate is of all of them; it has an interval
    from `eleatt_bench.tables.statistics.LEAST_SEEDS` on."""
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
    """Decided before the last look, so the estimate is likely too far from 0 where a direction was
    found, and too near to it where none was."""
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

    @property
    def otherwise_since(self) -> bool:
        """Whether the latest look by itself has another word than the one that decided."""
        return self.decided_at is not None and self.looks[-1].verdict is not self.verdict

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
