"""A search as it runs: trials are taken, run, watched, pruned and reported."""

from __future__ import annotations

import math
import shlex
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eleatt_bench.common.errors import HeldElsewhereError, UserError
from eleatt_bench.common.locations import command
from eleatt_bench.common.text import duration
from eleatt_bench.config.composer import Composer
from eleatt_bench.data.protocols import find
from eleatt_bench.launch.endings import CANCELLED_STATUS
from eleatt_bench.launch.engine import Engine
from eleatt_bench.launch.overview import last_line
from eleatt_bench.launch.process import Job
from eleatt_bench.runs.curves import Curve, CurveReader
from eleatt_bench.runs.form import says_finished
from eleatt_bench.runs.record import Record, RunFolder
from eleatt_bench.runs.wanted import WantedRun
from eleatt_bench.sweeps.jobs import training_job
from eleatt_bench.sweeps.space import Space
from eleatt_bench.sweeps.trials import Trials
from eleatt_bench.training.folder import check_pretraining, wanted_run

if TYPE_CHECKING:
    from optuna.trial import Trial

_LOOK = 0.5  # seconds from one look at the curves to the next


@dataclass
class _Running:
    """A trial at work."""

    trial: Trial
    folder: RunFolder
    before: RunFolder | None  # the run whose weights it begins with
    max_epochs: int
    curves: CurveReader
    began: float
    stage: str  # val or test, by whose accuracy it is judged
    pruned: int | None = None  # after which epoch it was told to end

    def curve(self) -> Curve:
        """The validation accuracy by epoch, so far."""
        return self.curves.read()["val/accuracy"]

    def waits_for(self, *, queues: bool) -> str:
        """The run that another process is at, in words; empty if the trial can start.

        An engine that ``queues`` waits by itself for the same run, or takes over the job that is
        at it.
        """
        status = self.folder.status()
        if status == "running" and not queues:
            return f"the same run, {self.folder.run_id}"
        if status != "finished" and self.before and self.before.status() == "running":
            return f"the run that it begins with, {self.before.run_id}"
        return ""


