"""What a person sees of a sweep: one live overview in a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import re
import shlex
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from eleatt_bench.common.text import duration, printable
from eleatt_bench.launch.endings import CANCELLED_STATUS
from eleatt_bench.launch.process import BUSY, Job

_AROUND = 6  # lines of the overview that show no running job, and the cursor's line
_FEW = 50  # jobs at most whose logs are all read whenever they are shown
_READS = 100  # with many more jobs, about so many logs are read in a second
_TAIL = 4096  # bytes of a log that are looked at for its last lines


class Overview:
    """Counts jobs and shows them; a context manager, because a live view has to be taken down."""

    def __init__(self, total: int, num_jobs: int, console: Console) -> None:
        self._total, self._num_jobs, self._console = total, num_jobs, console
        self._running: dict[Job, float] = {}  # job: when it started
        self._queued: dict[Job, str] = {}  # job: why it does not run yet
        self._seconds: list[float] = []  # that ended jobs took
        self._failed = self._cancelled = self._left_out = 0
        self._lines: dict[Job, tuple[float, str]] = {}  # job: when its log was read, the last line
        self._said: set[tuple[Job, str]] = set()  # job, why it waits: what was printed
        self._began = time.monotonic()
        self._live: Live | None = None
        if console.is_terminal and not console.is_dumb_terminal:
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
        parts = [f"{self._done} done", f"{self._failed} failed"]
        parts += self._others()
        parts += [f"{left} not finished"] if left else []
        self._say(f"{', '.join(parts)} in {duration(time.monotonic() - self._began)}")

    @property
    def _ended(self) -> int:
        return len(self._seconds) + self._left_out

    @property
    def _done(self) -> int:
        return len(self._seconds) - self._failed - self._cancelled

    def _others(self) -> list[str]:
        """How many jobs were cancelled or left out, where any was."""
        counts = {"cancelled": self._cancelled, "left out": self._left_out}
        return [f"{count} {word}" for word, count in counts.items() if count]

    def started(self, job: Job, seconds: float = 0.0) -> None:
        """Show that ``job`` runs now, and has run for so many seconds."""
        self._queued.pop(job, None)
        self._running[job] = time.monotonic() - seconds
        if self._live is None:
            number = self._ended + len(self._running)
            self._say(f"{self._count(number)} started  {job.label}")

    def ended(self, job: Job, returncode: int) -> float:
        """Show that ``job`` has ended; the seconds it took."""
        seconds = time.monotonic() - self._running.pop(job)
        self._seconds.append(seconds)
        cancelled = returncode == CANCELLED_STATUS
        self._cancelled += cancelled
        self._failed += returncode != 0 and not cancelled
        word = "done" if returncode == 0 else "cancelled" if cancelled else "FAILED"
        self._say(f"{self._count(self._ended)} {word}  {job.label}  {duration(seconds)}")
        return seconds

    def queued(self, job: Job, why: str) -> None:
        """Show that ``job`` was handed over but does not run, or no longer, and ``why``."""
        self._queued[job] = why
        if self._running.pop(job, None) is not None:
            self._say(f"{self._count(self._ended)} queued again  {job.label}: {why}")

    def put_back(self, job: Job) -> None:
        """Show that ``job`` ended because another process is at its work; it will start again."""
        del self._running[job]
        self.waits(job, BUSY)

    def waits(self, job: Job, why: str) -> None:
        """Show ``why`` a job that could start has to wait; each reason is shown once."""
        if (job, why) not in self._said:
            self._said.add((job, why))
            self._say(f"{self._count(self._ended)} waits  {job.label}: {why}")

    def left_out(self, job: Job) -> None:
        """Show that ``job`` will not be started, because the job it needs failed."""
        self._queued.pop(job, None)
        self._left_out += 1
        assert job.needs is not None
        self._say(f"{self._count(self._ended)} LEFT OUT  {job.label}: it needs {job.needs.label}")

    def _count(self, number: int) -> str:
        return f"{number:>{len(str(self._total))}}/{self._total}"

    def _say(self, line: str) -> None:
        self._console.print(
            printable(line), highlight=False, markup=False, emoji=False, soft_wrap=True
        )

    def _render(self) -> RenderableType:
        now = time.monotonic()
        running = [(job, now - began, self._said_by(job)) for job, began in self._running.items()]
        shown = max(1, self._console.height - _AROUND)
        shares = [share_done(said) or 0.0 for _, _, said in running]
        bar = Table.grid(expand=True)
        bar.add_row(ProgressBar(total=self._total, completed=self._ended + sum(shares)))
        parts: list[RenderableType] = [
            bar,
            Text(self._counts(now), style="bold", no_wrap=True, overflow="ellipsis"),
            self._rows(running[:shown]),
        ]
        if len(running) > shown:
            parts.append(Text(f"and {len(running) - shown} more that run"))
        return Group(*parts)

    def _rows(self, running: Sequence[tuple[Job, float, str]]) -> Table:
        """A row per job: its label, its time, the last line of its log; cut, not wrapped."""
        width = self._console.width
        times = [duration(seconds) for _, seconds, _ in running]
        longest = max((len(job.label) for job, *_ in running), default=0)
        label = min(max(longest, len("running")), max(16, width * 2 // 5))
        time_width = max(map(len, ["time", *times]))
        rest = max(8, width - label - time_width - 4)  # two spaces between columns
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
        table.add_column("running", no_wrap=True, overflow="ellipsis", width=label)
        table.add_column("time", no_wrap=True, justify="right", width=time_width)
        table.add_column("its last line", no_wrap=True, overflow="ellipsis", width=rest)
        for (job, _, said), text in zip(running, times, strict=True):
            table.add_row(Text(printable(job.label)), text, Text(said))
        return table

    def _counts(self, now: float) -> str:
        running = len(self._running)
        counts = [f"{self._done} of {self._total} done", f"{running} running"]
        counts += [f"{len(self._queued)} queued ({self._why()})"] if self._queued else []
        counts += [f"{self._failed} failed"] if self._failed else []
        counts += self._others()
        waiting = self._total - self._ended - running - len(self._queued)
        counts += [f"{waiting} waiting"] if waiting or not self._queued else []
        left = self._left(now)
        return ", ".join(counts) + (f"; {left}" if left else "")

    def _said_by(self, job: Job) -> str:
        """The last line of the job's log; with hundreds of jobs it may be some seconds old."""
        now = time.monotonic()
        read, line = self._lines.get(job, (-math.inf, ""))
        if now - read >= max(0, len(self._running) - _FEW) / _READS:
            line = last_line(job.log_path)
            self._lines[job] = (now, line)
        return line

    def _why(self) -> str:
        """The three most frequent reasons why jobs are queued."""
        often = Counter(self._queued.values()).most_common(3)
        return printable(", ".join(why for why, _ in often))

    def _left(self, now: float) -> str:
        """The time left, estimated from ended jobs and from the logs of running ones."""
        known, work = list(self._seconds), 0.0
        silent: list[float] = []  # seconds of running jobs whose logs do not say how far they are
        for job, began in self._running.items():
            seconds = now - began
            if said := seconds_said(self._said_by(job)):
                whole, left = said
                known.append(max(whole, seconds + left))
                work += left
            else:
                silent.append(seconds)
        if not known:
            return ""
        each = sum(known) / len(known)
        work += sum(max(0.0, each - seconds) for seconds in silent)
        work += (self._total - self._ended - len(self._running)) * each
        full = self._queued and self._running  # a cluster that has no room for more
        at_once = min(self._num_jobs, len(self._running)) if full else self._num_jobs
        return f"about {duration(work / at_once)} left"


