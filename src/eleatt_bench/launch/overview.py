"""What a person sees of a sweep: one live overview in a terminal, plain lines elsewhere."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from eleatt_bench.durations import duration
from eleatt_bench.launch.process import Job

_TAIL = 4096  # bytes of a log that are looked at for its last lines


class Overview:
    """Counts jobs and shows them; a context manager, because a live view has to be taken down."""

    def __init__(self, total: int, num_jobs: int, console: Console) -> None:
        self._total, self._num_jobs, self._console = total, num_jobs, console
        self._running: dict[Job, float] = {}  # job: when it started
        self._seconds: list[float] = []  # of the jobs that ended
        self._failed = self._left_out = 0
        self._began = time.monotonic()
        self._live: Live | None = None
        if console.is_terminal:
            self._live = Live(
                console=console, get_renderable=self._render, refresh_per_second=2, transient=True
            )

    def __enter__(self) -> Overview:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live is not None:
            self._live.stop()
        left = self._total - self._ended
        parts = [f"{len(self._seconds) - self._failed} done", f"{self._failed} failed"]
        parts += [f"{self._left_out} left out"] if self._left_out else []
        parts += [f"{left} not finished"] if left else []
        self._say(f"{', '.join(parts)} in {duration(time.monotonic() - self._began)}")

    @property
    def _ended(self) -> int:
        return len(self._seconds) + self._left_out

    def started(self, job: Job) -> None:
        """``job`` runs now."""
        self._running[job] = time.monotonic()
        if self._live is None:
            number = self._ended + len(self._running)
            self._say(f"{self._count(number)} started  {job.label}")

    def ended(self, job: Job, returncode: int) -> float:
        """``job`` has ended; how many seconds it took."""
        seconds = time.monotonic() - self._running.pop(job)
        self._seconds.append(seconds)
        self._failed += returncode != 0
        word = "done" if returncode == 0 else "FAILED"
        self._say(f"{self._count(self._ended)} {word}  {job.label}  {duration(seconds)}")
        return seconds

    def left_out(self, job: Job) -> None:
        """``job`` will not be started: the one it needs failed."""
        self._left_out += 1
        assert job.needs is not None
        self._say(f"{self._count(self._ended)} LEFT OUT  {job.label}: {job.needs.label} failed")

    def _count(self, number: int) -> str:
        return f"{number:>{len(str(self._total))}}/{self._total}"

    def _say(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _render(self) -> RenderableType:
        now = time.monotonic()
        waiting = self._total - self._ended - len(self._running)
        done = len(self._seconds) - self._failed
        counts = [f"{done} done", f"{len(self._running)} running"]
        counts += [f"{self._failed} failed"] if self._failed else []
        head = Text(f"{', '.join(counts)}, {waiting} waiting  {self._left(now)}", style="bold")
        lines = [head]
        for job, began in self._running.items():
            text = f"  {job.label}  {duration(now - began)}  {last_line(job.log_path)}"
            lines.append(Text(text))
        for line in lines:
            line.truncate(self._console.width, overflow="ellipsis")
        return Group(*lines)

    def _left(self, now: float) -> str:
        if not self._seconds:
            return ""
        each = sum(self._seconds) / len(self._seconds)
        waiting = self._total - self._ended - len(self._running)
        work = waiting * each
        work += sum(max(0.0, each - (now - began)) for began in self._running.values())
        return f"about {duration(work / self._num_jobs)} left"


def last_lines(path: Path, count: int) -> list[str]:
    """The last ``count`` lines of a log that hold anything."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()][-count:]


def last_line(path: Path) -> str:
    """The last line of a log, or nothing."""
    return (last_lines(path, 1) or [""])[0]


def failure(job: Job, returncode: int | None) -> str:
    """What a person needs to know about a job that failed, or was not started for that reason."""
    if returncode is None:
        assert job.needs is not None
        return f"{job.label}: not started, because {job.needs.label} failed, which it needs"
    how = f"exit status {returncode}" if returncode >= 0 else f"killed by signal {-returncode}"
    lines = [f"{job.label}: {how}", *(f"    {line}" for line in last_lines(job.log_path, 10))]
    lines.append(f"  log: {job.log_path}")
    lines.append(f"  again: {shlex.join(['eleatt-bench', *job.arguments])}")
    return "\n".join(lines)


def failures_message(failed: Sequence[tuple[Job, int | None]], total: int) -> str:
    """The error that ends a sweep: each failed job with the end of its log."""
    parts = [failure(job, returncode) for job, returncode in failed]
    return "\n\n".join([f"{len(failed)} of {total} jobs failed", *parts])
