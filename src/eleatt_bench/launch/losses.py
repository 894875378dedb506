"""How often a cluster lost a job, and whether it had got on in between."""

from __future__ import annotations

from eleatt_bench.launch.process import Job


class Losses:
    """Counts for each job how often it was lost without the end of an epoch in between."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[Job, tuple[int, float]] = {}  # how often, and how far it had got

    def __contains__(self, job: Job) -> bool:
        return job in self._known

    def too_often(self, job: Job, why: str) -> str | None:
        """Count one more loss of ``job``, and say ``why`` it is lost for good, else None."""
        often, reached = self._known.get(job, (0, -1.0))
        now = progress(job)
        often = often + 1 if now == reached else 1
        self._known[job] = often, now
        if often <= self._most:
            return None
        return f"{why}, {often} times without the end of an epoch between them"


def progress(job: Job) -> float:
    """How far a job has got: a number that changes when the job makes progress."""
    try:
        return 0.0 if job.grows is None else job.grows.stat().st_mtime
    except OSError:
        return 0.0
