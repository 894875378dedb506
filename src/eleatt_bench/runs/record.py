"""The folder of a run, and the record in it.

``<runs_dir>/<run_id>/`` holds ``config.yaml record.json epochs.csv log.txt checkpoints/
tensorboard/ predictions.h5`` and what other commands add (`eleatt_bench.runs.belongings`). A
process that works on a run holds the lock of its folder. The operating system frees the lock when
that process dies, so "running" can never be stale.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from errno import ENOTEMPTY
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any

from eleatt_bench.common.errors import HeldElsewhereError, UserError, reason, unknown
from eleatt_bench.common.files import read_bounded, temporary_path, write_text
from eleatt_bench.common.text import printable
from eleatt_bench.runs import belongings, form
from eleatt_bench.runs.lock import holder, is_free, is_locked, kept, try_lock, unlock

Record = dict[str, Any]

RECORD, EPOCHS, PREDICTIONS, LOCK = "record.json", "epochs.csv", "predictions.h5", ".lock"

CONTINUED = ("last.ckpt", "previous.ckpt")
"""The checkpoints that an unfinished run continues from: the first of them that is whole."""

STATUSES = (*form.STATES, "interrupted", "damaged", "unknown")
"""The statuses of a run that was begun: those of its record, and what may have become of it."""

_LOOK = 0.2  # seconds; a process that only looks at a lock frees it sooner


class RunFolder:
    """One run's folder, existing or not."""

    def __init__(self, runs_dir: Path, run_id: str) -> None:
        self.run_id = run_id
        self._runs_dir = runs_dir

    @cached_property
    def path(self) -> Path:
        return self._runs_dir / self.run_id

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def record(self) -> Path:
        return self.path / RECORD

    @property
    def epochs(self) -> Path:
        return self.path / EPOCHS

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def predictions(self) -> Path:
        return self.path / PREDICTIONS

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def profiler(self) -> Path:
        return self.path / "profiler"

    @property
    def loggers(self) -> Path:
        """The folder of what loggers other than TensorBoard leave."""
        return self.path / "loggers"

    @property
    def _lock(self) -> Path:
        return self.path / LOCK

    def read(self) -> Record | None:
        """The record, once it is checked; None if there is none or it is damaged."""
        return self._read()[0]

    def damage(self) -> str | None:
        """What is wrong with the record and what helps, in a sentence; None if nothing is wrong."""
        return self._read()[1]

    def _read(self) -> tuple[Record | None, str | None]:
        return self._parsed(self.record, lambda content: form.parse_record(content, self.run_id))

    def read_config(self) -> tuple[dict[str, Any] | None, str | None]:
        """The configuration or None, and what is wrong with the file if it is damaged."""
        return self._parsed(self.config, form.parse_config)

    def evaluation(self, checkpoint: str) -> Path:
        """The file that ``eleatt-bench eval`` writes about a checkpoint."""
        return self.path / f"eval-{checkpoint}.json"

    def read_evaluation(self, checkpoint: str) -> dict[str, Any] | None:
        """The result of ``eleatt-bench eval``; None if there is none or its file is damaged."""
        return self._parsed(self.evaluation(checkpoint), form.parse_evaluation)[0]

    def _parsed(
        self, path: Path, parse: Callable[[bytes], dict[str, Any]]
    ) -> tuple[dict[str, Any] | None, str | None]:
        try:
            return parse(read_bounded(path, form.MOST)), None
        except (FileNotFoundError, NotADirectoryError):
            return None, None
        except (OSError, ValueError) as error:
            return None, (
                f"{path} is damaged ({reason(error)}). Train the run anew with force=true, or "
                f"remove it: eleatt-bench runs rm {self.run_id}"
            )

    def write(self, record: Mapping[str, Any]) -> None:
        """Replace the record, atomically."""
        write_text(self.record, as_text(record))

    def status(self, known: Mapping[str, Any] | None = None) -> str:
        """One of `STATUSES`, or ``not started``.

        ``unknown`` if the file system cannot tell whether an unfinished run is running. ``known``
        is the record or its summary, if the caller has one; then the record is not read again.
        """
        if known is None and not self.path.is_dir():
            return "not started"
        if (
            known is not None
            and known["status"] != "running"
            and is_free(f"{self._runs_dir}/{self.run_id}/{LOCK}")
        ):
            return str(known["status"])
        locked = self.is_locked()
        if locked:
            return "running"
        record, damage = self._read() if known is None else (known, None)
        if damage:
            return "damaged"
        status = "interrupted" if record is None else str(record["status"])
        if status in ("interrupted", "running"):
            return "unknown" if locked is None else "interrupted"
        return status

    def is_finished(self) -> bool:
        """Whether the run is finished, and no process works on it."""
        return self.status() == "finished"

    def mark_pruned(self) -> None:
        """Record that the run was ended because others were better, unless it is done or held."""
        with suppress(HeldElsewhereError), self.held(wait=False):
            record = self.read()
            if record is not None and not form.says_finished(record):
                self.write({**record, "status": "pruned"})

    def is_locked(self) -> bool | None:
        """Whether a living process works on this run; this writes nothing.

        None if the file system has no locks, or the lock may not be read.
        """
        return is_locked(self._lock)

    @contextmanager
    def held(self, *, on_wait: str = "", wait: bool = True) -> Iterator[None]:
        """Hold the run's lock; if another process has it, print ``on_wait`` and who, and wait.

        Raises:
            HeldElsewhereError: another process has it, and ``wait`` is false.
        """
        lock = try_lock(self._lock, _LOOK)
        if lock is None:
            if not wait:
                raise HeldElsewhereError(f"Another process is at {self.run_id}{self._holder()}")
            if on_wait:
                print(f"{on_wait}{self._holder()}", flush=True)
            lock = try_lock(self._lock, inf)
            assert lock is not None
        try:
            with kept(self._lock, lock):
                yield
        finally:
            unlock(lock)

    def _holder(self) -> str:
        name = holder(self._lock)
        return f" ({printable(name)})" if name else ""

    def remove(self) -> list[str]:
        """Remove the run, and its folder if nothing else is in it; sentences about what stays.

        If the run is a link, only the link is removed.

        Raises:
            UserError: a living process works on the run.
        """
        if self.path.is_symlink() and not self.is_locked():
            sentence = belongings.left_behind(self.path)
            self.path.unlink()
            return [sentence]
        lock = try_lock(self._lock, _LOOK)
        if lock is None:
            raise UserError(f"{self.run_id} is running: stop it first")
        try:
            own, others = belongings.contents(self.path, belongings.EVERY)
            if others or any(path.is_symlink() for path in own):
                # The record first: without it nothing here counts as finished.
                own.sort(key=lambda path: path != self.record)
                said = belongings.remove(own, self.path)
                if others:
                    left = ", ".join(str(path.relative_to(self.path)) for path in others)
                    said.append(f"{self.path} stays, for no run wrote what is left in it: {left}")
                return said
            # Renamed first, so that the run goes at once or not at all. If this process is killed
            # then, `runs gc` removes the rest.
            doomed = temporary_path(self.path)
            self.path.rename(doomed)
            _remove(doomed)
            return []
        finally:
            unlock(lock)

    def clear(self) -> list[str]:
        """Remove what an earlier training left, without the lock; sentences about what stays."""
        self.record.unlink(missing_ok=True)  # first: without it nothing here counts as finished
        own, _ = belongings.contents(self.path, belongings.TRAINING)
        return belongings.remove(own, self.path)


