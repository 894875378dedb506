"""``eleatt-bench reproduce NAME --dry-run``: the runs that a table lacks, and what they take."""

from __future__ import annotations

from collections.abc import Sequence

from eleatt_bench.common.text import duration
from eleatt_bench.tables.estimate import Expected, expected
from eleatt_bench.tables.plan import Plan

_PLACES = ("first", "second", "third", "fourth", "fifth")


def dry_run(made: Sequence[Plan]) -> None:
    """Print the commands of the runs that the first look lacks, and what each look will take."""
    looks = expected(made)
    for one in looks[0]:
        time = "? min" if one.seconds is None else duration(one.seconds)
        print(f"{time:>10}  {one.run.command}")
    for place, found in enumerate(looks):
        name = _PLACES[place] if place < len(_PLACES) else f"{place + 1}th"
        print(f"The {name} look, at {_seeds(made, place)} seeds: {_sum(found, at_most=place > 0)}.")
    lacks = {name: plan.lack(name) for plan in made for name in plan.unprepared}
    for name, lack in lacks.items():
        print(f"Data set {name} {lack}")


def _seeds(made: Sequence[Plan], place: int) -> str:
    """The numbers of seeds that columns have at the look ``place``, e.g. ``3 or 5``."""
    looks = (column["looks"] for plan in made for column in plan.spec["columns"])
    counts = sorted({listed[place] for listed in looks if place < len(listed)})
    return " or ".join(map(str, counts))


def _sum(found: Sequence[Expected], *, at_most: bool) -> str:
    """``at most 12 to do, about 3 h of one job's time and 40 MB; 30 wait for ntu``."""
    ready = [one for one in found if not one.waits_for]
    said = f"{'at most ' if at_most and ready else ''}{len(ready):,} to do"
    known = [one for one in ready if one.seconds is not None]
    if known:
        total = duration(sum(one.seconds or 0.0 for one in known))
        some = "" if len(known) == len(ready) else f"{len(known):,} of them "
        said += f", {some}about {total} of one job's time"
        sized = [one.bytes for one in known if one.bytes is not None]
        said += f" and {sum(sized) / 1e6:,.0f} MB" if sized else ""
        said += f" ({', '.join(dict.fromkeys(one.source for one in known))})"
    waiting = [one for one in found if one.waits_for]
    names = ", ".join(dict.fromkeys(name for one in waiting for name in one.waits_for))
    return f"{said}; {len(waiting):,} wait for {names}" if waiting else said
