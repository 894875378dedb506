"""``eleatt-bench tensorboard``: TensorBoard over all runs, or some, under readable names."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

from eleatt_bench.cli.arguments import Parser
from eleatt_bench.cli.offers import completing, named_runs
from eleatt_bench.common.errors import UserError
from eleatt_bench.common.locations import runs_dir
from eleatt_bench.runs.record import RunFolder, all_runs, find_run
from eleatt_bench.runs.title import title

_EVERY = 5.0  # seconds between looks for new runs, as in TensorBoard itself
_FIRST = ("val/accuracy", "train/accuracy", "val/loss", "train/loss")
"""The curves that TensorBoard shows first, above the others: a drawing each, with all runs."""


def tensorboard(arguments: list[str]) -> int:
    """``eleatt-bench tensorboard [run=ID,ID...]``; other ``arguments`` go to TensorBoard.

    TensorBoard reads a folder of links to the runs' event files. New runs are linked as they come.
    """
    parser = Parser(
        "eleatt-bench tensorboard",
        usage="eleatt-bench tensorboard [run=ID,ID...] [--port N ...]",
        description="Show the curves and pictures of all runs, or of those given, by their ids or "
        "beginnings of them, each under a name of its own. Everything else that is given goes to "
        "TensorBoard: --port 6007, --bind_all, ...",
        allow_abbrev=False,
    )
    if completing():  # otherwise words for TensorBoard, as 6007 of --port 6007, would be runs
        parser.add_argument("runs", nargs="*", offers=named_runs)
    _, given = parser.parse_some(arguments)
    named = [word for word in given if word.startswith("run=")]
    names = [name for word in named for name in word.removeprefix("run=").split(",") if name]
    runs = runs_dir()
    chosen = [find_run(runs, name) for name in names] or None
    _check_events(runs, chosen)
    with tempfile.TemporaryDirectory(prefix="eleatt-bench-") as temporary:
        links = Path(temporary) / "runs"
        links.mkdir()
        link(runs, links, chosen)
        command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(links)]
        command += ["--window_title", "eleatt-bench", *(w for w in given if w not in named)]
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace"
        )
        passing = threading.Thread(target=_pass_on, args=(process,), daemon=True)
        passing.start()
        try:
            return _follow(process, runs, links, chosen)
        except KeyboardInterrupt:  # TensorBoard got it as well
            return 0
        finally:
            process.terminate()
            process.wait()
            passing.join(_EVERY)


def _check_events(runs: Path, chosen: Sequence[RunFolder] | None) -> None:
    """Refuse to start if there are no runs, or none of these have event files.

    Raises:
        UserError: one of these, or a ``chosen`` run has no event files.
    """
    there = all_runs(runs)
    if not there:
        raise UserError(f"There are no runs in {runs}. Start one: eleatt-bench train")
    without = [run.run_id for run in chosen or () if not run.tensorboard.is_dir()]
    if without:
        raise UserError(f"{', '.join(without)}: {_NONE}")
    if not any(run.tensorboard.is_dir() for run in there):
        raise UserError(f"All runs in {runs}: {_NONE}")


_NONE = (
    "no event files, which logger=tensorboard writes (and runs from elsewhere do not bring). Their "
    "curves are in epochs.csv, and on the pages of eleatt-bench report"
)


def _pass_on(process: subprocess.Popen[str]) -> None:
    """Print TensorBoard's output, and after its address the one that opens on the curves."""
    pins = [{"plugin": "scalars", "tag": tag} for tag in _FIRST]
    query = urlencode({"pinnedCards": json.dumps(pins, separators=(",", ":")), "smoothing": 0})
    assert process.stderr is not None
    for line in process.stderr:
        print(line, end="", file=sys.stderr, flush=True)
        if found := re.search(r" at (https?://\S+/) ", line):
            print(f"The curves first: {found[1]}?{query}#timeseries", file=sys.stderr, flush=True)


def _follow(
    process: subprocess.Popen[str], runs: Path, links: Path, chosen: Sequence[RunFolder] | None
) -> int:
    while True:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(_EVERY)
        link(runs, links, chosen)


def link(runs: Path, links: Path, chosen: Sequence[RunFolder] | None = None) -> None:
    """Make ``links`` hold a link to the event files of each run, and nothing else.

    The runs are those ``chosen``, by default all in ``runs``.
    """
    wanted = {}
    for run in all_runs(runs) if chosen is None else chosen:
        record = run.read()
        if record is not None and run.tensorboard.is_dir():
            wanted[title(record)] = run.tensorboard.resolve()
    for old in links.iterdir():
        if old.name not in wanted:
            old.unlink()
    for name, folder in wanted.items():
        if not (links / name).is_symlink():
            (links / name).symlink_to(folder, target_is_directory=True)
