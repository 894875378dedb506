"""The plan of a table as it was recorded before its seeds were seen.

``runs/tables/<stem>.plan.json`` holds what each claim compares and how it is to be judged. It is
written by the first ``reproduce`` of the table; of what has been seen since, nothing in it is
replaced. `eleatt_bench.tables.departures` holds a table's claims against it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.files import read_bounded, write_text
from eleatt_bench.tables.judgement import Design
from eleatt_bench.tables.plan import Plan
from eleatt_bench.tables.records import but_numbers, find_records, finished_alike, key
from eleatt_bench.tables.spec import METRICS, claims_of

_MOST = 1 << 22  # bytes: some thousand claims

ClaimPlace = tuple[str, str, str, str]
"""Section, the better row, the other one, and column."""


class Measured(NamedTuple):
    """What a claim compares: the mean of ``metric`` over ``folds``, in runs of these settings.

    Settings are those that all seeds and folds of a row share, one digest for each of its members
    where it is an ensemble: `eleatt_bench.runs.identity.likeness` calls them ``but_numbers``.
    """

    metric: str
    folds: tuple[int, ...]
    better: tuple[str, ...]
    than: tuple[str, ...]


@dataclass(frozen=True)
class Declared:
    """How a claim is to be judged, and how many of its seeds were finished when that was said."""

    design: Design
    measured: Measured | None  # None: an earlier version recorded it, without
    seen: int = 0
    late: bool = False  # it was not said by the table's own file from the beginning

    def says(self, now: Declared) -> bool:
        """Whether the claim as it is made ``now`` is the one that was declared."""
        return self.design == now.design and self.measured in (None, now.measured)


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
        place: now
        for place, now in declarations(plan).items()
        if place not in found or replace(found[place], seen=0, late=False) != now
    }
    if new:
        seen = _seen(plan, new)
        touched = _touched(plan, found, new)
        for place, now in new.items():
            if place not in touched:
                late = seen[place] > 0 and (recorded.there or plan.undeclared)
                found[place] = replace(now, seen=seen[place], late=late)
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


def declarations(plan: Plan) -> dict[ClaimPlace, Declared]:
    """What the table declares of its claims now; a margin is the one that counts."""
    found = {}
    for section, claim, column, design in claims_of(plan.spec):
        place = (section["name"], claim["better"], claim["than"], column["name"])
        measured = _measured(plan, place, column["metric"])
        found[place] = Declared(replace(design, margin=design.points), measured)
    return found


def _measured(plan: Plan, place: ClaimPlace, metric: str) -> Measured:
    section, *rows, column = place
    first = [[run for run in plan.by_cell[section, row, column] if run.turn == 0] for row in rows]
    better, than = (tuple(sorted({but_numbers(run) for run in runs})) for runs in first)
    return Measured(metric, tuple(sorted({run.fold for run in first[0]})), better, than)


def _seen(plan: Plan, places: Collection[ClaimPlace]) -> dict[ClaimPlace, int]:
    """How many seeds are finished in both rows."""
    records = find_records(plan)
    found = {}
    for section, better, than, column in places:
        runs = [run for row in (better, than) for run in plan.by_cell[section, row, column]]
        lacking = {run.seed for run in runs if key(run) not in records}
        found[section, better, than, column] = len({run.seed for run in runs} - lacking)
    return found


def _touched(
    plan: Plan, before: Mapping[ClaimPlace, Declared], now: Mapping[ClaimPlace, Declared]
) -> set[ClaimPlace]:
    """Those recorded ``before`` of both of whose rows a run is finished, with any seed: also with
    one that was taken out of the table since, and also with the settings of before."""
    both = before.keys() & now.keys()
    if not both:
        return set()
    done = finished_alike(plan.runs_dir)
    said = {
        place: [m for m in (before[place].measured, now[place].measured) if m] for place in both
    }
    return {
        place
        for place, measured in said.items()
        if not done.isdisjoint(digest for one in measured for digest in one.better)
        and not done.isdisjoint(digest for one in measured for digest in one.than)
    }


def _written(plan: Plan, claims: Mapping[ClaimPlace, Declared]) -> str:
    entries = [
        {
            **dict(zip(_PLACE, place, strict=True)),
            **vars(one.design),
            **({} if one.measured is None else {"measured": one.measured._asdict()}),
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
        measured = _compared(entry["measured"]) if "measured" in entry else None
        yield (
            (section, better, than, column),
            Declared(design, measured, seen, entry.get("late") is not False),
        )


def _compared(value: Any) -> Measured:
    if not isinstance(value, dict) or value.get("metric") not in METRICS:
        raise ValueError("what is measured has no metric")
    folds = _counts(value.get("folds"))
    better, than = (_texts(value.get(row)) for row in ("better", "than"))
    return Measured(value["metric"], folds, better, than)


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise ValueError("settings that are measured are no digests")
    return tuple(values)


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
