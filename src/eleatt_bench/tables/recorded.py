"""The plan of a table as it was recorded before its seeds were seen.

``runs/tables/<stem>.plan.json`` holds what each claim compares and how it is to be judged. The
first ``reproduce`` of the table writes it. A later one replaces a claim in it only if none of its
seeds were seen. `eleatt_bench.tables.departures` compares a table's claims with it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from eleatt_bench.common.errors import UserError, reason
from eleatt_bench.common.files import read_bounded, write_text
from eleatt_bench.runs.identity import but_numbers, data_of
from eleatt_bench.tables.cells import PlannedRun
from eleatt_bench.tables.judgement import Design
from eleatt_bench.tables.plan import Plan
from eleatt_bench.tables.records import find_records, finished_alike, key
from eleatt_bench.tables.spec import METRICS, claims_of

_MOST = 1 << 22  # bytes: some thousand claims

ClaimPlace = tuple[str, str, str, str]
"""Section, the better row, the other one, and column."""


class Measured(NamedTuple):
    """What a claim compares: the mean of ``metric`` over ``folds``, in runs of these settings.

    ``better`` and ``than`` are digests (`eleatt_bench.runs.identity.but_numbers`) of the settings
    that all seeds and folds of a row share. An ensemble has one for each of its members.
    """

    metric: str
    folds: tuple[int, ...]
    data: tuple[str, ...]  # digests of the data sets; empty if one was not there
    better: tuple[str, ...]
    than: tuple[str, ...]

    def says(self, now: Measured) -> bool:
        """Whether ``now`` is the same; data are only compared if both are known."""
        data = self.data if self.data and now.data else now.data
        return self._replace(data=data) == now


@dataclass(frozen=True)
class Declared:
    """How a claim is to be judged, and how many of its seeds were finished when it was recorded."""

    design: Design
    measured: Measured | None  # None: recorded by an earlier version
    seen: int = 0
    late: bool = False  # added or typed when seeds of it were finished

    def says(self, now: Declared) -> bool:
        """Whether the claim as it is made ``now`` is the one that was declared."""
        if self.design != now.design:
            return False
        return not (self.measured and now.measured) or self.measured.says(now.measured)

    def lacks(self, now: Declared) -> bool:
        """Whether ``now`` says more about what is compared."""
        if self.measured is None or now.measured is None:
            return self.measured is None
        return len(self.measured.data) < len(now.measured.data)


@dataclass(frozen=True)
class Recorded:
    """The recorded plan of a table; empty if there is none or if its file is ``damaged``."""

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
    """Record what each claim compares and how it is to be judged; a rehearsal has no plan.

    A claim that is recorded already is replaced only if no seed of it was seen.

    Raises:
        UserError: the recorded plan is damaged.
    """
    if plan.quick:
        return
    recorded = read_plan(plan)
    if recorded.damaged:
        raise UserError(recorded.damaged)
    now = declarations(plan)
    found = _joined(plan, recorded, now)
    if gone := found.keys() - now.keys():
        done = finished_alike(plan.runs_dir)
        for place in gone:
            if not _was_seen(done, found[place].measured):
                del found[place]
    _keep(plan, recorded, found)


def publish_plan(plan: Plan, ours: Recorded) -> int:
    """Add the recorded claims ``ours`` to the plan of the published table ``plan``.

    To be called before runs are published: what was declared before then stays, and a claim whose
    seeds were public when it came is late. How many claims stay that ours lack or say otherwise.
    """
    theirs = read_plan(plan)
    found = _joined(plan, theirs, ours.claims) if theirs.there else dict(ours.claims)
    _keep(plan, theirs, found)
    return sum(
        found[place] == one != ours.claims.get(place) for place, one in theirs.claims.items()
    )


def _joined(
    plan: Plan, recorded: Recorded, now: Mapping[ClaimPlace, Declared]
) -> dict[ClaimPlace, Declared]:
    """The ``recorded`` claims and those of ``now``, which replace others before these were seen."""
    found = dict(recorded.claims)
    new = {
        place: one
        for place, one in now.items()
        if place not in found or not found[place].says(one) or found[place].lacks(one)
    }
    if not new:
        return found
    done, seen = finished_alike(plan.runs_dir), _seen(plan, new)
    for place, one in new.items():
        if place not in found or not _was_seen(done, found[place].measured, one.measured):
            late = seen[place] > 0 and (recorded.there or plan.undeclared)
            found[place] = replace(one, seen=max(seen[place], one.seen), late=late or one.late)
    return found


def _keep(plan: Plan, recorded: Recorded, found: Mapping[ClaimPlace, Declared]) -> None:
    if found != recorded.claims or not recorded.there:
        write_text(plan_path(plan), _written(plan, found))


def read_plan(plan: Plan) -> Recorded:
    """The recorded plan of the table."""
    path = plan_path(plan)
    try:
        return Recorded(dict(_parsed(json.loads(read_bounded(path, _MOST)))), there=True)
    except FileNotFoundError:
        return Recorded()
    except (OSError, ValueError, RecursionError, UserError) as error:
        return Recorded(
            damaged=f"{path} is damaged ({reason(error)}), so which plan was declared is not "
            f"known. Remove it, and {plan.command} records the plan anew"
        )


def declarations(
    plan: Plan, places: Collection[ClaimPlace] | None = None
) -> dict[ClaimPlace, Declared]:
    """What the table declares now of all its claims, or of those in ``places``.

    A margin is given in points, even if the table sets none.
    """
    found = {}
    for section, claim, column, design in claims_of(plan.spec):
        place = (section["name"], claim["better"], claim["than"], column["name"])
        if places is not None and place not in places:
            continue
        measured = _measured(plan, place, column["metric"])
        found[place] = Declared(replace(design, margin=design.points), measured)
    return found


def _measured(plan: Plan, place: ClaimPlace, metric: str) -> Measured:
    section, *rows, column = place
    # Two seeds tell a setting that follows the seed from one that is fixed.
    better, than = (
        [run for run in plan.by_cell[section, row, column] if run.turn < 2] for row in rows
    )
    data = {digest for run in (*better, *than) for _, digest in data_of(run.identity)}
    return Measured(
        metric,
        tuple(sorted({run.fold for run in (*better, *than)})),
        () if None in data else tuple(sorted(filter(None, data))),
        *(tuple(sorted({but_numbers(run.identity) for run in runs})) for runs in (better, than)),
    )


def _seen(plan: Plan, places: Collection[ClaimPlace]) -> dict[ClaimPlace, int]:
    """How many seeds of each of ``places`` are finished in both rows."""
    records = find_records(plan)
    found = {}
    for section, better, than, column in places:
        cells = [plan.by_cell.get((section, row, column), []) for row in (better, than)]
        done = [_finished_seeds(cell, records) for cell in cells]
        found[section, better, than, column] = len(set.intersection(*done))
    return found


def _finished_seeds(cell: Sequence[PlannedRun], records: Collection[str]) -> set[int]:
    lacking = {run.seed for run in cell if key(run) not in records}
    return {run.seed for run in cell} - lacking


def _was_seen(done: Collection[str], *compared: Measured | None) -> bool:
    """Whether both rows have finished runs with any of the ``compared`` settings.

    ``done`` are the settings of all finished runs, so seeds count that the table no longer has.
    Earlier versions recorded no settings (None): if there are none at all, the claim counts as
    seen.
    """
    known = [one for one in compared if one is not None]
    rows = ([d for one in known for d in one.better], [d for one in known for d in one.than])
    return not known or all(any(digest in done for digest in row) for row in rows)


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
    return Measured(
        value["metric"], folds, *(_texts(value.get(key)) for key in ("data", "better", "than"))
    )


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise ValueError("what is measured has no digests")
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
