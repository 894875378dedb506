"""Whether the rows that a table compares or joins are tested on the same samples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.literal import literal
from eleatt_bench.tables.cells import PlannedRun
from eleatt_bench.tables.spec import Place, Spec, sections_of

_SETTINGS = ("name", "protocol", "fold", "limit")
"""Those of data that decide which samples a run is tested on, and what their labels are.

The digest is none of them: features of the same videos differ from backbone to backbone.
"""


def check_comparable(spec: Spec, runs: Iterable[PlannedRun]) -> None:
    """Refuse claims and ensembles of rows whose ``runs`` are tested on other samples or labels.

    Runs of the same seed and fold are compared.

    Raises:
        UserError: there is such a claim or ensemble.
    """
    data: dict[Place, list[Mapping[str, Any]]] = defaultdict(list)
    for run in runs:
        data[run.section, run.row, run.column].append(run.identity["data"])
    for what, first, other in _compared(spec):
        for ours, theirs in zip(data[first], data[other], strict=True):
            if key := _difference(ours, theirs):
                said = [
                    f"row {row!r} has data.{key}={literal(one.get(key))}"
                    for (_, row, _), one in ((first, ours), (other, theirs))
                ]
                raise UserError(
                    f"Table {spec['name']}, {what}: in column {first[2]}, {said[0]} and {said[1]}, "
                    "so they are not tested on the same samples. Give both the same"
                )


def _compared(spec: Spec) -> Iterator[tuple[str, Place, Place]]:
    """Every two rows that are compared or joined, and what does so; a member for an ensemble."""
    members = {row["name"]: row["ensemble"] or [row["name"]] for row in spec["rows"]}
    for section in sections_of(spec):
        for column in spec["columns"]:
            where, name = section["name"], column["name"]
            for row, (first, *others) in members.items():
                for other in others:
                    yield f"ensemble {row}", (where, first, name), (where, other, name)
            for claim in spec["claims"]:
                if not claim["columns"] or name in claim["columns"]:
                    better, than = (members[claim[row]][0] for row in ("better", "than"))
                    what = f"claim {claim['better']} > {claim['than']}"
                    yield what, (where, better, name), (where, than, name)


def _difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str | None:
    """The first of `_SETTINGS` by which two runs are tested on other samples."""
    for key in _SETTINGS:
        if ours.get(key) != theirs.get(key) and not (key == "name" and _same(ours, theirs)):
            return key
    return None


def _same(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    """Whether two data sets have the same samples."""
    from eleatt_bench.data.datasets import entry  # slow, and seldom needed

    one, other = entry(ours["name"]), entry(theirs["name"])
    return (one.samples_of or one.name) == (other.samples_of or other.name)
