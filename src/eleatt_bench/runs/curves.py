"""The curves of a run, from its event files, while it runs and afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.util.tensor_util import make_ndarray

Curve = dict[int, float]
"""A value for each epoch, from 1, in the order of the epochs."""


class CurveReader:
    """Reads the event files in ``folder``, which need not be there yet, each line only once.

    ``tags`` name the curves. A run flushes them before an epoch counts as done. A continued run
    writes another file; what it logs of an epoch that was trained twice is that of the second time.
    """

    def __init__(self, folder: Path, tags: Sequence[str]) -> None:
        self._folder = folder
        self._loaders: dict[Path, EventFileLoader] = {}
        self._curves: dict[str, Curve] = {tag: {} for tag in tags}

    def read(self) -> dict[str, Curve]:
        """What was logged so far under each tag; an empty curve where nothing was."""
        for path in sorted(self._folder.glob("events.out.tfevents.*")):
            if path not in self._loaders:
                self._loaders[path] = EventFileLoader(str(path))
            for event in self._loaders[path].Load():
                for value in event.summary.value:
                    if value.tag in self._curves:
                        self._curves[value.tag][event.step] = float(make_ndarray(value.tensor))
        return {tag: dict(sorted(curve.items())) for tag, curve in self._curves.items()}
