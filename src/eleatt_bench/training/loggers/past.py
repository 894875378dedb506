"""What was logged of a run so far, in a file of its own: ``loggers/epochs.jsonl``.

The stores of other programs cannot be cut back to the last checkpoint. From this file a logger
brings to its store the rows that the store lacks, and none twice.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from eleatt_bench.common.files import append, write_text
from eleatt_bench.runs.curves import CurveReader, logged
from eleatt_bench.runs.record import RunFolder


class LoggedRow(NamedTuple):
    """What is logged at once: ``values`` by their tags."""

    epoch: int  # from 1
    values: dict[str, float]


class Past:
    """The rows of a run's epochs, in order; after the end, a last row has the results."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder, self.path = folder, folder.loggers / "epochs.jsonl"
        self.rows: list[LoggedRow] = []

    def begin(self, epochs: int) -> None:
        """Keep the rows of the first ``epochs``, those of the checkpoint, and drop all others."""
        self.rows = self.known(epochs)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_text(self.path, "".join(map(_as_line, self.rows)))

    def known(self, epochs: int) -> list[LoggedRow]:
        """The rows of the first ``epochs``; nothing is written.

        Rows that the file lacks are taken from the run's other files, as far as these know them.
        """
        known = {row.epoch: row.values for row in self._read()} if epochs else {}
        if any(epoch not in known for epoch in range(1, epochs + 1)):
            known = self._elsewhere() | known
        return [LoggedRow(n, known[n]) for n in range(1, epochs + 1) if n in known]

    def add(self, epoch: int, values: Mapping[str, float]) -> LoggedRow:
        """Add one more row, which is on disk when this returns."""
        row = LoggedRow(epoch, {tag: float(value) for tag, value in values.items()})
        append(self.path, _as_line(row))
        self.rows.append(row)
        return row

    def _read(self) -> list[LoggedRow]:
        """The rows of epochs, up to the first line that is no row: a kill may have cut it."""
        rows: list[LoggedRow] = []
        try:
            lines = self.path.read_text("utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return rows
        for line in lines:
            row = _parsed(line)
            if row is None:
                break
            if not any(tag.startswith("result/") for tag in row.values):
                rows.append(row)
        return rows

    def _elsewhere(self) -> dict[int, dict[str, float]]:
        """The values of each epoch in epochs.csv, which is exact, and else in the event files."""
        curves = logged(self._folder.tensorboard) | CurveReader(self._folder).read()
        found: dict[int, dict[str, float]] = {}
        for name, curve in curves.items():
            tag = {"lr": "optimizer/lr"}.get(name, name)
            if "/" in tag and not tag.startswith("result/"):
                for epoch, value in curve.items():
                    found.setdefault(epoch, {})[tag] = value
        return found


def _as_line(row: LoggedRow) -> str:
    # JSON has no NaN: null, as in other files of a run.
    values = {tag: value if math.isfinite(value) else None for tag, value in row.values.items()}
    return json.dumps({"epoch": row.epoch, **values}) + "\n"


def _parsed(line: str) -> LoggedRow | None:
    try:
        found: Any = json.loads(line)
        epoch = found.pop("epoch")
        values = {tag: math.nan if v is None else float(v) for tag, v in found.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return LoggedRow(epoch, values) if type(epoch) is int and epoch > 0 else None
