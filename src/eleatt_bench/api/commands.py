"""Training from Python: the command line as a process of its own.

So a run is the same whoever starts it, and nothing of the caller's process (random states, threads,
signals) affects it. The caller's process prints the output.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from eleatt_bench.api.frames import Tables, listed, table
from eleatt_bench.api.runs import LoadedRun
from eleatt_bench.cli.train import compose_checked
from eleatt_bench.common.errors import UserError
from eleatt_bench.common.locations import config_flags
from eleatt_bench.config.composer import Composer
from eleatt_bench.launch.process import SAFE_PATH
from eleatt_bench.runs.values import Run
from eleatt_bench.training.folder import wanted_run

_OUTPUT = {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
_GRACE = 60.0  # seconds that an interrupted process has to put its files in order


def train(overrides: Sequence[str] = (), *, quiet: bool = False) -> LoadedRun:
    """Do the run that ``overrides`` describe, as ``eleatt-bench train`` does, and return it.

    A finished run is returned at once; an interrupted run continues. Progress is printed, unless
    ``quiet``.

    Raises:
        UserError: the command fails, with its message.
    """
    said = listed(overrides)
    config = compose_checked(said, "train")
    _run(["train", *config_flags(), *said], quiet)
    # Only now: before, there may have been no data to name the run after.
    folder, _ = wanted_run(said, config, Composer())
    return LoadedRun(Run(folder))


def reproduce(
    name: str,
    overrides: Sequence[str] = (),
    *,
    until_decided: bool = False,
    quiet: bool = False,
) -> Tables:
    """Do the missing runs of the table ``name``, as ``eleatt-bench reproduce`` does; return it.

    Raises:
        UserError: the command fails, with its message.
    """
    said = listed(overrides)
    flags = ["--until-decided"] if until_decided else []
    _run(["reproduce", *config_flags(), name, *said, *flags], quiet)
    return table(name, said)


def _run(arguments: Sequence[str], quiet: bool) -> None:
    """Run ``eleatt-bench`` with ``arguments`` and print what it prints.

    Raises:
        UserError: the command fails, with its message.
    """
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "eleatt_bench", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, **SAFE_PATH, **_OUTPUT},
            start_new_session=True,  # Ctrl-C is handed on below, once
        ) as process,
    ):
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if not quiet:
                    print(line, end="", flush=True)
            process.wait()
        except BaseException:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
        errors.seek(0)
        said = errors.read().strip()
    if process.returncode:
        # From the first error to the end: the message of a sweep quotes the errors of its jobs.
        own = re.search(r"^Error: (.*)", said, re.MULTILINE | re.DOTALL)
        raise UserError(own[1] if own else said or f"exit status {process.returncode}")
    if said:
        print(said, file=sys.stderr)
