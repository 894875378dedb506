"""``eleatt-bench tensorboard``: TensorBoard over all runs, each under the name a person knows."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from eleatt_bench.cli.arguments import Parser
from eleatt_bench.common.errors import UserError
from eleatt_bench.common.locations import runs_dir
from eleatt_bench.runs.record import all_runs
from eleatt_bench.runs.title import title

_EVERY = 5.0  # seconds between looks for new runs, as TensorBoard's own


def tensorboard(arguments: list[str]) -> int:
    """``eleatt-bench tensorboard``; ``arguments`` are TensorBoard's own, such as ``--port 6007``.

    It is shown a folder of links to the runs' event files, which follows the runs that come and go.
    """
    parser = Parser(
        "eleatt-bench tensorboard",
        description="Show the curves and pictures of all runs, each under a name of its own. "
        "Everything else that is given goes to TensorBoard: --port 6007, --bind_all, ...",
        allow_abbrev=False,
    )
    _, given = parser.parse_some(arguments)
    runs = runs_dir()
    if not all_runs(runs):
        raise UserError(f"There are no runs in {runs}. Start one: eleatt-bench train")
    with tempfile.TemporaryDirectory(prefix="eleatt-bench-") as temporary:
        links = Path(temporary) / "runs"
        links.mkdir()
        link(runs, links)
        command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(links)]
        process = subprocess.Popen([*command, "--window_title", "eleatt-bench", *given])
        try:
            return _follow(process, runs, links)
        except KeyboardInterrupt:  # TensorBoard got it as well
            return 0
        finally:
            process.terminate()
            process.wait()


def _follow(process: subprocess.Popen[bytes], runs: Path, links: Path) -> int:
    while True:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(_EVERY)
        link(runs, links)


def link(runs: Path, links: Path) -> None:
    """Make ``links`` hold a link to the event files of each run in ``runs``, and nothing else."""
    wanted = {}
    for run in all_runs(runs):
        record = run.read()
        if record is not None and run.tensorboard.is_dir():
            wanted[title(record)] = run.tensorboard.resolve()
    for old in links.iterdir():
        if old.name not in wanted:
            old.unlink()
    for name, folder in wanted.items():
        if not (links / name).is_symlink():
            (links / name).symlink_to(folder, target_is_directory=True)
