"""Ending what a sweep has submitted."""

from __future__ import annotations

from pathlib import Path

from eleatt_bench.launch.endings import CANCELLED, ended_file
from eleatt_bench.launch.slurm import commands
from eleatt_bench.launch.slurm.book import own_book
from eleatt_bench.launch.slurm.commands import ACTIVE, newest, task_id
from eleatt_bench.launch.submitting import submitting


def cancel(folder: Path, name: str) -> int:
    """End the jobs of the sweep ``name`` that are queued or run; how many there were.

    Raises:
        UserError: SLURM does not answer, its list of jobs is damaged, or they are another user's.
    """
    path = folder / f"{name}.json"
    if not path.exists():
        return 0
    with submitting(folder):
        book = own_book(path, 1)
        entries = newest(commands.queue(book.arrays())) if book.logs else {}
        logs = {place: book.log(key) for key, place in book.places().items()}
        tasks = []
        for place, entry in entries.items():
            if place in logs and entry.state in ACTIVE:
                tasks.append(task_id(entry.array, entry.index))
                ended_file(logs[place]).write_text(CANCELLED, encoding="utf-8")
        commands.cancel(tasks)
    return len(tasks)
