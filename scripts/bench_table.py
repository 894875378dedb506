"""What it takes to show thousands of runs: `eleatt-bench table` and `runs list`, as commands.

    .venv/bin/python scripts/bench_table.py --csv docs/performance/table.csv

Trains one network on the digits and copies its record, epochs and predictions under the names of
all the runs that a table of twenty rows and a thousand seeds needs. Then it times the commands that
show the table, a part of it, and the list of all runs: the first time, with an empty cache
(`eleatt_bench.common.cache`), and later times. PYTHONDONTWRITEBYTECODE is unset, so that Python
keeps what it compiled, as on a user's machine. Linux only.
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
from typing import NamedTuple

from bench_layer import machine, write_csv
from bench_memory import resident

from eleatt_bench.runs.record import RunFolder, all_runs
from eleatt_bench.tables.plan import plans

TRAIN = ("train", "experiment=digits", "model=eleatt_gru", "trainer.max_epochs=39")
TABLE = """\
name: many
title: Many runs
overrides: [experiment=digits]
looks: [3, {seeds}]
columns: [{{name: accuracy}}]
rows:
{rows}
claims: [{{better: size 9, than: size 8}}]
"""
SMALLEST = 8  # units of the first row's networks; each row has one more than the row before


def write_table(folder: Path, rows: int, seeds: int) -> None:
    lines = [
        f"  - {{name: size {size}, overrides: [model.hidden_size={size}]}}"
        for size in range(SMALLEST, SMALLEST + rows)
    ]
    folder.mkdir(parents=True)
    (folder / "many.yaml").write_text(TABLE.format(seeds=seeds, rows="\n".join(lines)))


def seeds_override(seeds: int) -> str:
    return f"table.seeds=[{','.join(map(str, range(seeds)))}]"


def fill(runs_dir: Path, seeds: int) -> int:
    """Make a folder for every run that the table needs for ``seeds`` seeds; their number.

    All are copies of one real run, each under its own name and identity.
    """
    command(TRAIN)
    (template,) = all_runs(runs_dir)
    record = template.read()
    assert record is not None
    (plan,) = plans("many", [seeds_override(seeds)])
    for run in plan.runs:
        assert run.run_id is not None
        folder = RunFolder(runs_dir, run.run_id)
        folder.path.mkdir(parents=True, exist_ok=True)
        own = {**record, "run_id": run.run_id, "identity": run.identity, "seed": run.seed}
        folder.record.write_text(json.dumps(own, indent=2), encoding="utf-8")
        shutil.copyfile(template.predictions, folder.predictions)
        shutil.copyfile(template.epochs, folder.epochs)
    shutil.rmtree(template.path)
    return len(plan.runs)


class Took(NamedTuple):
    """Time and peak memory of a command."""

    seconds: float
    peak_bytes: int


def command(arguments: Sequence[str]) -> Took:
    """Run ``eleatt-bench`` with ``arguments``, and measure it."""
    began, peak = time.perf_counter(), 0
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "eleatt_bench", *arguments], stdout=said, stderr=said
        )
        while process.poll() is None:  # the peak reported at its end counts this process, too
            peak = max(peak, resident("VmHWM", process.pid))
            time.sleep(0.01)
        if process.returncode != 0:
            said.seek(0)
            raise SystemExit(said.read().decode())
    return Took(time.perf_counter() - began, peak)


def measure(shown: Sequence[str], repeats: int) -> dict[str, float]:
    """What a command takes: the first time, with an empty cache, and later times."""
    shutil.rmtree(os.environ["XDG_CACHE_HOME"], ignore_errors=True)
    first, *later = [command(shown) for _ in range(1 + repeats)]
    seconds = [took.seconds for took in later]
    return {
        "seconds_first": first.seconds,
        "seconds_median": statistics.median(seconds),
        "seconds_min": min(seconds),
        "seconds_max": max(seconds),
        "peak_bytes": max(took.peak_bytes for took in later),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="What it takes to show many runs.")
    parser.add_argument("--rows", type=int, default=20, help="of the table, 2 at least")
    parser.add_argument("--seeds", type=int, default=1000, help="of each row")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--csv", type=Path, help="write every number here")
    given = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    found, about = [], machine("cpu", 1)
    with tempfile.TemporaryDirectory() as folder:
        for variable in ("ELEATT_RUNS", "ELEATT_DATA", "ELEATT_CONFIGS", "XDG_CACHE_HOME"):
            os.environ[variable] = str(Path(folder) / variable)
        write_table(Path(os.environ["ELEATT_CONFIGS"]) / "table", given.rows, given.seeds)
        filled = fill(Path(os.environ["ELEATT_RUNS"]), given.seeds)
        cases = [
            ("table", given.rows * seeds, ["table", "many", seeds_override(seeds)])
            for seeds in (given.seeds, max(4, given.seeds // 10), 3)
        ]
        for name, runs, arguments in [*cases, ("runs list", filled, ["runs", "list"])]:
            row = {
                "command": name, "runs": runs, "run_folders": filled,
                **measure(arguments, given.repeats),
            }  # fmt: skip
            print(
                f"{name}, {runs:,} of {filled:,} runs: {row['seconds_median']:.2f} s (median of "
                f"{given.repeats}; {row['seconds_min']:.2f} to {row['seconds_max']:.2f}), the "
                f"first time {row['seconds_first']:.2f} s; {row['peak_bytes'] / 1e6:.0f} MB",
                flush=True,
            )
            found.append({**row, **about})
    more, longer = (found[0][key] / found[2][key] for key in ("runs", "seconds_median"))
    print(f"{more:.0f} times the runs take {longer:.2f} times as long")
    if given.csv is not None:
        write_csv(given.csv, found)


if __name__ == "__main__":
    sys.exit(main())
