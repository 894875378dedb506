"""Jobs as tasks of Ray's: handed over at once, run wherever there is room for their lease."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from eleatt_bench.common.errors import UserError
from eleatt_bench.launch.endings import CANCELLED_STATUS, clear, ended_file, started_file, tell
from eleatt_bench.launch.journal import Journal
from eleatt_bench.launch.losses import Losses, progress
from eleatt_bench.launch.pool import GRACE
from eleatt_bench.launch.process import Job
from eleatt_bench.launch.ray.cluster import Cluster, Lease, lines_of
from eleatt_bench.launch.ray.worker import Ending, Place, Work, run
from eleatt_bench.launch.settings import (
    credentials,
    outer_variables,
    without_force,
    without_launcher,
)

_LOOK = 1.0  # seconds between looks at which jobs have begun
_SLACK = 5.0  # seconds beyond `GRACE` to wait for the news that jobs have ended


@dataclass
class _Task:
    """A job that Ray has."""

    ref: Any
    why: str  # why it does not run yet
    began_at: float  # how far it had got, as `losses.progress` tells
    place: Place | None = None
    stopped: bool = False


class Ray:
    """An engine that ends its jobs with itself, and begins jobs again that Ray loses; see `Engine`.

    Each job leases ``lease`` of a node, and finds ``variables`` in its environment. A job that was
    lost more than ``retries`` times without the end of an epoch in between has failed. Ray has at
    most ``most`` jobs at the same time; None: as many as the cluster has room for.
    """

    queues = False
    pause = 0.1

    @classmethod
    def of(
        cls,
        config: Mapping[str, Any],
        *,
        most: int | None,
        journal: Journal | None,
        say: Callable[[str], None],
    ) -> Self:
        """The engine that ``config``, plain, asks for; other arguments as in `__init__`."""
        launcher = config["launcher"]
        cluster = Cluster(launcher["address"])
        try:
            return cls(
                cluster,
                cluster.lease(config),
                variables={key: str(value) for key, value in launcher["env"].items()},
                retries=launcher["retries"],
                most=most,
                journal=journal,
                say=say,
            )
        except BaseException:
            cluster.leave()
            raise

    def __init__(
        self,
        cluster: Cluster,
        lease: Lease,
        *,
        variables: Mapping[str, str],
        retries: int,
        most: int | None,
        journal: Journal | None,
        say: Callable[[str], None],
    ) -> None:
        self._cluster, self.lease, self._variables = cluster, lease, dict(variables)
        self._losses, self._journal, self._say = Losses(retries), journal, say
        self.at_once = max(1, sum(map(lease.places, cluster.nodes())))
        self._most = self.at_once if most is None else most
        self._tasks: dict[Job, _Task] = {}
        self._results: dict[Job, int] = {}
        self._began: set[Job] = set()  # jobs that go on where they were, despite force=true
        self._looked = 0.0
        environment = {"env_vars": self._variables} if variables else None
        if lack := cluster.lacks(lease):
            say(f"Ray: {lack}. The jobs wait for one that has")
        self._run = cluster.ray.remote(max_retries=0, runtime_env=environment)(run)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Ask all jobs to end, and wait for them; Ray ends what is left."""
        try:
            # Without a connection Ray has ended this process's tasks itself. What goes wrong with
            # the journal would hide why the engine is left.
            with suppress(ConnectionError, UserError):
                self._end_all()
        finally:
            self._cluster.leave()
            with suppress(UserError):
                for job, task in self._tasks.items():
                    self._is_at(job, _place(job))
                    self._note_end(job, task.place, -signal.SIGKILL)

    def _end_all(self) -> None:
        """Ask all jobs to end, and take over how those ended that do so in time."""
        for job in self._tasks:
            self.stop(job)
        refs = {task.ref: job for job, task in self._tasks.items()}
        if refs:
            wait = self._cluster.ray.wait
            ready, _ = wait([*refs], num_returns=len(refs), timeout=GRACE + _SLACK)
            for ref in ready:
                self._end(refs[ref])

    def __len__(self) -> int:
        return len(self._tasks) + len(self._results)

    @property
    def has_room(self) -> bool:
        return len(self) < self._most

    def fits(self, job: Job) -> bool:
        return True

    def waits(self, job: Job) -> str | None:
        task = self._tasks.get(job)
        return None if task is None or task.place is not None else task.why

    def runs_for(self, job: Job) -> float:
        return 0.0  # up to the time between two looks

    def start(self, job: Job) -> None:
        clear(job.log_path)
        started_file(job.log_path).unlink(missing_ok=True)
        words = without_launcher(job.arguments)
        if job in self._began:
            words = without_force(words)
        work = Work(
            tuple(words), job.log_path.absolute(), Path.cwd(), job.run_id,
            self.lease.threads, outer_variables() | credentials() | self._variables,
        )  # fmt: skip
        lease = self._cluster.fitted(self.lease, job.memory.host)
        ref = self._run.options(
            num_cpus=lease.cpus, num_gpus=lease.gpus, memory=lease.memory, name=job.key
        ).remote(work)
        why = self._cluster.lacks(lease) or "no node has room for it yet"
        self._tasks[job] = _Task(ref, why, progress(job))

    def stop(self, job: Job) -> None:
        if (task := self._tasks.get(job)) is not None and not task.stopped:
            task.stopped = True
            self._cluster.ray.cancel(task.ref)

    def ended(self) -> Iterator[tuple[Job, int]]:
        if self._tasks:
            refs = {task.ref: job for job, task in self._tasks.items()}
            try:
                ready, _ = self._cluster.ray.wait([*refs], num_returns=len(refs), timeout=0)
                for ref in ready:
                    self._end(refs[ref])
            except ConnectionError as error:
                raise UserError(
                    f"Ray does not answer any more ({_cause(error)}), so its jobs end. The same "
                    "command goes on when it is there again"
                ) from error
            self._look()
        while self._results:
            job = next(iter(self._results))
            yield job, self._results.pop(job)

    def _look(self) -> None:
        """See which jobs run by now, by one listing of each folder of logs."""
        if time.monotonic() < self._looked + _LOOK:
            return
        self._looked = time.monotonic()
        waiting = {job: task for job, task in self._tasks.items() if task.place is None}
        folders = {job.log_path.parent for job in waiting}
        there = {path for folder in folders for path in folder.iterdir()}
        for job in waiting:
            if started_file(job.log_path) in there:
                self._is_at(job, _place(job))

    def _is_at(self, job: Job, place: Place | None) -> None:
        if place is not None and self._tasks[job].place is None:
            self._tasks[job].place = place
            if self._journal is not None:
                self._journal.started(job.label, place.pid, place.device, host=place.host)

    def _end(self, job: Job) -> None:
        """Take over how ``job`` ended, or hand it over once more if Ray has lost it."""
        task, errors = self._tasks[job], self._cluster.ray.exceptions
        try:
            outcome: Ending = self._cluster.ray.get(task.ref)
        except errors.TaskCancelledError:
            outcome = Ending(CANCELLED_STATUS, task.place)
        except (errors.RayTaskError, errors.RuntimeEnvSetupError) as error:
            outcome = Ending(1, task.place, _cause(error))
        except errors.RayError as error:
            if not task.stopped:
                self._go_on(job, _LOST.get(type(error).__name__, _cause(error)))
                return
            outcome = Ending(CANCELLED_STATUS, task.place)
        self._is_at(job, outcome.place or _place(job))
        del self._tasks[job]
        self._finish(job, task.place, outcome.status, outcome.told)

    def _finish(self, job: Job, place: Place | None, status: int, told: str = "") -> None:
        if told:
            tell(job.log_path, f"Ray: {told}")
            with suppress(OSError):
                ended_file(job.log_path).write_text(f"{status}\n", encoding="utf-8")
        self._note_end(job, place, status)
        self._results[job] = status

    def _note_end(self, job: Job, place: Place | None, status: int) -> None:
        """Tell the journal how ``job`` ended at ``place``; None: it never ran."""
        if place is not None and self._journal is not None:
            self._journal.ended(job.label, place.pid, place.device, status, host=place.host)

    def _go_on(self, job: Job, why: str) -> None:
        """Hand ``job`` over once more, unless it was lost too often without progress."""
        self._is_at(job, _place(job))
        task = self._tasks.pop(job)
        if progress(job) != task.began_at:
            self._began.add(job)
        if told := self._losses.too_often(job, why):
            self._finish(job, task.place, 1, told)
            return
        self._note_end(job, task.place, -signal.SIGKILL)
        self._say(f"submitted again  {job.label}: {why}")
        self.start(job)
        self._tasks[job] = replace(self._tasks[job], why=why)


def _place(job: Job) -> Place | None:
    """Where ``job`` says it runs, or ran."""
    try:
        said = started_file(job.log_path).read_text(encoding="utf-8")
        return Place(**json.loads(said))
    except (OSError, ValueError, TypeError):  # the file is not visible here yet
        return None


_LOST = {
    "WorkerCrashedError": "its worker was killed",
    "LocalRayletDiedError": "its node was lost",
    "NodeDiedError": "its node was lost",
    "OutOfMemoryError": "its node ran out of memory: launcher.memory says what a job takes",
}
"""Ray's errors after which a job goes on in a new task, in words."""


def _cause(error: Exception) -> str:
    """What Ray says of ``error``, in a line."""
    return (lines_of(error) or [type(error).__name__])[-1]
