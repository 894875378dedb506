"""A search as it goes: trials are taken, run, watched, pruned and told."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eleatt_bench.common.errors import HeldElsewhereError
from eleatt_bench.common.text import duration
from eleatt_bench.config.composer import Composer
from eleatt_bench.launch.overview import last_line
from eleatt_bench.launch.pool import POLL, Pool
from eleatt_bench.launch.process import Job
from eleatt_bench.runs.curves import Curve, CurveReader
from eleatt_bench.runs.record import Record, RunFolder
from eleatt_bench.sweeps.space import Space
from eleatt_bench.sweeps.trials import Trials
from eleatt_bench.training.folder import run_folder

if TYPE_CHECKING:
    from optuna.trial import Trial

_LOOK = 0.5  # seconds from one look at the curves to the next


@dataclass
class _Running:
    """A trial at work."""

    trial: Trial
    folder: RunFolder
    curves: CurveReader
    began: float
    pruned: int | None = None  # after which epoch it was told to end

    def curve(self) -> Curve:
        """The validation accuracy by epoch, so far."""
        return self.curves.read()["val/accuracy"]


class Search:
    """Runs trials in ``pool`` until there are ``most``, those of other processes included."""

    def __init__(
        self,
        space: Space,
        trials: Trials,
        pool: Pool,
        *,
        most: int,
        warm_ok: bool,
        composer: Composer,
        say: Callable[[str], None],
    ) -> None:
        self._space, self._trials, self._pool = space, trials, pool
        self._most, self._warm_ok, self._composer, self._say = most, warm_ok, composer, say
        self._running: dict[Job, _Running] = {}
        self._waiting: dict[Job, _Running] = {}  # for whoever is at the same run

    def go(self) -> None:
        """Return when nothing is left that this process could do."""
        left, looked = True, -math.inf
        while left or self._running or self._waiting:
            ended = list(self._pool.ended())
            for job, returncode in ended:
                self._end(self._running.pop(job), job, returncode)
            if ended or time.monotonic() - looked > _LOOK:
                self._look_at_waiting()
                while self._pool.has_room and (left := self._begin()):
                    pass
                self._look()
                looked = time.monotonic()
            time.sleep(POLL)

    def _begin(self) -> bool:
        """Take a trial and start its run, unless that is finished or already bad enough to prune.

        False where there is no trial left to take.
        """
        trial = self._trials.take(self._most)
        if trial is None:
            return False
        with self._trials.readable():
            overrides = self._space.overrides(trial)
        folder, _, _ = run_folder(self._composer.config(overrides), self._composer)
        self._trials.note_run(trial, folder.run_id)
        one = _Running(trial, folder, CurveReader(folder), time.monotonic())
        record = folder.read()
        if record is not None and record["status"] == "finished":
            self._trials.report(trial, one.curve())
            self._complete(one, record, "finished already")
            return True
        one.pruned = self._trials.judge(trial, one.curve())
        if one.pruned is not None:
            self._prune(one)
            return True
        job = Job(
            arguments=("train", *overrides),
            label=" ".join(overrides[len(self._space.fixed) :]),
            log_path=self._trials.path.with_suffix("") / f"{trial.number + 1}.log",
            warm_ok=self._warm_ok,
        )
        if folder.status() == "running":
            self._wait(job, one)
        else:
            self._start(job, one)
        return True

    def _start(self, job: Job, one: _Running) -> None:
        self._pool.start(job)
        self._running[job] = one
        self._tell(one, f"started   {job.label}")

    def _wait(self, job: Job, one: _Running) -> None:
        self._waiting[job] = one
        self._tell(one, f"waits     another job is at the same run, {one.folder.run_id}")

    def _look_at_waiting(self) -> None:
        """Go on with trials whose run nobody is at any more, and take over what came of it."""
        for job, one in list(self._waiting.items()):
            if one.folder.status() == "running" or not self._pool.has_room:
                continue
            del self._waiting[job]
            record = one.folder.read()
            if record is not None and record["status"] == "finished":
                self._trials.report(one.trial, one.curve())
                self._complete(one, record, "finished by another job")
                continue
            one.pruned = self._trials.judge(one.trial, one.curve())
            if one.pruned is not None:
                self._prune(one)
            else:
                self._start(job, one)

    def _look(self) -> None:
        """Report the curves of all that run, and stop what is not worth going on with."""
        for job, one in self._running.items():
            if one.pruned is None:
                one.pruned = self._trials.judge(one.trial, one.curve())
                if one.pruned is not None:
                    self._pool.stop(job)

    def _end(self, one: _Running, job: Job, returncode: int) -> None:
        if returncode == HeldElsewhereError.exit_status and one.pruned is None:
            self._wait(job, one)
            return
        record = one.folder.read()
        if record is not None and record["status"] == "finished":
            self._trials.report(one.trial, one.curve())
            self._complete(one, record, duration(time.monotonic() - one.began))
        elif one.pruned is not None:
            self._prune(one)
        else:
            how = f"exit status {returncode}" if returncode >= 0 else f"signal {-returncode}"
            reason = f"{how}: {last_line(job.log_path)}"
            self._trials.fail(one.trial, reason)
            self._tell(one, f"FAILED    {reason}")
            self._say(f"  log: {job.log_path}\n  again: {train_command(list(job.arguments[1:]))}")

    def _complete(self, one: _Running, record: Record, how: str) -> None:
        value = float(record["metrics"]["val"]["accuracy"])
        self._trials.complete(one.trial, value)
        self._tell(one, f"complete  val {value:.2%}  {how}")

    def _prune(self, one: _Running) -> None:
        self._trials.prune(one.trial)
        self._tell(one, f"pruned    after epoch {one.pruned}: below the median of the others")

    def _tell(self, one: _Running, line: str) -> None:
        self._say(f"trial {one.trial.number + 1:>{len(str(self._most))}}/{self._most} {line}")


def train_command(overrides: list[str]) -> str:
    """The command line that does a trial's run, to paste."""
    return shlex.join(["eleatt-bench", "train", *overrides])
