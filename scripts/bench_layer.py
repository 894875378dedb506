"""How long a layer takes, and how much memory, as ratios to torch's own layer of the same sizes.

    .venv/bin/python scripts/bench_layer.py --csv docs/performance/NAME.csv     (or: make bench)
    .venv/bin/python scripts/bench_layer.py --device cuda --csv …           (or: make bench-gpu)

Contenders take turns in one process, A B A B …, so that other work of the machine slows all of
them. A ratio is the median of the ratios within a round. `scripts/performance_page.py` makes
docs/performance.md from such files. Every contender is first checked against the equations in
float64.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from bench_contenders import (
    GRAPH,
    MODES,
    ONEDNN,
    PRECISIONS,
    SHAPES,
    Contender,
    Job,
    Shape,
    contenders,
)
from bench_memory import peak_bytes
from bench_onednn import version as onednn_version

from eleatt_bench.common.files import replacing
from eleatt_bench.common.runtime import keep_memory
from eleatt_bench.training.environment import cpu_name, git_commit

# Relative to the largest value: rounding passes, a wrong formula does not.
TOLERANCE = {"float32": 1e-4, "ieee": 1e-4, "tf32": 1e-2, "bf16": 1e-1}
REFERENCES = {"torch": "ratio", ONEDNN: "onednn_ratio"}  # a backend, and the ratios to it


def seconds(job: Job) -> float:
    """The time of one pass; on a GPU between two events."""
    if job.device == "cpu":
        start = time.perf_counter()
        job.run()
        return time.perf_counter() - start
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    job.run()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1000


def error(contender: Contender, shape: Shape, device: str, precision: str) -> float:
    """The `deviation` from the equations in float64, on a short piece of the shape.

    0 for torch's own layers.
    """
    if contender.gate == "torch":
        return 0.0
    piece = shape._replace(T=min(shape.T, 12), B=min(shape.B, 24))
    job = Job(contender, piece, "train", device, precision)
    exact = Job(contender._replace(backend="equations"), piece, "train", device, dtype=torch.double)
    return deviation(job, exact)


def deviation(job: Job, exact: Job) -> float:
    """The largest error of output or gradients in a second pass, over their own largest values."""
    for _ in range(2):
        job.run()
        exact.d_output = job.d_output.double()  # as bf16 has rounded it
        exact.run()
    pairs = zip(job.results(), exact.results(), strict=True)
    wrong = [(a - b).abs().max() / b.abs().max().clamp(min=1e-12) for a, b in pairs]
    return float(torch.stack(wrong).max())  # NaN if any is NaN, unlike Python's max


def measure(jobs: list[Job], rounds: int, budget: float) -> list[dict[str, Any]]:
    """Medians and quartiles of each job's seconds, and of its ratios within a round.

    ``ratio_…`` is to torch's layer of the same cell, ``onednn_ratio_…`` to oneDNN's if that takes
    part. A job's share of ``budget`` seconds grows with the rounds. A job that is ahead of its
    share sits out, except in its first three rounds; references never sit out.
    """
    times: list[list[float]] = [[] for _ in jobs]
    ratios: dict[str, list[list[float]]] = {
        kind: [[] for _ in jobs] for kind in ("ratio", "onednn_ratio")
    }
    for number in range(rounds):
        references: dict[tuple[str, str], float] = {}
        for index, job in enumerate(jobs):
            cell, own = job.contender.cell, times[index]
            share = budget / len(jobs) * (number + 1) / rounds
            kind = REFERENCES.get(job.contender.backend)
            if len(own) >= 3 and sum(own) > share and kind is None:
                continue
            own.append(seconds(job))
            if kind is not None:
                references[kind, cell] = own[-1]
            for name, of in ratios.items():
                if (name, cell) in references:
                    of[index].append(own[-1] / references[name, cell])
    return [
        {f"seconds_{q}": v for q, v in quartiles(own).items()}
        | {f"{name}_{q}": v for name, of in ratios.items() for q, v in quartiles(of[index]).items()}
        | {"rounds": len(own)}
        for index, own in enumerate(times)
    ]


def quartiles(values: list[float]) -> dict[str, Any]:
    if len(values) < 2:
        return dict.fromkeys(("median", "q1", "q3"), values[0] if values else "")
    q1, median, q3 = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": median, "q1": q1, "q3": q3}


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write all of ``rows`` at once, with the columns of the first."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def machine(device: str, threads: int) -> dict[str, Any]:
    gpu = {"driver": "", "triton": ""}
    if device == "cuda":
        asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0"]
        driver = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
        gpu = {"driver": driver, "triton": version("triton")}
    return {
        "date": date.today().isoformat(),
        "device": torch.cuda.get_device_name() if device == "cuda" else cpu_name(),
        **gpu,
        "cores": os.cpu_count(),
        "threads": threads,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "commit": git_commit() or "",
    }


def ready(everyone: list[Contender], shape: Shape, mode: str, *where: str) -> Iterator[Job]:
    """Every contender's job, run once, so that caches are warm and all is compiled or recorded.

    A contender that cannot be recorded (if the CPU reads the lengths) is named and left out.
    """
    for contender in everyone:
        job = Job(contender, shape, mode, *where)
        try:
            job.run()
        except RuntimeError as failure:
            if GRAPH not in contender.backend:
                raise
            print(f"  {contender.name}: left out, {str(failure).splitlines()[0]}")
            continue
        yield job


def rows(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row per contender, shape, precision and mode; printed as they come."""
    about = machine(given.device, given.threads)
    about["onednn"] = onednn_version() if given.onednn else ""
    print(f"{about['device']}, {given.threads} threads, torch {about['torch']}, {about['commit']}")
    for shape in given.shapes or SHAPES[given.device]:
        for precision in given.precisions or PRECISIONS[given.device]:
            everyone = [
                c for c in contenders(
                    given.device, precision, compiled=given.compile,
                    onednn=given.onednn and not shape.ragged,
                )
                if given.only is None or c.backend in REFERENCES
                or any(word in c.name for word in given.only)
            ]  # fmt: skip
            for row in rows_of(everyone, shape, precision, given):
                yield row | about


