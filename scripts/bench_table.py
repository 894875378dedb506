"""What it takes to show a table of thousands of runs: `eleatt-bench table`, as a command.

    .venv/bin/python scripts/bench_table.py --csv docs/performance/table.csv

Trains one network on the digits and copies what it left, record, epochs and predictions, under the
names of all the runs that the table of the digits needs, then times the command that shows it:
the first time, when nothing is kept of earlier commands (`eleatt_bench.common.cache`), and later
ones. As on a user's machine Python keeps what it compiled, whatever PYTHONDONTWRITEBYTECODE says.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench_layer import machine, write_csv

from eleatt_bench.runs.record import RunFolder, all_runs
from eleatt_bench.tables.plan import plans

TRAIN = ("train", "experiment=digits", "model=eleatt_gru", "trainer.max_epochs=39")


def seeds_override(seeds: int) -> str:
    return f"table.seeds=[{','.join(map(str, range(seeds)))}]"


def fill(runs_dir: Path, seeds: int) -> int:
    """Give every run that the table of the digits needs for so many seeds a folder; their number.

    All are copies of one real run, each under its own name and identity.
    """
    command(TRAIN)
    (template,) = all_runs(runs_dir)
    record = template.read()
    assert record is not None
    (plan,) = plans("digits", [seeds_override(seeds)])
    for run in plan.runs:
        assert run.run_id is not None
        folder = RunFolder(runs_dir, run.run_id)
        folder.path.mkdir(parents=True, exist_ok=True)
        own = {**record, "run_id": run.run_id, "identity": run.identity, "seed": run.seed}
        folder.record.write_text(json.dumps(own, indent=2), encoding="utf-8")
        shutil.copyfile(template.predictions, folder.predictions)
        shutil.copyfile(template.epochs, folder.epochs)
    return len(plan.runs)


def command(arguments: Sequence[str]) -> float:
    """Seconds that ``eleatt-bench`` takes with these arguments."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "eleatt_bench", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(done.stdout + done.stderr)
    return time.perf_counter() - began


def measure(seeds: int, run_folders: int, repeats: int) -> dict[str, float]:
    """Seconds of the command for a table of so many seeds: the first time, and then."""
    shown = ["table", "digits", seeds_override(seeds)]
    first, *seconds = [command(shown) for _ in range(1 + repeats)]
    return {
        "runs": 6 * seeds,
        "run_folders": run_folders,
        "seconds_first": first,
        "seconds_median": statistics.median(seconds),
        "seconds_min": min(seconds),
        "seconds_max": max(seconds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="What it takes to show a table of many runs.")
    parser.add_argument("--seeds", type=int, default=334, help="six runs each")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--csv", type=Path, help="write every number here")
    given = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder:
        for variable in ("ELEATT_RUNS", "ELEATT_DATA", "XDG_CACHE_HOME"):
            os.environ[variable] = str(Path(folder) / variable)
        filled = fill(Path(os.environ["ELEATT_RUNS"]), given.seeds)
        rows = [measure(seeds, filled, given.repeats) for seeds in (given.seeds, 3)]
    for row in rows:
        print(
            f"{row['runs']:,} of {filled:,} runs: {row['seconds_median']:.2f} s (median of "
            f"{given.repeats}; {row['seconds_min']:.2f} to {row['seconds_max']:.2f}), "
            f"the first time {row['seconds_first']:.2f} s"
        )
    more, longer = (rows[0][key] / rows[1][key] for key in ("runs", "seconds_median"))
    print(f"{more:.0f} times the runs take {longer:.2f} times as long")
    if given.csv is not None:
        write_csv(given.csv, [{**row, **machine("cpu", 1)} for row in rows])


if __name__ == "__main__":
    sys.exit(main())
