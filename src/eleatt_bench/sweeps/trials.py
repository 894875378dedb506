"""The trials of a search in their database, shared by all processes that search at once.

A process holds a lock while it lives, and puts its token on its trials. A trial that is marked as
running, but whose process is gone, is taken over and continued.
"""

from __future__ import annotations

import math
import uuid
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.extras import require
from eleatt_bench.common.files import alone

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

_OWNER = "owner"  # an attribute of a trial: the token of its process
_KILLED = "killed"  # an attribute of a trial: its job was killed once
RUN, FAILURE = "run", "failure"
"""Attributes of a trial: the name of its run, and why it failed."""

_alone = partial(alone, variable="ELEATT_RUNS")
_BUSY = 60.0  # seconds that a writer waits for the others
STARTUP_TRIALS = 5
"""Trials that must be complete before any is pruned."""


def require_optuna() -> None:
    """Import Optuna.

    Raises:
        UserError: it is not installed; the message has the command that installs it.
    """
    require("search", "search")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)


class Trials:
    """The trials in the database ``path``; a context manager that holds this process's lock.

    ``seed`` is the seed of the sampler.

    Raises:
        UserError: whenever the database cannot be read or written, or its file system has no locks.
    """

    def __init__(self, path: Path, *, seed: int) -> None:
        self.path, self._seed = path, seed
        self._token = uuid.uuid4().hex
        self._lock = path.with_suffix(".lock")

    def __enter__(self) -> Trials:
        import optuna
        from sqlalchemy import URL

        self.path.parent.mkdir(parents=True, exist_ok=True)
        url = URL.create("sqlite", database=str(self.path)).render_as_string()
        with ExitStack() as stack:
            own = self._owner_lock(self._token)
            stack.callback(own.unlink, missing_ok=True)
            stack.enter_context(_alone(own))
            with _alone(self._lock), self.readable():
                storage = optuna.storages.RDBStorage(
                    url.replace("{", "{{").replace("}", "}}"),  # Optuna formats it
                    engine_kwargs={"connect_args": {"timeout": _BUSY}},
                )
                stack.callback(storage.engine.dispose)
                self.study = optuna.create_study(
                    study_name=self.path.stem,
                    storage=storage,
                    direction="maximize",
                    pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS),
                    load_if_exists=True,
                )
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def take(self, most: int) -> Trial | None:
        """A trial to work on: one whose process is gone, else a new one, up to ``most`` in all.

        None if all ``most`` are done or being done.
        """
        import optuna

        with _alone(self._lock), self.readable():
            known = self.all()
            for frozen in known:
                if not frozen.state.is_finished() and not self._is_alive(frozen):
                    self._draw_as(frozen.number)  # for values not drawn before the process died
                    # `Trial` wants the id of the trial in the database, which has only this name.
                    trial = optuna.trial.Trial(self.study, frozen._trial_id)
                    break
            else:
                if len(known) >= most:
                    return None
                self._draw_as(len(known))
                trial = self.study.ask()
            trial.set_user_attr(_OWNER, self._token)
        return trial

    def _draw_as(self, number: int) -> None:
        """Let the values that are drawn next be those of trial ``number``.

        Each trial has its own state of the sampler: searches that share trials draw different
        values, and a continued search does not draw its first values again.
        """
        import optuna

        seed = zlib.crc32(f"{self._seed} {number}".encode())
        self.study.sampler = optuna.samplers.TPESampler(seed=seed)

    def all(self) -> list[FrozenTrial]:
        """All trials, as they are in the database now."""
        with self.readable():
            return self.study.get_trials(deepcopy=False)

    def report(self, trial: Trial, curve: Mapping[int, float]) -> None:
        """Store the new epochs of ``curve``, the validation accuracy by epoch."""
        self._report(trial, curve, math.inf)

    def judge(self, trial: Trial, curve: Mapping[int, float], max_epochs: int) -> int | None:
        """As `report`, up to the first epoch after which the trial should be pruned; that epoch.

        None if there is no such epoch. The first quarter of ``max_epochs`` never prunes.
        """
        return self._report(trial, curve, max_epochs / 4)

    def _report(self, trial: Trial, curve: Mapping[int, float], spared: float) -> int | None:
        with self.readable():
            known = self.all()[trial.number].intermediate_values
            for epoch in sorted(curve.keys() - known.keys()):
                trial.report(curve[epoch], epoch)
                if epoch > spared and trial.should_prune():
                    return epoch
        return None

    def complete(self, trial: Trial, value: float) -> None:
        """Mark ``trial`` as complete, with the accuracy ``value``."""
        with self.readable():
            self.study.tell(trial, value)

    def prune(self, trial: Trial) -> None:
        """Mark ``trial`` as pruned."""
        import optuna

        with self.readable():
            self.study.tell(trial, state=optuna.trial.TrialState.PRUNED)

    def fail(self, trial: Trial, reason: str) -> None:
        """Mark ``trial`` as failed, for ``reason``."""
        import optuna

        with self.readable():
            trial.set_user_attr(FAILURE, reason)
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)

    def was_killed(self, trial: Trial) -> bool:
        """Whether the job of ``trial`` was killed before; from now on it was."""
        with self.readable():
            before = bool(self.all()[trial.number].user_attrs.get(_KILLED))
            trial.set_user_attr(_KILLED, True)
        return before

    def note_run(self, trial: Trial, run_id: str) -> None:
        """Store the name of the run that ``trial`` does."""
        with self.readable():
            trial.set_user_attr(RUN, run_id)

    def counts(self) -> Counter[str]:
        """How many trials are ``complete``, ``pruned``, ``failed`` or ``unfinished``."""
        words = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
        return Counter(words.get(trial.state.name, "unfinished") for trial in self.all())

    def best(self) -> list[FrozenTrial]:
        """The complete trials, the best first, the earlier one on ties."""
        complete = [trial for trial in self.all() if trial.state.name == "COMPLETE"]
        return sorted(complete, key=lambda trial: -(trial.value or 0.0))

    def _owner_lock(self, token: str) -> Path:
        return self.path.with_suffix(f".{token}.lock")

    def _is_alive(self, trial: FrozenTrial) -> bool:
        """Whether the process that ``trial`` belongs to is alive."""
        token = trial.user_attrs.get(_OWNER)
        if token == self._token:
            return True
        if token is None or not self._owner_lock(token).exists():
            return False
        try:
            with _alone(self._owner_lock(token), wait=False):
                pass
        except BlockingIOError:
            return True
        with suppress(FileNotFoundError):
            self._owner_lock(token).unlink()
        return False

    @contextmanager
    def readable(self) -> Iterator[None]:
        """Turn errors of a damaged or unwritable database into one that says what helps."""
        from optuna.exceptions import StorageInternalError
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (SQLAlchemyError, StorageInternalError, RuntimeError) as error:
            cause = error.__cause__ or error
            reason = str(getattr(cause, "orig", None) or cause).splitlines()[0]
            raise UserError(
                f"The database of this search, {self.path}, cannot be used: {reason}. Make room "
                "there if the disk is full, or choose another place with runs_dir=FOLDER. If it is "
                "damaged, move it away: the same command begins a new one, and runs that are "
                "finished are not trained again"
            ) from error
