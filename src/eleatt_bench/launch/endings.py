"""What a job on a cluster leaves beside its log: how it ended, and how often it began in vain."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from eleatt_bench.common.errors import UserError

NO_FOLDER, NO_LOG = 71, 73
"""Statuses of a job that did not begin: its node lacks the folder, or that of its log."""

AGAIN = "again"
CANCELLED = "cancelled"
"""What stands in the place of an exit status where a job is to be submitted once more, and where
somebody took it from the queue: SLURM keeps no trace of a task that had not begun."""

CANCELLED_STATUS = -signal.SIGTERM
"""The exit status, as an engine tells it, of a job that somebody ended."""


def ended_file(log: Path) -> Path:
    """Where a job with this log leaves its exit status."""
    return log.with_name(log.name.removesuffix(".log") + ".exit")


def tries_file(log: Path) -> Path:
    """Where it counts how often it began without getting on, and whether it ever did."""
    return log.with_name(log.name.removesuffix(".log") + ".tries")


def started_file(log: Path) -> Path:
    """Where it says, with Ray, which process on which host it is."""
    return log.with_name(log.name.removesuffix(".log") + ".started")


def exit_status(log: Path) -> str | None:
    """What a job left; None where it left nothing that can be read."""
    try:
        said = ended_file(log).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return said if said in (AGAIN, CANCELLED) or (said.isdecimal() and int(said) < 256) else None


def show_log(here: Path, there: Path) -> None:
    """Let the log of a job that another sweep submitted be found ``here`` as well."""
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
