"""Runs in Python: their settings, results, data and networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from eleatt_bench.api.frames import as_frame
from eleatt_bench.common import locations
from eleatt_bench.common.errors import UserError
from eleatt_bench.common.locations import folder_at
from eleatt_bench.runs import values
from eleatt_bench.runs.curves import COLUMNS, CurveReader
from eleatt_bench.runs.predictions import Predictions, read_predictions
from eleatt_bench.runs.record import find_run

if TYPE_CHECKING:
    from pandas import DataFrame

    from eleatt_bench.api.networks import RunData
    from eleatt_bench.training.classifier import SequenceClassifier

Folder = str | Path
"""Where runs or data lie."""


class LoadedRun:
    """One run: ``id``, ``path``, and what is in its folder."""

    def __init__(self, run: values.Run) -> None:
        self._folder, self._values = run.folder, run

    @property
    def id(self) -> str:
        return self._folder.run_id

    @property
    def path(self) -> Path:
        return self._folder.path

    @property
    def status(self) -> str:
        """The word finished, running, interrupted, failed, pruned, damaged or unknown.

        The status, like the numbers of the run, is read once and then stays.
        """
        return self._values.status

    @property
    def record(self) -> dict[str, Any]:
        """All of record.json, which docs/file-formats.md describes. Empty if damaged."""
        return self._values.record

    @property
    def config(self) -> dict[str, Any]:
        """The settings, section by section, e.g. ``run.config["model"]["hidden_size"]``.

        Raises:
            UserError: config.yaml is gone or damaged.
        """
        config, damage = self._folder.read_config()
        if config is None:
            raise UserError(damage or f"{self._folder.config} is gone")
        return config

    @property
    def metrics(self) -> dict[str, float]:
        """``test/accuracy``, ``val/loss`` and so on; accuracies in 0 … 1. Empty if unfinished."""
        return {key: value for key, value in self._values.results.items() if "/" in key}

    def __getitem__(self, key: str) -> Any:
        """The value of ``key``, one of the keys of ``eleatt-bench runs list``, e.g. ``model.gate``.

        Raises:
            KeyError: the run has no such key.
        """
        if not self._values.has(key):
            raise KeyError(key)
        return self._values.get(key)

    def __contains__(self, key: str) -> bool:
        return self._values.has(key)

    __iter__ = None  # or Python would look for the keys 0, 1, 2 …

    def curves(self) -> dict[str, npt.NDArray[np.float64]]:
        """The columns of epochs.csv by name, ``epoch`` first: a value per epoch, NaN if unknown.

        ``pandas.DataFrame(run.curves())`` makes a frame of them.
        """
        found = CurveReader(self._folder).read()
        epochs = sorted({epoch for curve in found.values() for epoch in curve})
        columns = {
            name: np.array([found[name].get(epoch, np.nan) for epoch in epochs])
            for name in COLUMNS[1:]
        }
        return {"epoch": np.array(epochs, dtype=np.float64), **columns}

    def predictions(self) -> Predictions:
        """The predictions for the N test samples, with C classes.

        They have ``names`` (N,), ``labels`` (N,), ``logits`` (N, C), ``probabilities`` (N, C),
        ``predicted`` (N,), ``right`` (N,), ``confusion`` (C, C) and ``class_names``.

        Raises:
            UserError: there are none, or they are damaged.
        """
        found = read_predictions(self._folder)
        if found is None:
            raise UserError(f"{self.id} has no predictions: it is {self.status}")
        names: npt.NDArray[Any] = np.char.decode(found.names, "utf-8")
        return replace(found, names=names)

    def confusion(self) -> npt.NDArray[np.int64]:
        """How many test samples of class i were taken for class j: entry (i, j) of (C, C).

        Raises:
            UserError: there are no predictions, or they are damaged.
        """
        return self.predictions().confusion

    def network(
        self, checkpoint: str | None = None, data_dir: Folder | None = None
    ) -> SequenceClassifier:
        """The trained network on the CPU; ``network(inputs, lengths)`` gives logits (B, C).

        ``inputs`` (B, T, D) are zero-padded and transformed as for the test: `data` gives them so.
        ``lengths`` (B,) are integers. ``checkpoint`` is "best" or "last"; without it the weights
        are those that were tested.

        Raises:
            UserError: the run was trained by another recipe or on other data, or the checkpoint
                is missing.
        """
        from eleatt_bench.api.networks import network

        return network(self._folder, checkpoint, _folder(data_dir, locations.data_dir))

    def data(self, data_dir: Folder | None = None) -> RunData:
        """The data of the run, with its split and its transforms.

        Raises:
            UserError: the data are not prepared, or are not those that the run was trained on.
        """
        from eleatt_bench.api.networks import RunData

        return RunData(self._folder, _folder(data_dir, locations.data_dir))

    def __repr__(self) -> str:
        accuracy = self.metrics.get("test/accuracy")
        end = "" if accuracy is None else f", test accuracy {accuracy:.2%}"
        return f"<Run {self.id}: {self.status}{end}>"


class Runs(Sequence[LoadedRun]):
    """Several runs, in the order of their names."""

    def __init__(self, runs: Iterable[LoadedRun]) -> None:
        self._runs = tuple(runs)

    @overload
    def __getitem__(self, index: int) -> LoadedRun: ...
    @overload
    def __getitem__(self, index: slice) -> Runs: ...
    def __getitem__(self, index: int | slice) -> LoadedRun | Runs:
        return Runs(self._runs[index]) if isinstance(index, slice) else self._runs[index]

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[LoadedRun]:
        return iter(self._runs)

    def frame(self) -> DataFrame:
        """A row for each run, a column for each setting and number: those of ``runs list``.

        Raises:
            UserError: pandas is not installed.
        """
        rows = [run._values.values for run in self]
        return as_frame(rows, ("run", "status")).set_index("run", drop=False).rename_axis(None)

    def __repr__(self) -> str:
        return f"<{len(self):,} runs>"


def load_runs(runs_dir: Folder | None = None, *filters: str, **equal: Any) -> Runs:
    """The runs below ``runs_dir`` (``ELEATT_RUNS``, or ``runs``) that agree with all filters.

    A filter is a text as for ``eleatt-bench runs list``, ``"model.gate=sigmoid"``, or a keyword:
    ``seed=0``, ``**{"test/accuracy_clean": None}``.

    Raises:
        UserError: there is no such folder, a text is no filter, or no run has one of the keys.
    """
    folder = _folder(runs_dir, locations.runs_dir)
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}. Start a run: eleatt-bench train")
    found = values.equal(values.select(values.read_runs(folder), filters), equal)
    return Runs(map(LoadedRun, found))


def load_run(name: str, runs_dir: Folder | None = None) -> LoadedRun:
    """The run called ``name``: its whole id, or a beginning of the id or of its hash.

    Raises:
        UserError: no run, or several, answer to that name.
    """
    folder = _folder(runs_dir, locations.runs_dir)
    return LoadedRun(values.Run(find_run(folder, name)))


def _folder(given: Folder | None, usual: Callable[[], Path]) -> Path:
    return usual() if given is None else folder_at(str(given))
