"""A sweep as a job of Ray's own: submitted, looked at from outside, and ended."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.files import read_bounded, write_text
from eleatt_bench.launch.endings import CANCELLED_STATUS, ended_file, exit_status, started_file
from eleatt_bench.launch.pool import GRACE
from eleatt_bench.launch.process import Job
from eleatt_bench.launch.ray.cluster import lines_of, reach, require_ray, token_missing
from eleatt_bench.launch.settings import begins_anew, outer_variables
from eleatt_bench.launch.submitting import submitting

_HERE = "ELEATT_RAY_SWEEP"  # in the submitted process: the name of its sweep
_MOST = 1 << 26  # bytes of the list of jobs
_NO_AGENT = "No available agent"  # a busy head says so, and asks to try again later
_POLL = 2.0  # seconds between looks
_PATIENCE = 60.0  # seconds that a Ray that has just started may need before it takes jobs


def submit(
    config: Mapping[str, Any], jobs: Sequence[Job], command: Sequence[str], logs: Path
) -> int:
    """Let Ray run the sweep ``command``, whose ``jobs`` have their logs in ``logs``; how many jobs.

    Raises:
        UserError: Ray cannot be asked, or does not take the sweep.
    """
    sweeps = _Sweeps(_address(config, "--detach"))
    with submitting(logs.parent):
        if sweeps.status(logs.name) == "alive":
            keys = _keys(logs)
            print(f"Ray has {len(keys):,} of the jobs already (ray job logs {logs.name})")
            return len(keys)
        logs.mkdir(parents=True, exist_ok=True)
        for job in jobs:
            ended_file(job.log_path).unlink(missing_ok=True)
            started_file(job.log_path).unlink(missing_ok=True)
        write_text(_list(logs), "".join(f"{job.key}\n" for job in jobs))
        words = [sys.executable, "-P", "-m", "eleatt_bench", *command, "launcher.address=auto"]
        own = {key: str(value) for key, value in config["launcher"]["env"].items()}
        variables = {
            **outer_variables(), **own, _HERE: logs.name, "PYTHONUNBUFFERED": "1",
            "RAY_JOB_STOP_WAIT_TIME_S": str(int(GRACE) * 2),
        }  # fmt: skip
        # Variables for this program that Ray was started with are not meant for this sweep.
        kept = shlex.quote(f" {' '.join(variables)} ")
        others = """/^ELEATT_/ && !index(kept, " "$1" ") {print "-u", $1}"""
        others = f"$(env | awk -F= -v kept={kept} {shlex.quote(others)})"
        entrypoint = f"cd {shlex.quote(str(Path.cwd()))} && exec env {others} {shlex.join(words)}"
        sweeps.submit(logs.name, entrypoint, variables)
    return len(jobs)


def cancel(config: Mapping[str, Any], logs: Path) -> int:
    """End the sweep whose logs are in ``logs``; how many jobs were queued or running.

    Raises:
        UserError: Ray cannot be asked.
    """
    address, keys = _address(config, "--cancel"), _keys(logs)
    if not keys:
        return 0
    sweeps = _Sweeps(address)
    with submitting(logs.parent):
        left = 0
        if sweeps.status(logs.name) == "alive":
            left = sum(exit_status(logs / f"{key}.log") is None for key in keys)
            sweeps.stop(logs.name)
        _list(logs).unlink(missing_ok=True)
    return left


def submitted(
    config: Mapping[str, Any], keys: Set[str], logs: Path, say: Callable[[str], None]
) -> Submitted | None:
    """The engine that watches a sweep that was submitted and still runs; None if there is none.

    A sweep that has not all of the jobs ``keys`` is waited for: nobody else begins the others.
    """
    address = config["launcher"]["address"]
    if address is None or os.environ.get(_HERE) == logs.name or not _list(logs).exists():
        return None
    sweeps = _Sweeps(address)
    if sweeps.status(logs.name) != "alive":
        return None
    if not (others := keys - set(_keys(logs))):
        return Submitted(sweeps, logs, say)
    say(
        f"Ray runs this sweep already, without {len(others):,} of these {len(keys):,} jobs (ray "
        f"job logs {logs.name}): they begin when it has ended"
    )
    while sweeps.status(logs.name) == "alive":
        time.sleep(_POLL)
    return None


class Submitted:
    """An engine that watches the jobs of a sweep that Ray runs elsewhere; see `engine.Engine`.

    It knows their state from the files beside their logs. Leaving it ends none of them.
    """

    queues = True
    pause = 0.2

    def __init__(self, sweeps: _Sweeps, logs: Path, say: Callable[[str], None]) -> None:
        self._sweeps, self._logs, self._say = sweeps, logs, say
        self._status = "alive"
        self._waiting: dict[Job, str | None] = {}  # why each does not run yet
        self._told: dict[Job, int | None] = {}
        self._next = 0.0
        keys = _keys(logs)
        self.at_once = max(1, len(keys))
        say(f"Ray has {len(keys):,} of the jobs already (ray job logs {logs.name})")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._waiting:
            anew = any(begins_anew(job.arguments) for job in self._waiting)
            again = ", begins anew what is finished by then" if anew else ""
            self._say(
                f"{len(self._waiting):,} jobs stay in Ray's queue or go on (ray job logs "
                f"{self._logs.name}): the same command attaches to them again{again}, and ends "
                "them with --cancel"
            )

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def has_room(self) -> bool:
        return True

    def fits(self, job: Job) -> bool:
        return True

    def start(self, job: Job) -> None:
        self._waiting[job] = "in Ray's queue"

    def waits(self, job: Job) -> str | None:
        return self._waiting.get(job)

    def runs_for(self, job: Job) -> float:
        try:
            return max(0.0, time.time() - started_file(job.log_path).stat().st_mtime)
        except OSError:  # submitted again since
            return 0.0

    def stop(self, job: Job) -> None:
        raise AssertionError("a search, which alone stops jobs, is not submitted")

    def ended(self) -> Iterator[tuple[Job, int | None]]:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _POLL
        status = self._sweeps.status(self._logs.name)  # first: the files then have all it wrote
        if status not in ("alive", "SUCCEEDED", self._status):
            self._say(f"The sweep that was submitted is {status} (ray job logs {self._logs.name})")
        self._status = status
        names = {path.name for path in self._logs.iterdir()}
        for job in list(self._waiting):
            if started_file(job.log_path).name in names:
                self._waiting[job] = None
            said = exit_status(job.log_path) if ended_file(job.log_path).name in names else None
            if said is not None:
                self._told[job] = int(said)
            elif status == "alive":
                continue
            elif job.needs is not None and self._told.get(job.needs, 0) != 0:
                self._told[job] = None
            else:  # a job that fails leaves its exit status
                done = job.done is not None and job.done()
                self._told[job] = 0 if done else CANCELLED_STATUS
            del self._waiting[job]
            yield job, self._told[job]


def _list(logs: Path) -> Path:
    """The file with the keys of the jobs that were submitted last."""
    return logs / "submitted.txt"


def _keys(logs: Path) -> list[str]:
    try:
        return read_bounded(_list(logs), _MOST).decode("utf-8", errors="replace").split()
    except (OSError, ValueError):
        return []


def _address(config: Mapping[str, Any], flag: str) -> str:
    address = config["launcher"]["address"]
    if address is None:
        raise UserError(
            f"{flag} is for a Ray that outlives this command: ray start --head, and "
            "launcher.address=auto"
        )
    return str(address)


class _Sweeps:
    """The sweeps that Ray was given as jobs of its own, by their names.

    Raises:
        UserError: there is no Ray, or it cannot take jobs; the methods raise this too.
    """

    def __init__(self, address: str) -> None:
        require_ray()
        with _sentence():
            from ray.job_submission import JobSubmissionClient

            reach(address)
            self._client: Any = JobSubmissionClient(address)

    def status(self, name: str) -> str:
        """How ``name`` ended, in Ray's words; before that ``alive``, or ``unknown`` to Ray."""
        with _sentence():
            found = [job.status for job in self._client.list_jobs() if job.submission_id == name]
        if not found:
            return "unknown"
        return str(found[0]) if found[0].is_terminal() else "alive"

    def submit(self, name: str, entrypoint: str, variables: Mapping[str, str]) -> None:
        """Let Ray run a line of shell as ``name``; an ended sweep of that name is deleted."""
        known = self.status(name) != "unknown"
        with _sentence():
            if known:  # Ray takes each name once
                self._client.delete_job(name)
            deadline = time.monotonic() + _PATIENCE
            while True:
                try:
                    self._client.submit_job(
                        entrypoint=entrypoint,
                        submission_id=name,
                        runtime_env={"env_vars": dict(variables)},
                    )
                    return
                except RuntimeError as error:  # nothing is submitted then
                    if _NO_AGENT not in str(error) or time.monotonic() > deadline:
                        raise
                    time.sleep(_POLL)

    def stop(self, name: str) -> None:
        """End ``name``, and return when it has ended."""
        with _sentence():
            self._client.stop_job(name)
        while self.status(name) == "alive":
            time.sleep(_POLL / 4)


@contextmanager
def _sentence() -> Iterator[None]:
    """Turn the errors of Ray's client for jobs into a sentence."""
    try:
        yield
    except Exception as error:  # Ray raises exceptions of many kinds
        if (asked := token_missing(error)) is not None:
            raise asked from error
        expected = (ConnectionError, RuntimeError, ValueError, OSError, ModuleNotFoundError)
        if not isinstance(error, expected):
            raise
        said = (lines_of(error) or [""])[0]
        raise UserError(
            f"Ray cannot be asked about jobs ({said}): its head is started by ray start --head, "
            "and has its dashboard with pip install 'eleatt-bench[ray]'"
        ) from error
