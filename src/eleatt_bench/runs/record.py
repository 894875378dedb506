"""The folder that a run leaves, and the record in it.

``<runs_dir>/<run_id>/`` holds ``config.yaml record.json log.txt checkpoints/ tensorboard/
predictions.h5``. Whoever works on a run holds the lock of its folder; the operating system frees
the lock when that process dies, so "running" can never be stale.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from eleatt_bench.errors import UserError, unknown
from eleatt_bench.files import write_text

Record = dict[str, Any]

_LOOK = 0.2  # seconds within which whoever only looks at a lock is done with it


class RunFolder:
    """One run's folder, existing or not."""

    def __init__(self, runs_dir: Path, run_id: str) -> None:
        self.run_id = run_id
        self.path = Path(runs_dir) / run_id
        self.config = self.path / "config.yaml"
        self.record = self.path / "record.json"
        self.log = self.path / "log.txt"
        self.predictions = self.path / "predictions.h5"
        self.checkpoints = self.path / "checkpoints"
        self.tensorboard = self.path / "tensorboard"

    @cached_property
    def _lock(self) -> FileLock:  # it costs more than all paths, and few need it
        return FileLock(self.path / ".lock")

    def read(self) -> Record | None:
        """The record, or None where there is none or it is not whole (the run is unfinished)."""
        try:
            record = json.loads(self.record.read_text(encoding="utf-8"))
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
        if self._locked():
            return "running"
        record = self.read()
        status = str(record["status"]) if record else "interrupted"
        return "interrupted" if status == "running" else status

    def _locked(self) -> bool:
        """Whether a living process works on this run; nothing is written to find out."""
        try:
            descriptor = os.open(self.path / ".lock", os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: lookers do not collide
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    @contextmanager
    def held(self, *, on_wait: str = "") -> Iterator[None]:
        """Hold the run's lock; if another process has it, print ``on_wait`` and wait."""
        try:
            self._acquire(_LOOK)
        except Timeout:
            if on_wait:
                print(on_wait, flush=True)
            self._acquire(-1)
        try:
            yield
        finally:
            self._lock.release()

    def _acquire(self, timeout: float) -> None:
        while True:
            self.path.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire(timeout=timeout, poll_interval=0.02 if timeout > 0 else 0.25)
            except FileNotFoundError:  # the folder was removed meanwhile
                continue
            return

    def remove(self) -> None:
        """Remove the folder with all that is in it.

        Raises:
            UserError: a living process works on the run.
        """
        try:
            self._acquire(_LOOK)
        except Timeout:
            raise UserError(f"{self.run_id} is running: stop it first") from None
        try:
            # Gone at once or not at all; what a killed process leaves of it, `runs gc` removes.
            doomed = self.path.with_name(f".{self.run_id}.{os.getpid()}.tmp")
            self.path.rename(doomed)
            shutil.rmtree(doomed)
        finally:
            self._lock.release()

    def clear(self) -> None:
        """Remove what an earlier training left; the lock stays."""
        self.record.unlink(missing_ok=True)  # first: without it nothing here counts as finished
        for path in (self.predictions, self.log, self.config, *self.path.glob("eval-*.json")):
            path.unlink(missing_ok=True)
        for folder in (self.checkpoints, self.tensorboard):
            shutil.rmtree(folder, ignore_errors=True)


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
