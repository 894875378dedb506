"""How a table's claims depart from the plan that was recorded before their seeds were seen.

A claim is exploratory if it compares something else, or is judged in another way, than was
recorded. So is a claim that was typed on the command line or added to the table's file after seeds
of it were finished.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from eleatt_bench.tables.judgement import Design
from eleatt_bench.tables.plan import Plan
from eleatt_bench.tables.recorded import (
    ClaimPlace,
    Declared,
    Measured,
    Recorded,
    declarations,
    plan_path,
    read_plan,
)
from eleatt_bench.tables.table import Claim


def held_against(plan: Plan, claims: Sequence[Claim]) -> tuple[tuple[Claim, ...], list[str]]:
    """``claims``, exploratory where they depart from the recorded plan, and remarks on that."""
    if plan.quick:
        return tuple(claims), []
    recorded, told = read_plan(plan), _Told(plan)
    places = [(one.section, one.better, one.than, one.column) for one in claims]
    seen = {place for place, one in zip(places, claims, strict=True) if one.judgement.count}
    current = declarations(plan, seen)
    found = []
    for place, claim in zip(places, claims, strict=True):
        if place in current and told.of(place, current[place], recorded):
            claim = replace(claim, judgement=replace(claim.judgement, exploratory=True))
        found.append(claim)
    for place in recorded.claims:  # `record_plan` forgets those that went before they were seen
        if place not in places:
            told.add("no longer made", place)
    return tuple(found), [*([recorded.damaged] if recorded.damaged else []), *told.sentences()]


_LATE = "declared after seeds of them were seen"
_UNRECORDED = "not recorded before seeds of them were seen"


class _Told:
    """Remarks on claims and their plan, each with the claims that it is about."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._claims: dict[str, list[ClaimPlace]] = {}

    def add(self, what: str, place: ClaimPlace) -> None:
        self._claims.setdefault(what, []).append(place)

    def of(self, place: ClaimPlace, now: Declared, recorded: Recorded) -> bool:
        """Whether the claim at ``place``, whose seeds were seen, is exploratory; adds why."""
        declared = recorded.claims.get(place)
        if declared is None:
            late = recorded.there or self._plan.undeclared
            if recorded.damaged:
                return True
            self.add(_LATE if late else _UNRECORDED, place)
            return late
        if not declared.says(now):
            self.add(_changes(declared, now), place)
        elif declared.late:
            self.add(f"declared after {declared.seen} seeds of them were seen", place)
        elif declared.seen:
            self.add(f"recorded when {declared.seen} seeds of them were finished", place)
        return declared.late or not declared.says(now)

    def sentences(self) -> list[str]:
        path = plan_path(self._plan)
        return [
            f"PLAN: {len(places)} claim{'s' * (len(places) != 1)} {what} ({_named(places)}): {path}"
            for what, places in self._claims.items()
        ]


def _changes(before: Declared, now: Declared) -> str:
    """What was changed in a plan, from what to what."""
    said = [*_redesigned(before.design, now.design)]
    if before.measured is not None and now.measured is not None:
        said += _remeasured(before.measured, now.measured)
    return f"changed after seeds were seen: {'; '.join(said or ['more seeds'])}"


def _redesigned(before: Design, now: Design) -> Iterator[str]:
    if before.seeds[: len(now.seeds)] != now.seeds[: len(before.seeds)]:
        yield f"seeds {_listed(before.seeds)} → {_listed(now.seeds)}"
    if before.looks != now.looks:
        yield f"looks {_listed(before.looks)} → {_listed(now.looks)}"
    for what in ("paper", "margin"):
        was, this = getattr(before, what), getattr(now, what)
        if was != this:
            name = "the paper's difference" if what == "paper" else "margin"
            yield f"{name} {_points(was)} → {_points(this)}"


def _remeasured(before: Measured, now: Measured) -> Iterator[str]:
    if before.metric != now.metric:
        yield f"metric {before.metric} → {now.metric}"
    if before.folds != now.folds:
        yield f"folds {_listed(before.folds)} → {_listed(now.folds)}"
    if before.data and now.data and before.data != now.data:
        yield f"data {_short(before.data)} → {_short(now.data)}"
    differ = (before.better != now.better, before.than != now.than)
    if any(differ):
        which = {(True, False): "the better row", (False, True): "the other row"}
        yield f"settings of the runs of {which.get(differ, 'both rows')}"


def _listed(counts: Sequence[int]) -> str:
    return ", ".join(map(str, counts))


def _short(digests: Sequence[str]) -> str:
    return ", ".join(digest[:_DIGEST] for digest in digests)


def _points(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


_NAMED = 3  # claims in a list that may be long
_DIGEST = 12  # characters


def _named(places: Sequence[ClaimPlace]) -> str:
    names = [f"{better} > {than}, {column}" for _, better, than, column in places[:_NAMED]]
    more = len(places) - _NAMED
    return "; ".join([*names, *([f"and {more} more"] if more > 0 else [])])