def epoch_of(record: Mapping[str, Any], checkpoint: str | None = None) -> int | None:
    """The epoch, from 1, of the weights in ``checkpoint`` ("best" or "last"), else of the tested.

    None if the record does not tell, such as that of a run that did not finish.
    """
    chosen = checkpoint or record.get("selection", "best")
    return record.get("epochs" if chosen == "last" else "best_epoch")


def as_text(record: Mapping[str, Any]) -> str:
    """The content of a record's file."""
    return json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _remove(folder: Path) -> None:
    while True:
        try:
            return shutil.rmtree(folder)
        except OSError as error:
            if error.errno != ENOTEMPTY:  # a process that waits may have made the lock anew in it
                raise


def all_runs(runs_dir: Path) -> list[RunFolder]:
    """Every run below ``runs_dir`` that has a record, by name."""
    # For thousands of runs: a Path for each takes longer than all the rest.
    found = [n for n in run_names(runs_dir) if os.path.exists(f"{runs_dir}/{n}/{RECORD}")]  # noqa: PTH110
    return [RunFolder(runs_dir, name) for name in found]


def record_of(folder: RunFolder) -> Record:
    """The record of a run.

    Raises:
        UserError: the run has none, or a damaged one.
    """
    record = folder.read()
    if record is None:
        raise UserError(
            folder.damage()
            or f"Run {folder.run_id} has no record. Train it again: it will continue"
        )
    return record


def check_finished(folder: RunFolder) -> None:
    """Refuse a run that was not tested yet: nothing says which of its weights count.

    Raises:
        UserError: the run is not finished, or as for `record_of`; the message says what helps.
    """
    record = record_of(folder)
    if not form.says_finished(record):
        raise UserError(
            f"{folder.run_id} is {folder.status()}, and only finished runs are tested: "
            f"{record['command']} continues it"
        )


def run_names(runs_dir: Path) -> list[str]:
    """Possible names of runs, sorted: everything in ``runs_dir`` that is not hidden."""
    try:
        return [name for name in sorted(os.listdir(runs_dir)) if name[0] != "."]  # noqa: PTH208
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def find_run(runs_dir: Path, name: str) -> RunFolder:
    """The run called ``name``: its whole id, or a beginning of the id or of its hash.

    A beginning that ends where a word of the id ends wins: ``digits-gru-seed1`` means seed 1, even
    if there are seeds 10 to 19.

    Raises:
        UserError: no run, or several, answer to that name.
    """
    runs = {run.run_id: run for run in all_runs(runs_dir)}
    if name in runs:
        return runs[name]
    if not runs:
        raise UserError(f"There are no runs in {runs_dir}. Start one: eleatt-bench train")
    hits = [i for i in runs if i.startswith(name) or i.rsplit("-", 1)[-1].startswith(name)]
    hits = [i for i in hits if i.startswith(f"{name}-")] or hits
    if len(hits) == 1 and name:
        return runs[hits[0]]
    if len(hits) > 1 and name:
        raise UserError(f"{name!r} is the beginning of {len(hits)} runs: {', '.join(hits)}")
    raise unknown("run", name, runs)