class Search:
    """Runs trials by ``engine`` until there are ``most``, those of other processes included."""

    def __init__(
        self,
        space: Space,
        trials: Trials,
        engine: Engine,
        *,
        most: int,
        warm_ok: bool,
        composer: Composer,
        say: Callable[[str], None],
    ) -> None:
        self._space, self._trials, self._engine = space, trials, engine
        self._most, self._warm_ok, self._composer, self._say = most, warm_ok, composer, say
        self._running: dict[Job, _Running] = {}
        self._waiting: dict[Job, _Running] = {}  # somebody else is at the same run
        self.cancelled = 0  # trials that are left unfinished, because somebody ended their jobs

    def go(self) -> None:
        """Search, until nothing is left that this process could do."""
        left, looked = True, -math.inf
        while left or self._running or self._waiting:
            ended = list(self._engine.ended())
            for job, returncode in ended:
                assert returncode is not None  # no job of a search needs another job
                self._end(self._running.pop(job), job, returncode)
            if ended or time.monotonic() - looked > _LOOK:
                self._look_at_waiting()
                while self._has_room and (left := self._begin()):
                    pass
                self._look()
                looked = time.monotonic()
            time.sleep(self._engine.pause)

    @property
    def _has_room(self) -> bool:
        """Whether one more trial may be taken: later ones learn from those that have ended."""
        return self._engine.has_room and len(self._waiting) < self._engine.at_once

    def _begin(self) -> bool:
        """Take a trial and start its run, unless that is finished or already bad enough to prune.

        False where there is no trial left to take.
        """
        trial = self._trials.take(self._most)
        if trial is None:
            return False
        with self._trials.readable():
            overrides = self._space.overrides(trial)
        try:
            config = self._composer.config(overrides)
            folder, run = wanted_run(overrides, config, self._composer)
        except UserError as error:  # values that do not go together
            self._fail(trial, str(error), f"again: {train_command(overrides)}")
            return True
        check_pretraining(folder, run)  # the trial stays unfinished, as this can be mended
        one = _watched(trial, config, folder, run)
        self._trials.note_run(trial, one.folder.run_id)
        label = " ".join(overrides[len(self._space.fixed) :])
        log = self._trials.path.with_suffix("") / f"{trial.number + 1}.log"
        # The job does a pre-training itself, for which other trials wait. How much memory it takes,
        # no run tells yet: every trial has settings of its own.
        job = training_job(run, folder, label, log, warm_ok=self._warm_ok)
        if self._waits_for(one):
            self._wait(job, one)
        else:
            self._go_on(job, one, "finished already")
        return True

    def _waits_for(self, one: _Running) -> str:
        """As `_Running.waits_for`; the engine of this search may also have the same run queued."""
        queued = any(other.folder.run_id == one.folder.run_id for other in self._running.values())
        outside = one.waits_for(queues=self._engine.queues)
        return outside or (f"the same run, {one.folder.run_id}" if queued else "")

    def _go_on(self, job: Job, one: _Running, how: str) -> None:
        """Start ``job``, unless its run is finished, or already bad enough to prune."""
        record = one.folder.read()
        if says_finished(record):
            self._complete(one, record, how)
        elif self._judge(one):
            self._prune(one)
        else:
            self._start(job, one)

    def _judge(self, one: _Running) -> bool:
        """Whether its curve so far should prune the trial; never if the test set judges it."""
        if one.stage != "val":
            return False
        one.pruned = self._trials.judge(one.trial, one.curve(), one.max_epochs)
        return one.pruned is not None

    def _start(self, job: Job, one: _Running) -> None:
        self._engine.start(job)
        self._running[job] = one
        self._tell(one.trial, f"started   {job.label}")

    def _wait(self, job: Job, one: _Running) -> None:
        self._waiting[job] = one
        what = self._waits_for(one) or f"the same run, {one.folder.run_id}"
        self._tell(one.trial, f"waits     another job is at {what}")

    def _look_at_waiting(self) -> None:
        """Go on with trials whose run nobody is at any more, or take over its result."""
        for job, one in list(self._waiting.items()):
            if self._engine.has_room and not self._waits_for(one):
                del self._waiting[job]
                self._go_on(job, one, "finished by another job")

    def _look(self) -> None:
        """Report the curves of all running trials, and stop those that should be pruned."""
        for job, one in self._running.items():
            if one.pruned is None and self._judge(one):
                self._engine.stop(job)

    def _end(self, one: _Running, job: Job, returncode: int) -> None:
        if returncode == HeldElsewhereError.exit_status and one.pruned is None:
            self._wait(job, one)
            return
        record = one.folder.read()
        if says_finished(record):
            self._complete(one, record, duration(time.monotonic() - one.began))
        elif one.pruned is not None:
            self._prune(one)
        elif returncode == CANCELLED_STATUS or (
            returncode == -signal.SIGKILL and not self._trials.was_killed(one.trial)
        ):
            self.cancelled += 1
            how = "cancelled" if returncode == CANCELLED_STATUS else "killed, maybe for its memory"
            self._tell(one.trial, f"{how}: the same command goes on with it")
        else:
            how = f"exit status {returncode}" if returncode >= 0 else f"signal {-returncode}"
            again = f"again: {shlex.join(['eleatt-bench', *job.arguments])}"
            reason = f"{how}: {last_line(job.log_path)}"
            self._fail(one.trial, reason, f"log: {job.log_path}", again)

    def _fail(self, trial: Trial, reason: str, *hints: str) -> None:
        self._trials.fail(trial, reason)
        self._tell(trial, "\n  ".join([f"FAILED    {reason}", *hints]))

    def _complete(self, one: _Running, record: Record, how: str) -> None:
        self._trials.report(one.trial, one.curve())
        value = float(record["metrics"][one.stage]["accuracy"])
        self._trials.complete(one.trial, value)
        self._tell(one.trial, f"complete  {one.stage} {value:.2%}  {how}")

    def _prune(self, one: _Running) -> None:
        self._trials.prune(one.trial)
        one.folder.mark_pruned()
        self._tell(one.trial, f"pruned    after epoch {one.pruned}: below the median of the others")

    def _tell(self, trial: Trial, line: str) -> None:
        self._say(f"trial {trial.number + 1:>{len(str(self._most))}}/{self._most} {line}")


def _watched(
    trial: Trial, config: Mapping[str, Any], folder: RunFolder, run: WantedRun
) -> _Running:
    """``trial``, which is the ``run`` of ``config`` in ``folder``."""
    before = run.before.folder(folder.path.parent) if run.before else None
    data, max_epochs = config["data"], config["trainer"]["max_epochs"]
    stage = "test" if find(data["name"], data["protocol"]).development else "val"
    return _Running(trial, folder, before, max_epochs, CurveReader(folder), time.monotonic(), stage)


def train_command(overrides: list[str]) -> str:
    """The command line that does a trial's run, for a person to paste."""
    return command("train", *overrides)
