"""The losses of a table's runs, by section, column and row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from eleatt_bench.runs.curves import Curve
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.tables.cells import PlannedRun
from eleatt_bench.tables.plan import Plan
from eleatt_bench.tables.records import find_records, key

LOSSES = {"train/loss": "training loss", "val/loss": "validation loss"}

Curves = Sequence[Curve]
"""The curves of the runs of one row, one per seed and fold."""
Panels = Mapping[str, Mapping[str, Mapping[str, Curves]]]
"""Curves by section and column, then by row, then by tag."""
Read = Callable[[RunFolder], Mapping[str, Curve]]
Floats = npt.NDArray[np.float64]


class Band(NamedTuple):
    """The mean of ``runs`` curves at each of the ``epochs`` that all of them have, and ± s."""

    runs: int
    epochs: list[int]
    mean: Floats
    low: Floats
    high: Floats


def panels(plan: Plan, read: Read) -> Panels:
    """The losses of all finished runs of ``plan``; ``read`` gives those of a run.

    Columns that show different numbers of the same runs share one panel.
    """
    records = find_records(plan)
    by_panel: dict[tuple[str, str], dict[str, list[PlannedRun]]] = {}
    for (section, row, column), runs in plan.by_cell.items():
        if runs[0].row == row:  # an ensemble has no curves of its own
            by_panel.setdefault((section, column), {})[row] = runs
    seen: set[tuple[str, ...]] = set()
    found = {}
    for (section, column), rows in by_panel.items():
        keys = [key(run) for of_row in rows.values() for run in of_row]
        if tuple(keys) in seen or not any(one in records for one in keys):
            continue
        seen.add(tuple(keys))
        title = ", ".join(filter(None, (section, column)))
        found[title] = {
            row: _losses(
                [read(RunFolder(plan.runs_dir, records[key(run)]["run_id"]))
                 for run in of_row if key(run) in records]
            )
            for row, of_row in rows.items()
        }  # fmt: skip
    return found


def _losses(curves: Sequence[Mapping[str, Curve]]) -> dict[str, Curves]:
    return {tag: [of_run.get(tag, {}) for of_run in curves] for tag in LOSSES}


def band(curves: Curves) -> Band:
    """Mean and sample standard deviation of ``curves``, up to the shortest one's end.

    The band never goes below the lowest curve, because a loss is not below zero.
    """
    logged = [curve for curve in curves if curve]
    epochs = sorted(set.intersection(*(set(curve) for curve in logged))) if logged else []
    if not epochs:
        nothing = np.empty(0)
        return Band(len(logged), [], nothing, nothing, nothing)
    values = np.array([[curve[epoch] for epoch in epochs] for curve in logged])
    mean = values.mean(axis=0)
    spread = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros_like(mean)
    low = np.maximum(mean - spread, values.min(axis=0))
    return Band(len(logged), epochs, mean, low, mean + spread)