_EPOCH = re.compile(r"\w+ +(\d+)/(\d+)\b(?:.* ([\d.]+) s  )?")


def share_done(line: str) -> float | None:
    """The share of a job that is done, if its last line tells it: "epoch  3/15  …" is a fifth."""
    found = _EPOCH.match(line)
    if found is None or found[2] == "0":
        return None
    return min(1.0, int(found[1]) / int(found[2]))


def seconds_said(line: str) -> tuple[float, float] | None:
    """The seconds of all epochs of a job, and of those left, if its last line tells them."""
    found = _EPOCH.match(line)
    if found is None or found[3] is None:
        return None
    done, total, each = int(found[1]), int(found[2]), float(found[3])
    return total * each, max(0, total - done) * each


def last_lines(path: Path, count: int) -> list[str]:
    """The last ``count`` lines of a log that are not blank."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    return [printable(line).rstrip() for line in text.splitlines() if line.strip()][-count:]


def last_line(path: Path) -> str:
    """The last line of a log, or nothing."""
    return (last_lines(path, 1) or [""])[0]


def failure(job: Job, returncode: int | None) -> str:
    """What a person needs to know about a job that failed, or whose needed job failed."""
    if returncode is None:
        assert job.needs is not None
        return f"{job.label}: not started, because {job.needs.label} failed, which it needs"
    how = f"exit status {returncode}" if returncode >= 0 else f"killed by signal {-returncode}"
    said = last_lines(job.log_path, 10) or _why_silent(job.log_path)
    lines = [f"{job.label}: {how}", *(f"    {line}" for line in said)]
    lines.append(f"  log: {job.log_path}")
    lines.append(f"  again: {shlex.join(['eleatt-bench', *job.arguments])}")
    return "\n".join(lines)


def _why_silent(log: Path) -> list[str]:
    try:
        full = shutil.disk_usage(log.parent).free < _TAIL
    except OSError:
        return []
    return [f"Cannot write to {log.parent}: no space is left. Make room there"] if full else []


def failures_message(failed: Sequence[tuple[Job, int | None]], total: int) -> str:
    """The error that ends a sweep: each failed job with the end of its log.

    Jobs that somebody cancelled, and jobs that needed one of these, are only counted.
    """
    ended = dict(failed)
    cancelled = {job for job, status in failed if CANCELLED_STATUS in (
        status, status if job.needs is None else ended.get(job.needs))}  # fmt: skip
    parts = [failure(job, status) for job, status in failed if job not in cancelled]
    told = [f"{len(parts)} of {total} jobs failed", *parts] if parts else []
    if cancelled:
        told.append(
            f"{len(cancelled)} of {total} jobs were cancelled: the same command goes on with them"
        )
    return "\n\n".join(told)
