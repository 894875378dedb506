"""The validation curve of a run, while it runs: what its event files say so far."""

from __future__ import annotations

from pathlib import Path

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.util.tensor_util import make_ndarray

TAG = "val/accuracy"


class Curve:
    """Reads the event files in ``folder``, which need not be there yet, each only once.

    A run flushes them before an epoch counts as done. A continued run writes another file, and
    trains an epoch that the first had written but not saved again, to the same numbers.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaders: dict[Path, EventFileLoader] = {}
        self._values: dict[int, float] = {}

    def read(self) -> dict[int, float]:
        """The validation accuracy (0 to 1) by epoch, from 1, in the order of the epochs."""
        for path in sorted(self._folder.glob("events.out.tfevents.*")):
            if path not in self._loaders:
                self._loaders[path] = EventFileLoader(str(path))
            for event in self._loaders[path].Load():
                for value in event.summary.value:
                    if value.tag == TAG:
                        self._values[event.step] = float(make_ndarray(value.tensor))
        return dict(sorted(self._values.items()))
