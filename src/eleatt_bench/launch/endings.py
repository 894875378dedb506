"""Files that a job on a cluster leaves beside its log: how it ended, how often it began in vain."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from eleatt_bench.common.errors import UserError

NO_FOLDER, NO_LOG = 71, 73
"""Exit statuses of a job that did not begin: its node has no working folder, or no log folder."""

AGAIN = "again"
CANCELLED = "cancelled"
"""Words in the place of an exit status: submit the job again, or somebody cancelled the job.

SLURM keeps no trace of a task that was cancelled before it began.
"""

CANCELLED_STATUS = -signal.SIGTERM
"""The exit status that an engine reports for a job that somebody ended."""


def ended_file(log: Path) -> Path:
    """Where a job with this log leaves its exit status."""
    return log.with_name(log.name.removesuffix(".log") + ".exit")


def tries_file(log: Path) -> Path:
    """Where a job with this log counts its starts without progress; notes if it ever made any."""
    return log.with_name(log.name.removesuffix(".log") + ".tries")


def started_file(log: Path) -> Path:
    """Where a job of Ray with this log says which process on which host it is."""
    return log.with_name(log.name.removesuffix(".log") + ".started")


def exit_status(log: Path) -> str | None:
    """The exit status, or the word in its place, that a job left; None if none can be read."""
    try:
        said = ended_file(log).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return said if said in (AGAIN, CANCELLED) or (said.isdecimal() and int(said) < 256) else None


def clear(log: Path) -> None:
    """Make the folder of ``log`` for a job that is to begin, and remove an old exit status.

    An old log stays, for the job to add to; a link to the log of another sweep does not.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.is_symlink():
        log.unlink()
    ended_file(log).unlink(missing_ok=True)


def tell(log: Path, line: str) -> None:
    """Add ``line`` to ``log``, if that can be written: what the cluster says of the job."""
    with suppress(OSError), log.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def show_log(here: Path, there: Path) -> None:
    """Link ``here`` to the log ``there`` of a job that another sweep submitted."""
    if here.absolute() == there.absolute():
        return
    try:
        here.parent.mkdir(parents=True, exist_ok=True)
        here.unlink(missing_ok=True)
        here.symlink_to(os.path.relpath(there, here.parent))
        for of_log in (ended_file, tries_file):
            of_log(here).unlink(missing_ok=True)
            of_log(here).symlink_to(os.path.relpath(of_log(there), here.parent))
    except OSError as error:
        raise UserError(f"{here} cannot be made: {error.strerror}") from error
