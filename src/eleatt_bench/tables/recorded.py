"""The plan of a table as it was recorded before its seeds were seen.

``runs/tables/<stem>.plan.json`` holds how each claim is to be judged. It is written by the first
``reproduce`` of the table; of what has been seen since, nothing in it is replaced. A claim that is
judged otherwise than was recorded is exploratory, and so is one that was typed on the command line
or added to the table's file when seeds of it were finished.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.files import read_bounded, write_text
from eleatt_bench.tables.judgement import Design
from eleatt_bench.tables.plan import Plan
from eleatt_bench.tables.records import but_numbers, find_records, finished_alike, key
from eleatt_bench.tables.spec import claims_of
from eleatt_bench.tables.table import Claim

_MOST = 1 << 22  # bytes: some thousand claims

ClaimPlace = tuple[str, str, str, str]
"""Section, the better row, the other one, and column."""


@dataclass(frozen=True)
class Declared:
    """How a claim is to be judged, and how many of its seeds were finished when that was said."""

    design: Design
    seen: int = 0
    late: bool = False  # it was not said by the table's own file from the beginning


@dataclass(frozen=True)
class Recorded:
    """What is recorded of a table; nothing, if nothing was, or if the file is ``damaged``."""

    claims: Mapping[ClaimPlace, Declared] = field(default_factory=dict)
    damaged: str = ""
    there: bool = False


def plan_path(plan: Plan) -> Path:
    """Where the plan of a table is recorded."""
    return plan_among(plan.runs_dir, plan.file_stem)


def plan_among(runs_dir: Path, stem: str) -> Path:
    """Where the plan of the table whose files are called ``stem`` is recorded."""
    return runs_dir / "tables" / f"{stem}.plan.json"


def record_plan(plan: Plan) -> None:
    """Record how each claim is to be judged, if no seed of it was seen; a rehearsal has no plan.

    Raises:
        UserError: what was recorded is damaged.
    """
    if plan.quick:
        return
    recorded = read_plan(plan)
    if recorded.damaged:
        raise UserError(recorded.damaged)
    found = dict(recorded.claims)
    new = {
        place: design
        for place, design in designs(plan).items()
        if place not in found or found[place].design != design
    }
    if new:
        seen = _seen(plan, new)
        touched = _touched(plan, found.keys() & new.keys())
        for place, design in new.items():
            if place not in touched:
                late = seen[place] > 0 and (recorded.there or plan.undeclared)
                found[place] = Declared(design, seen[place], late)
    if found != recorded.claims or not recorded.there:
        write_text(plan_path(plan), _written(plan, found))


def read_plan(plan: Plan) -> Recorded:
    """What is recorded of the table."""
    path = plan_path(plan)
    try:
        return Recorded(dict(_parsed(json.loads(read_bounded(path, _MOST)))), there=True)
    except FileNotFoundError:
        return Recorded()
    except (OSError, ValueError, RecursionError, UserError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        return Recorded(
            damaged=f"{path} is damaged ({reason}), so which plan was declared is not known. "
            f"Remove it, and {plan.command} records the plan anew"
        )


def designs(plan: Plan) -> dict[ClaimPlace, Design]:
    """How each claim of the table is judged now; a margin is the one that counts."""
    return {
        (section["name"], claim["better"], claim["than"], column["name"]): replace(
            design, margin=design.points
        )
        for section, claim, column, design in claims_of(plan.spec)
    }


def _seen(plan: Plan, places: Collection[ClaimPlace]) -> dict[ClaimPlace, int]:
    """How many seeds are finished in both rows."""
    records = find_records(plan)
    found = {}
    for section, better, than, column in places:
        runs = [run for row in (better, than) for run in plan.by_cell[section, row, column]]
        lacking = {run.seed for run in runs if key(run) not in records}
        found[section, better, than, column] = len({run.seed for run in runs} - lacking)
    return found


def _touched(plan: Plan, places: Collection[ClaimPlace]) -> set[ClaimPlace]:
    """Those of both of whose rows a run is finished, with any seed: also with one that was taken
    out of the table since."""
    if not places:
        return set()
    done = finished_alike(plan.runs_dir)
    return {
        (section, better, than, column)
        for section, better, than, column in places
        if all(
            any(but_numbers(run) in done for run in plan.by_cell[section, row, column])
            for row in (better, than)
        )
    }


def _written(plan: Plan, claims: Mapping[ClaimPlace, Declared]) -> str:
    entries = [
        {
            **dict(zip(_PLACE, place, strict=True)),
            **vars(one.design),
            "seen": one.seen,
            "late": one.late,
        }
        for place, one in claims.items()
    ]
    return json.dumps({"table": plan.spec["name"], "claims": entries}, indent=1) + "\n"


_PLACE = ("section", "better", "than", "column")


def _parsed(content: Any) -> Iterator[tuple[ClaimPlace, Declared]]:
    if not isinstance(content, dict) or not isinstance(content.get("claims"), list):
        raise ValueError("it has no claims")
    for entry in content["claims"]:
        if not isinstance(entry, dict) or not all(isinstance(entry.get(k), str) for k in _PLACE):
            raise ValueError("a claim has no names")
        section, better, than, column = (entry[key] for key in _PLACE)
        seeds, looks = (_counts(entry.get(key)) for key in ("seeds", "looks"))
        design = Design(seeds, looks, _number(entry.get("paper")), _number(entry.get("margin")))
        (seen,) = _counts([entry.get("seen")])
        yield (
            (section, better, than, column),
            Declared(design, seen, entry.get("late") is not False),
        )


def _counts(values: Any) -> tuple[int, ...]:
    if not isinstance(values, list) or not all(type(v) is int and v >= 0 for v in values):
        raise ValueError("seeds or looks are no counts")
    return tuple(values)


def _number(value: Any) -> float | None:
    if value is None:
        return None
    if type(value) not in (int, float) or not abs(value) < 1e9:
        raise ValueError("a paper's difference or a margin is no number")
    return float(value)


def held_against(plan: Plan, claims: Sequence[Claim]) -> tuple[tuple[Claim, ...], list[str]]:
    """``claims``, exploratory where they are not judged as was recorded in time; and why."""
    recorded = Recorded() if plan.quick else read_plan(plan)
    current, told = designs(plan), _Told(plan)
    found = []
    for claim in claims:
        place = (claim.section, claim.better, claim.than, claim.column)
        if claim.judgement.count and told.of(place, current[place], recorded):
            claim = replace(claim, judgement=replace(claim.judgement, exploratory=True))
        found.append(claim)
    if any(claim.judgement.count for claim in claims):
        for place in recorded.claims.keys() - current.keys():
            told.add("no longer made", place)
    return tuple(found), [*([recorded.damaged] if recorded.damaged else []), *told.sentences()]


class _Told:
    """What has to be said of claims and their plan, each with the claims that it is said of."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._claims: dict[str, list[ClaimPlace]] = {}

    def add(self, what: str, place: ClaimPlace) -> None:
        self._claims.setdefault(what, []).append(place)

    def of(self, place: ClaimPlace, design: Design, recorded: Recorded) -> bool:
        """Whether a claim of which seeds were seen is exploratory."""
        declared = recorded.claims.get(place)
        if declared is None:
            late = not recorded.damaged and (recorded.there or self._plan.undeclared)
            if late:
                self.add("declared after seeds of them were seen", place)
            return late or bool(recorded.damaged)
        if declared.design != design:
            self.add(_changes(declared.design, design), place)
        elif declared.late:
            self.add(f"declared after {declared.seen} seeds of them were seen", place)
        elif declared.seen:
            self.add(f"recorded when {declared.seen} seeds of them were finished", place)
        return declared.design != design or declared.late

    def sentences(self) -> list[str]:
        path = plan_path(self._plan)
        return [
            f"PLAN: {len(places)} claim{'s' * (len(places) != 1)} {what} ({_named(places)}): {path}"
            for what, places in self._claims.items()
        ]


def _changes(before: Design, now: Design) -> str:
    """In what a plan was changed, and from what to what."""
    said = []
    if before.seeds[: len(now.seeds)] != now.seeds[: len(before.seeds)]:
        said.append(f"seeds {_listed(before.seeds)} → {_listed(now.seeds)}")
    if before.looks != now.looks:
        said.append(f"looks {_listed(before.looks)} → {_listed(now.looks)}")
    for what in ("paper", "margin"):
        was, this = getattr(before, what), getattr(now, what)
        if was != this:
            name = "the paper's difference" if what == "paper" else "margin"
            said.append(f"{name} {_points(was)} → {_points(this)}")
    return f"changed after seeds were seen: {'; '.join(said or ['more seeds'])}"


def _listed(counts: Sequence[int]) -> str:
    return ", ".join(map(str, counts))


def _points(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


_NAMED = 3  # of what there may be many


def _named(places: Sequence[ClaimPlace]) -> str:
    names = [f"{better} > {than}, {column}" for _, better, than, column in places[:_NAMED]]
    more = len(places) - _NAMED
    return "; ".join([*names, *([f"and {more} more"] if more > 0 else [])])
