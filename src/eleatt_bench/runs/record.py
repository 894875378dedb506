"""The folder that a run leaves, and the record in it.

``<runs_dir>/<run_id>/`` holds ``config.yaml record.json epochs.csv log.txt checkpoints/
tensorboard/ predictions.h5``. Whoever works on a run holds the lock of its folder; the operating
system frees the lock when that process dies, so "running" can never be stale.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from errno import ENOTEMPTY
from math import inf
from pathlib import Path
from typing import Any

from eleatt_bench.common.errors import HeldElsewhereError, UserError, unknown
from eleatt_bench.common.files import write_text
from eleatt_bench.runs.lock import is_locked, try_lock, unlock

Record = dict[str, Any]

_LOOK = 0.2  # seconds within which whoever only looks at a lock is done with it


class RunFolder:
    """One run's folder, existing or not."""

    def __init__(self, runs_dir: Path, run_id: str) -> None:
        self.run_id = run_id
        self.path = runs_dir / run_id

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def record(self) -> Path:
        return self.path / "record.json"

    @property
    def epochs(self) -> Path:
        return self.path / "epochs.csv"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def predictions(self) -> Path:
        return self.path / "predictions.h5"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def _lock(self) -> Path:
        return self.path / ".lock"

    def read(self) -> Record | None:
        """The record, or None where there is none or it is not whole (the run is unfinished)."""
        try:
            record = json.loads(self.record.read_bytes())
        except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError, UnicodeDecodeError):
            return None
        return record if isinstance(record, dict) and "status" in record else None

    def write(self, record: Mapping[str, Any]) -> None:
        """Replace the record, atomically."""
        text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False)
        write_text(self.record, text + "\n")

    def status(self) -> str:
        """``finished``, ``failed``, ``running``, ``interrupted``, or ``not started``."""
        if not self.path.is_dir():
            return "not started"
        if self.is_locked():
            return "running"
        record = self.read()
        status = str(record["status"]) if record else "interrupted"
        return "interrupted" if status == "running" else status

    def is_locked(self) -> bool:
        """Whether a living process works on this run; nothing is written to find out."""
        return is_locked(self._lock)

    @contextmanager
    def held(self, *, on_wait: str = "", wait: bool = True) -> Iterator[None]:
        """Hold the run's lock; if another process has it, print ``on_wait`` and wait.

        Raises:
            HeldElsewhereError: another process has it, and ``wait`` is false.
        """
        lock = try_lock(self._lock, _LOOK)
        if lock is None:
            if not wait:
                raise HeldElsewhereError(f"Another process is at {self.run_id}")
            if on_wait:
                print(on_wait, flush=True)
            lock = try_lock(self._lock, inf)
            assert lock is not None
        try:
            yield
        finally:
            unlock(lock)

    def remove(self) -> None:
        """Remove the folder with all that is in it.

        Raises:
            UserError: a living process works on the run.
        """
        lock = try_lock(self._lock, _LOOK)
        if lock is None:
            raise UserError(f"{self.run_id} is running: stop it first")
        try:
            # Gone at once or not at all; what a killed process leaves of it, `runs gc` removes.
            doomed = self.path.with_name(f".{self.run_id}.{os.getpid()}.tmp")
            self.path.rename(doomed)
            _remove(doomed)
        finally:
            unlock(lock)

    def clear(self) -> None:
        """Remove what an earlier training left; the lock stays."""
        self.record.unlink(missing_ok=True)  # first: without it nothing here counts as finished
        files = (self.predictions, self.epochs, self.log, self.config)
        for path in (*files, *self.path.glob("eval-*.json")):
            path.unlink(missing_ok=True)
        for folder in (self.checkpoints, self.tensorboard):
            shutil.rmtree(folder, ignore_errors=True)


def _remove(folder: Path) -> None:
    while True:
        try:
            return shutil.rmtree(folder)
        except OSError as error:
            if error.errno != ENOTEMPTY:  # someone about to wait for the lock made it anew in there
                raise


def all_runs(runs_dir: Path) -> list[RunFolder]:
    """Every run below ``runs_dir`` that has a record, by name."""
    names = sorted(path.parent.name for path in Path(runs_dir).glob("*/record.json"))
    return [RunFolder(runs_dir, name) for name in names if not name.startswith(".")]


def find_run(runs_dir: Path, name: str) -> RunFolder:
    """The run called ``name``: its whole id, or a beginning of the id or of its hash.

    Raises:
        UserError: no run, or several, answer to that name.
    """
    runs = {run.run_id: run for run in all_runs(runs_dir)}
    if name in runs:
        return runs[name]
    if not runs:
        raise UserError(f"There are no runs in {runs_dir}. Start one: eleatt-bench train")
    hits = [i for i in runs if i.startswith(name) or i.rsplit("-", 1)[-1].startswith(name)]
    if len(hits) == 1 and name:
        return runs[hits[0]]
    if len(hits) > 1 and name:
        raise UserError(f"{name!r} is the beginning of {len(hits)} runs: {', '.join(hits)}")
    raise unknown("run", name, runs)
