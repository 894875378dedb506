"""What it costs to start a job of a sweep: forked from the warm server, and as a cold process.

    .venv/bin/python scripts/bench_launcher.py --csv docs/performance/launcher.csv

Trains one-epoch networks on the digits, one after the other. The cost of a job is its time in the
launcher, from its start until the launcher finds that it has ended, minus the seconds of training
and testing in its record. The first warm job also starts the server: that shows in the total, not
in the median.
"""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench_layer import machine, write_csv
from rich.console import Console

from eleatt_bench.launch.engine import run_jobs
from eleatt_bench.launch.pool import Pool
from eleatt_bench.launch.process import Job
from eleatt_bench.runs.record import all_runs

NETWORK = ("experiment=digits", "model.hidden_size=4", "trainer.max_epochs=1")


def measure(count: int, warm: bool) -> dict[str, float]:
    """Seconds of ``count`` jobs: in total, of a job's own work, and of starting and ending it."""
    with tempfile.TemporaryDirectory() as folder:
        jobs = [
            Job(
                ("train", *NETWORK, f"seed={seed}", f"runs_dir={folder}/runs"),
                f"seed={seed}",
                Path(folder) / f"{seed}.log",
            )
            for seed in range(count)
        ]
        began = time.perf_counter()
        pool = Pool(num_jobs=1, threads_per_job=1, warm=warm)
        results = run_jobs(jobs, pool, console=Console(file=io.StringIO()))
        total = time.perf_counter() - began
        if any(result.returncode != 0 for result in results):
            raise SystemExit(jobs[0].log_path.read_text(encoding="utf-8"))
        own = {}
        for run in all_runs(Path(folder) / "runs"):
            record = run.read()
            assert record is not None
            own[record["seed"]] = record["timing"]["seconds"]
        costs = [result.seconds - own[seed] for seed, result in enumerate(results)]
        return {
            "total_seconds": total,
            "own_seconds": statistics.median(own.values()),
            "cost_median": statistics.median(costs),
            "cost_max": max(costs),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description="What it costs to start a job of a sweep.")
    parser.add_argument("--jobs", type=int, default=50)
    parser.add_argument("--csv", type=Path, help="write every number here")
    given = parser.parse_args()
    rows = []
    for name, warm in (("warm", True), ("cold", False)):
        row = {"start": name, "jobs": given.jobs, **measure(given.jobs, warm)}
        print(
            f"{name}: {given.jobs} jobs in {row['total_seconds']:.1f} s; starting and ending one "
            f"takes {row['cost_median']:.2f} s (median; at most {row['cost_max']:.2f} s), "
            f"its own work {row['own_seconds']:.2f} s"
        )
        rows.append(row)
    print(f"warm costs {rows[0]['cost_median'] / rows[1]['cost_median']:.2f} of cold")
    if given.csv is not None:
        write_csv(given.csv, [{**row, **machine("cpu", 1)} for row in rows])


if __name__ == "__main__":
    sys.exit(main())
