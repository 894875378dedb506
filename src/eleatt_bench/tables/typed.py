"""Whether the settings that a user typed make sense for all runs of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.literal import canonical, key_of
from eleatt_bench.runs.identity import is_place
from eleatt_bench.tables.spec import Place, Spec, sections_of


def check_user(override: str) -> None:
    """Refuse an override of what only the table decides.

    Raises:
        UserError: the override sets a table, its name, a seed or a fold.
    """
    key = key_of(override)
    if key == "table.name":
        raise UserError(f"{override}: a table's name is that of its file. Leave it out")
    if key == "table":
        raise UserError(f"{override}: a table is asked for by its name alone: eleatt-bench tables")
    if key == "seed":
        raise UserError("A table sets the seeds itself. Choose them: 'table.seeds=[0,1,2]'")
    if key == "data.fold":
        raise UserError("A table sets the folds itself, by column: leave data.fold out")


def check_rows(spec: Spec, user: Sequence[str]) -> None:
    """Refuse an override that a row or section sets to another value: it has no effect there.

    Raises:
        UserError: there is such an override.
    """
    typed = {key_of(override): override for override in user}
    for part in (*sections_of(spec), *spec["rows"]):
        for override in part["overrides"]:
            lost = typed.get(key_of(override))
            if lost is not None and canonical(lost) != canonical(override):
                raise UserError(
                    f"{lost}: table {spec['name']} sets it itself, {part['name']!r} has "
                    f"{override}. Leave it out, or make a table of your own of that one: "
                    "docs/tables.md"
                )


def check_apart(
    table: str,
    changes: Sequence[str],
    before: Mapping[Place, set[str]],
    now: Mapping[Place, set[str]],
) -> None:
    """Refuse ``changes`` that give two cells the same run which shared none ``before``.

    Such cells would be compared with themselves, or show the paper's value beside other runs.

    Raises:
        UserError: there are such cells.
    """
    for one, other in combinations(now, 2):
        if now[one].isdisjoint(now[other]) or not before[one].isdisjoint(before[other]):
            continue
        here, there = _apart(one, other), _apart(other, one)
        said = " ".join(change for change in changes if not is_place(key_of(change)))
        raise UserError(
            f"{said}: table {table} would then have the same runs in {here} as in {there}. "
            "Leave it out, or make a table of your own: docs/tables.md"
        )


def _apart(one: Place, other: Place) -> str:
    """What of the place ``one`` is not that of ``other``, in words."""
    kinds = zip(("section", "row", "column"), one, other, strict=True)
    return ", ".join(f"{kind} {its!r}" for kind, its, others in kinds if its != others)
