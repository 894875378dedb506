"""Jobs as tasks of SLURM's arrays: submitted once, and found again by later commands."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from eleatt_bench.common.files import write_text
from eleatt_bench.launch.endings import CANCELLED_STATUS, clear, show_log, tell, tries_file
from eleatt_bench.launch.losses import Losses
from eleatt_bench.launch.process import BUSY, Job
from eleatt_bench.launch.settings import begins_anew
from eleatt_bench.launch.slurm import commands
from eleatt_bench.launch.slurm.book import Book, books_of, own_book
from eleatt_bench.launch.slurm.commands import ACTIVE, RUNNING, QueueEntry, SlurmError, newest
from eleatt_bench.launch.slurm.lanes import Lanes
from eleatt_bench.launch.slurm.script import Request, index_list, script
from eleatt_bench.launch.slurm.tasks import Again, Ended, Task, fate
from eleatt_bench.launch.submitting import submitting

_SLOWEST = 6  # times the usual pause between two looks, if nothing happens in the queue


class Slurm:
    """An engine whose jobs stay with SLURM, even when the engine is left; see `engine.Engine`.

    ``folder`` has the books of all sweeps of a folder of runs; ``name`` is the name of this sweep.
    A job that any sweep of that folder has queued is not submitted again. The engine has at most
    ``most`` jobs at the same time; None: as many as there are.
    """

    queues = True

    def __init__(
        self,
        wanted: Request,
        folder: Path,
        name: str,
        *,
        at_once: int,
        most: int | None,
        say: Callable[[str], None],
    ) -> None:
        self._wanted, self._folder, self._name = wanted, folder, name
        self._own_book = folder / f"{name}.json"
        self.at_once, self._most, self._say = at_once, most, say
        self.pause = min(2.0, max(0.1, wanted.poll / 5))
        self._new: dict[Job, str] = {}  # started but not submitted yet, and why
        self._tasks: dict[Job, Task] = {}
        self._results: dict[Job, int | None] = {}
        self._told: dict[Job, int | None] = {}  # results that were given out
        self._lost = Losses(wanted.resubmit)
        self._had_tasks = False
        self._next = 0.0  # when to look at the queue again
        self._interval = wanted.poll

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._tasks:
            anew = any(begins_anew(job.arguments) for job in self._tasks)
            again = " and begins anew what is finished by then" if anew else ""
            ends = "with --cancel"
            if self._most is not None:  # a search, which has no such flag
                # Not by arrays, since these may hold jobs of other processes.
                own = [task.name for task in self._tasks.values() if not task.foreign]
                ends = f"by scancel {' '.join(own)}" if own else "by the sweeps that submitted them"
            self._say(
                f"{len(self._tasks):,} jobs stay in SLURM's queue or go on ({self._known_as()}): "
                f"the same command attaches to them again{again}; they are ended {ends}"
            )
        if self._new:
            self._say(f"{len(self._new):,} jobs were not submitted: the same command does that")

    def _known_as(self) -> str:
        names = sorted({task.array for task in self._tasks.values()}, key=int)
        return f"squeue --jobs={','.join(names)}"

    def __len__(self) -> int:
        return len(self._new) + len(self._tasks) + len(self._results)

    @property
    def has_room(self) -> bool:
        return self._most is None or len(self) < self._most

    def fits(self, job: Job) -> bool:
        return True

    def start(self, job: Job) -> None:
        self._new[job] = "to be submitted"
        self._next = 0.0

    def waits(self, job: Job) -> str | None:
        if job in self._new:
            return self._new[job]
        task = self._tasks.get(job)
        return None if task is None or task.state in RUNNING else task.reason

    def runs_for(self, job: Job) -> float:
        task = self._tasks.get(job)
        return 0.0 if task is None else task.seconds

    def stop(self, job: Job) -> None:
        if self._new.pop(job, None) is not None:
            self._results[job] = CANCELLED_STATUS
        elif (task := self._tasks.get(job)) is not None and task.foreign:
            self._end(job, CANCELLED_STATUS)  # the other sweep wants it still
        elif task is not None:
            task.stopped = True
            self._cancel_stopped()
            self._next = 0.0

    def ended(self) -> Iterator[tuple[Job, int | None]]:
        now = time.monotonic()
        if now >= self._next:
            try:
                if self._new:
                    self._submit()
                changed = self._look()
                self._interval = self._wanted.poll if changed else self._interval * 1.5
            except SlurmError as error:
                if not self._had_tasks or not error.passes:
                    raise
                self._say(f"{error}; asking again")
                self._interval *= 2
            self._interval = min(self._interval, _SLOWEST * self._wanted.poll)
            self._next = time.monotonic() + self._interval
        while self._results:
            job = next(iter(self._results))
            self._told[job] = self._results.pop(job)
            yield job, self._told[job]

    def submit(self, jobs: Sequence[Job]) -> int:
        """Submit ``jobs``, even if another process is at them; how many are queued or run now.

        Raises:
            SlurmError: SLURM does not take them.
        """
        self._new = dict.fromkeys(jobs, "to be submitted")
        self._submit(wait=False)
        return len(self._tasks)

    def time_limit(self, job: Job) -> str:
        """How long ``job`` may run, as SLURM writes it; empty where that is not known."""
        task = self._tasks.get(job)
        return "" if task is None else commands.time_limit(task.name)

    # Submitting.

    def _submit(self, *, wait: bool = True) -> None:
        with submitting(self._folder) as lock:
            keys = [job.key for job in self._new]
            book = own_book(self._own_book, commands.largest_array())
            books = [*books_of(self._folder, keys), book]
            arrays = {array for one in books for array in one.arrays()} or {self._name}
            entries = newest(commands.queue(sorted(arrays)))
            self._adopt(books, entries)
            ready = {job for job in self._new if not (wait and self._is_held(job))}
            for job in self._new:
                self._new[job] = self._new[job] if job in ready else BUSY
                if job in ready:  # a search may have written another log before; the place stays
                    book.logs[job.key] = os.path.relpath(job.log_path, self._folder)
            if not ready:
                return
            book.write()
            places, own = book.places(), set(book.arrays())
            before = {one.array for one in entries.values()
                      if one.name in own and one.state in ACTIVE}  # fmt: skip
            while groups := self._groups(ready, places):
                lanes = Lanes(self._wanted.parallel, len(groups), before)
                for number, ((array, needs), jobs) in enumerate(groups.items()):
                    after = [f"afterok:{needs}"] if needs else []
                    limit, waits = lanes.of(number)
                    words = [f"--array={index_list([places[job.key][1] for job in jobs])}{limit}"]
                    if after or waits:
                        words.append(f"--dependency={','.join([*after, *waits])}")
                    by_index = {places[job.key][1]: job for job in jobs}
                    made = self._hand_over(array, needs, words, by_index, book, lock)
                    lanes.add(number, made)
                    ready.difference_update(jobs)
                before = lanes.last

    def _adopt(self, books: Sequence[Book], entries: Mapping[tuple[str, int], QueueEntry]) -> None:
        """Take over jobs that others have queued, and jobs that are done."""
        queued: dict[str, tuple[Book, QueueEntry]] = {}
        for book in books:
            for key, place in book.places().items():
                if place in entries and entries[place].state in ACTIVE:
                    queued[key] = book, entries[place]
        before = len(self._tasks)
        for job in list(self._new):
            if job.key in queued:
                book, entry = queued[job.key]
                del self._new[job]
                foreign = book.path != self._own_book
                task = Task(entry.array, entry.index, entry.name, foreign=foreign)
                self._take(job, task)
                task.see(entry)
                show_log(job.log_path, book.log(job.key))
            elif job.done is not None and job.done():
                del self._new[job]
                self._results[job] = 0
        if found := len(self._tasks) - before:
            self._say(f"SLURM has {found:,} of the jobs already ({self._known_as()})")

    def _take(self, job: Job, task: Task) -> None:
        self._tasks[job] = task
        self._had_tasks = True

    def _is_held(self, job: Job) -> bool:
        """Whether a process outside SLURM is at ``job``, or at the job that it needs."""
        needed = job.needs is not None and job.needs in self._new and self._is_held(job.needs)
        return needed or (job.busy is not None and job.busy())

    def _groups(
        self, ready: set[Job], places: Mapping[str, tuple[str, int]]
    ) -> dict[tuple[str, str | None], list[Job]]:
        """The jobs of ``ready`` whose turn it is, by array and by the task that they need."""
        groups = defaultdict[tuple[str, str | None], list[Job]](list)
        for job in [job for job in self._new if job in ready]:
            if job.needs is not None and job.needs in self._new:
                continue
            if self._is_orphan(job):
                ready.discard(job)
                del self._new[job]
                self._results[job] = None
                continue
            needed = None if job.needs is None else self._tasks.get(job.needs)
            groups[places[job.key][0], None if needed is None else needed.name].append(job)
        return groups

    def _hand_over(
        self,
        array: str,
        needs: str | None,
        words: Sequence[str],
        jobs: Mapping[int, Job],
        book: Book,
        lock: int,
    ) -> str:
        """Submit ``jobs`` as tasks of one array, with ``words`` for sbatch; the array's id."""
        for job in jobs.values():
            clear(job.log_path)
            if job not in self._lost:  # somebody asks for it anew
                tries_file(job.log_path).unlink(missing_ok=True)
        path = book.path.with_suffix(".sh")
        write_text(path, script(jobs, self._wanted))
        output = str(book.path.with_suffix("").absolute() / "slurm.txt")
        (path.with_suffix("")).mkdir(exist_ok=True)
        number = commands.submit(
            f"--job-name={array}", f"--output={output.replace('%', '%%')}", "--open-mode=append",
            *self._wanted.options, *words, str(path.absolute()),
            keep_open=lock,
        )  # fmt: skip
        for index, job in jobs.items():
            del self._new[job]
            self._take(job, Task(number, index, array))
        after = f", after {needs}" if needs else ""
        self._say(f"SLURM has {len(jobs):,} job{'s' * (len(jobs) != 1)} as array {number}{after}")
        return number

    # Looking.

    def _look(self) -> bool:
        """Ask SLURM once about all tasks; whether the state of any has changed."""
        if not self._tasks:
            return True
        self._cancel_stopped()
        names = {task.array_name for task in self._tasks.values()}
        entries = {(one.array, one.index): one for one in commands.queue(sorted(names))}
        before = [(job, task.state) for job, task in self._tasks.items()]
        for job, task in list(self._tasks.items()):
            self._judge(job, task, entries.get((task.array, task.index)))
        return before != [(job, task.state) for job, task in self._tasks.items()]

    def _cancel_stopped(self) -> None:
        """Ask SLURM to end what was stopped, at every look: an answer may fail to come."""
        stopped = [one.name for one in self._tasks.values() if one.stopped and one.state in ACTIVE]
        with suppress(SlurmError):
            commands.cancel(stopped)

    def _judge(self, job: Job, task: Task, entry: QueueEntry | None) -> None:
        task.see(entry)
        match fate(task, job, is_orphan=self._is_orphan(job)):
            case Ended(status, told):
                self._end(job, status, told)
            case Again(why, lost=True):
                self._go_on(job, why)
            case Again(why):
                del self._tasks[job]
                self._new[job] = why

    def _is_orphan(self, job: Job) -> bool:
        """Whether the job that ``job`` needs has failed."""
        if job.needs is None:
            return False
        return self._results.get(job.needs, self._told.get(job.needs, 0)) != 0

    def _end(self, job: Job, status: int | None, told: str | None = None) -> None:
        if told and status != 0:
            tell(job.log_path, f"SLURM: {told}")
        del self._tasks[job]
        self._results[job] = status

    def _go_on(self, job: Job, why: str) -> None:
        """Submit ``job`` once more, unless it was lost too often without progress."""
        task = self._tasks.pop(job)
        if task.stopped:
            self._results[job] = CANCELLED_STATUS
            return
        why += f" ({task.nodes})" if task.nodes else ""
        if told := self._lost.too_often(job, why):
            self._tasks[job] = task
            self._end(job, 1, f"{told}. What jobs find there: eleatt-bench doctor launcher=slurm")
            return
        self._say(f"submitted again  {job.label}: {why}")
        self._new[job] = why
        self._next = 0.0