def rows_of(
    everyone: list[Contender], shape: Shape, precision: str, given: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    where = (given.device, precision)
    errors = {c: error(c, shape, *where) for c in everyone}
    for contender, wrong in errors.items():
        if not wrong < TOLERANCE[precision]:
            sys.exit(f"{contender.name} is wrong at {shape}: relative error {wrong:.1e}")
    peaks = {}
    if given.memory and not shape.ragged:
        unmeasured = ("equations", ONEDNN)
        peaks = {c: peak_bytes(c, shape) for c in everyone if not c.backend.startswith(unmeasured)}
    for mode in given.modes:
        print(f"\n{shape} {precision}: {mode}")
        jobs = list(ready(everyone, shape, mode, *where))
        for job, numbers in zip(jobs, measure(jobs, given.rounds, given.seconds), strict=True):
            c = job.contender
            print(
                f"  {c.cell:<16}{c.gate:<9}{c.backend:<26}"
                f"{1e3 * numbers['seconds_median']:9.2f} ms  x {numbers['ratio_median']:.2f}"
                f"  ({numbers['ratio_q1']:.2f} to {numbers['ratio_q3']:.2f})"
            )
            yield {
                **shape._asdict(), "frames": job.frames / (shape.T * shape.B), "mode": mode,
                "precision": precision, **c._asdict(), **numbers, "error": errors[c],
                "peak_bytes": peaks.get(c, ""),
            }  # fmt: skip


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", choices=PRECISIONS, default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--seconds", type=float, default=60, help="for one shape and mode, about")
    parser.add_argument(
        "--shapes", type=Shape.parse, nargs="+", metavar="T,B,D,H[,LAYERS][r]", help="r: ragged"
    )
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--precisions", nargs="+", help="on a GPU: tf32, ieee, bf16")
    parser.add_argument("--only", nargs="+", help="words: contenders that have one of them")
    parser.add_argument("--compile", action="store_true", help="the loop's steps compiled, too")
    parser.add_argument(
        "--memory", action="store_true", help="peak memory of scan, native and torch, too (CPU)"
    )
    parser.add_argument(
        "--onednn", action="store_true", help="oneDNN's own layers, too (CPU; see bench_onednn.py)"
    )
    parser.add_argument("--csv", type=Path, help="write every number here")
    given = parser.parse_args()
    wrong = set(given.precisions or ()) - set(PRECISIONS[given.device])
    if wrong:
        parser.error(f"on {given.device} precision is one of {', '.join(PRECISIONS[given.device])}")
    if (given.memory or given.onednn) and given.device != "cpu":
        parser.error("--memory and --onednn are for --device cpu")
    return given


def main() -> None:
    given = arguments()
    keep_memory()
    torch.set_num_threads(given.threads)
    if not given.csv:
        for _ in rows(given):
            pass
        return
    writer = None
    partial = given.csv.with_suffix(".part")  # if a long run is stopped, it keeps what was measured
    with partial.open("w", newline="") as file:
        for row in rows(given):
            if writer is None:
                writer = csv.DictWriter(file, list(row))
                writer.writeheader()
            writer.writerow(row)
            file.flush()
    partial.rename(given.csv)


if __name__ == "__main__":
    main()
