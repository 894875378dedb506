"""The curves of a run, while it runs and afterwards: the lines of its epochs.csv.

Runs of earlier versions have no epochs.csv; their curves are in TensorBoard's event files. The
curves of gradients and gates are in the event files for all runs.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from eleatt_bench.common.cache import Cache, fingerprint
from eleatt_bench.runs.form import says_finished
from eleatt_bench.runs.record import RunFolder

Curve = dict[int, float]
"""A value for each epoch, from 1, in the order of the epochs."""

COLUMNS = (
    "epoch", "lr", "train/loss", "train/accuracy", "val/loss", "val/accuracy", "seconds"
)  # fmt: skip
HEADER = ",".join(COLUMNS) + "\n"

_LINE = re.compile(rb"(\d{1,9})" + rb",([-+.\deE]*)" * (len(COLUMNS) - 1))
_COLUMN_OF = {"optimizer/lr": "lr"}  # of a tag with another name
_MOST = 1 << 26  # bytes of a file: half a million epochs


def as_line(epoch: int, values: Mapping[str, float]) -> str:
    """The line of ``epoch``; a value that is unknown or not finite stays empty."""
    found = [float(values.get(name, math.nan)) for name in COLUMNS[1:]]
    return ",".join([str(epoch), *(repr(x) if math.isfinite(x) else "" for x in found)]) + "\n"


class CurveReader:
    """Reads the curves of the run in ``folder``, each line only once.

    ``folder`` need not exist yet. The file counts up to the first line that is not that of the next
    epoch. A line without its end is still being written.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._begin(None)

    def _begin(self, file: int | None) -> None:
        self._file, self._offset, self._wrong = file, 0, ""
        self._curves: dict[str, Curve] = {name: {} for name in COLUMNS[1:]}
        self.epochs = 0
        """How many lines were read."""

    def read(self) -> dict[str, Curve]:
        """The curves so far, by column; without an epochs.csv, those in the event files."""
        try:
            with self._folder.epochs.open("rb") as file:
                found = os.fstat(file.fileno())
                if found.st_ino != self._file or found.st_size < self._offset:  # replaced
                    self._begin(found.st_ino)
                file.seek(self._offset)
                content = file.read(_MOST - self._offset)
        except (FileNotFoundError, NotADirectoryError):
            self._begin(None)
            events = logged(self._folder.tensorboard)
            return {name: events.get(name, {}) for name in self._curves}
        self._wrong = "is larger than any is" if found.st_size > _MOST else self._take(content)
        return {name: dict(curve) for name, curve in self._curves.items()}

    def _take(self, content: bytes) -> str:
        """Read the lines in ``content``; what is wrong with the first wrong line, or nothing."""
        for line in content.split(b"\n")[:-1]:
            if self._offset:
                match = _LINE.fullmatch(line)
                if match is None or int(match[1]) != self.epochs + 1:
                    return f"has no epoch {self.epochs + 1} in line {self.epochs + 2}"
                try:
                    values = [float(field) if field else None for field in match.groups()[1:]]
                except ValueError:
                    values = [math.nan]
                if not all(value is None or math.isfinite(value) for value in values):
                    return f"has something else than numbers in line {self.epochs + 2}"
                self.epochs += 1
                for curve, value in zip(self._curves.values(), values, strict=True):
                    if value is not None:
                        curve[self.epochs] = value
            elif line + b"\n" != HEADER.encode():
                return f"does not begin with {HEADER.strip()}"
            self._offset += len(line) + 1
        return ""

    def wrong(self) -> str:
        """What is wrong with the file, as far as it was read; empty if nothing is.

        The number of epochs of a finished run must be that of its record. A missing file is not
        wrong.
        """
        wrong, record = self._wrong, self._folder.read()
        if not wrong and self._file is not None and says_finished(record):
            epochs = record.get("epochs")
            wrong = f"holds {self.epochs} of {epochs} epochs" if epochs != self.epochs else ""
        return wrong

    def damage(self) -> str:
        """A sentence about what is `wrong` with the file; empty if nothing is."""
        if not (wrong := self.wrong()):
            return ""
        return (
            f"{self._folder.epochs} is damaged: it {wrong}. The curves end there; to have them "
            "whole, train the run again with force=true"
        )


def logged(folder: Path) -> dict[str, Curve]:
    """All curves in the event files in ``folder``, by column of epochs.csv or else by tag.

    TensorBoard reads the files, 200 epochs in 50 ms. The result is kept as long as the files stay
    the same. If an epoch was trained twice, the second time counts.
    """
    files = [(path, path.stat()) for path in sorted(folder.glob("events.out.tfevents.*"))]
    if not files:
        return {}
    where = str(folder.resolve())
    states = [[path.name, found.st_size, found.st_mtime_ns] for path, found in files]
    # Each file of the cache is for few runs, because many processes may write at once. The number
    # of files is bounded, and so is their size.
    slot = hashlib.sha256(where.encode()).hexdigest()[:3]
    cache = Cache(f"curves/{slot}", _reader(), most=2)
    kept = cache.find([where, states], lambda: _from_events(path for path, _ in files))
    cache.write()
    return {
        _COLUMN_OF.get(tag, tag): dict(
            zip(epochs, (math.nan if v is None else v for v in values), strict=True)
        )
        for tag, (epochs, values) in kept.items()
    }


def _from_events(paths: Iterable[Path]) -> dict[str, Any]:
    """By tag, its epochs and values; a value that is not finite, as JSON holds none, is None."""
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    curves: dict[str, dict[int, float | None]] = {}
    for path in paths:
        for event in LegacyEventFileLoader(str(path)).Load():  # up to the first damaged one
            if event.session_log.status == event.session_log.START:  # a process began
                for curve in curves.values():
                    for epoch in [epoch for epoch in curve if epoch >= event.step]:
                        del curve[epoch]
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    number = value.simple_value
                    curve = curves.setdefault(value.tag, {})
                    curve[event.step] = number if math.isfinite(number) else None
    return {
        tag: [sorted(curve), [curve[epoch] for epoch in sorted(curve)]]
        for tag, curve in curves.items()
    }


@lru_cache(maxsize=1)
def _reader() -> str:
    from importlib.metadata import version

    return fingerprint([Path(__file__)], version("tensorboard"))
