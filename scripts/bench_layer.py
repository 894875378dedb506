"""How long a layer takes, and how much memory, as ratios to torch's own layer of the same sizes.

    .venv/bin/python scripts/bench_layer.py --csv docs/performance/NAME.csv     (or: make bench)

Contenders take turns in one process, A B A B …, so that what else the machine does falls on all of
them; a ratio is the median of the ratios within a round. `scripts/performance_page.py` makes
docs/performance.md of such files. Every contender is first held against the equations in float64.
"""

from __future__ import annotations

import argparse
import csv
import gc
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from eleatt_bench import EleAttGRU, EleAttLSTM, EleAttRNN
from eleatt_bench.nn import equations, loop
from eleatt_bench.nn.backends import BACKENDS
from eleatt_bench.training.environment import cpu_name, git_commit

OWN = {"GRU": EleAttGRU, "GRU reset_after": EleAttGRU, "LSTM": EleAttLSTM, "RNN": EleAttRNN}
TORCH = {"GRU": nn.GRU, "GRU reset_after": nn.GRU, "LSTM": nn.LSTM, "RNN": nn.RNN}
MODES = ("train", "train, first layer", "inference")
STEPS = ("attention_gate", "rnn_step", "lstm_step", "gru_step", "gru_step_reset_after")
TOLERANCE = 2e-3  # of the largest value: float32 and TF32 pass, a wrong formula does not


class Shape(NamedTuple):
    """T steps of B sequences of D numbers, H units; ragged: a fifth of T to all of it."""

    T: int
    B: int
    D: int
    H: int
    layers: int = 1
    ragged: bool = False

    @classmethod
    def parse(cls, text: str) -> Shape:
        ragged = text.endswith("r")
        return cls(*map(int, text.removesuffix("r").split(",")), ragged=ragged)  # type: ignore[arg-type]


CPU_SHAPES = [
    shape._replace(ragged=ragged)
    for shape in (Shape(100, 256, 150, 100), Shape(100, 32, 60, 100),
                  Shape(784, 100, 1, 100), Shape(28, 128, 28, 100))
    for ragged in (False, True)
]  # fmt: skip
CUDA_SHAPES = [
    Shape(100, 256, 150, 100, 3),
    Shape(50, 32, 60, 100, 3),
    Shape(784, 128, 1, 128),
    Shape(300, 256, 150, 100, 3, ragged=True),
]


class Contender(NamedTuple):
    cell: str
    gate: str  # "sigmoid", "none", or "torch" for torch's own layer
    backend: str

    @property
    def name(self) -> str:
        return f"{self.cell} {self.gate} {self.backend}"

    def layer(self, shape: Shape, device: str, dtype: torch.dtype = torch.float32) -> nn.Module:
        torch.manual_seed(0)
        options: dict[str, Any] = {"num_layers": shape.layers, "device": device, "dtype": dtype}
        if self.gate == "torch":
            return TORCH[self.cell](shape.D, shape.H, **options)
        if self.cell == "GRU reset_after":
            options["reset_after"] = True
        options["backend"] = self.backend.partition(",")[0]
        options["gate"] = None if self.gate == "none" else self.gate
        return OWN[self.cell](shape.D, shape.H, **options)


def contenders(device: str, compiled: bool) -> list[Contender]:
    """Torch's own layers, then every cell, gated and plain, on every backend of ``device``."""
    elsewhere = {"cpu": {"auto", "triton"}, "cuda": {"auto", "native"}}[device]
    backends = [name for name in BACKENDS if name not in elsewhere]
    if compiled:
        backends.append("equations, steps compiled")
    return [Contender(cell, "torch", "torch") for cell in OWN] + [
        Contender(cell, gate, backend)
        for cell in OWN
        for gate in ("sigmoid", "none")
        for backend in backends
    ]


@cache
def steps(compiled: bool) -> dict[str, Callable[..., Any]]:
    """The functions that the loop calls in every step; compiled when they are first called."""
    plain = {name: getattr(equations, name) for name in STEPS}
    return {k: torch.compile(f, dynamic=False) for k, f in plain.items()} if compiled else plain


class Job:
    """One contender with its input: `run` is one pass."""

    def __init__(self, contender: Contender, shape: Shape, mode: str, device: str) -> None:
        self.contender, self.device = contender, device
        self.layer = contender.layer(shape, device)
        self.training = mode != "inference"
        generator = torch.Generator().manual_seed(1)
        self.inputs = [
            torch.randn(shape.T, shape.B, shape.D, generator=generator).to(device)
            for _ in range(4 if device == "cuda" else 1)  # rotating, so that no cache holds them
        ]
        for x in self.inputs:
            x.requires_grad_(mode == "train")
        self.d_output = torch.randn(shape.T, shape.B, shape.H, generator=generator).to(device)
        self.lengths = None
        if shape.ragged:
            self.lengths = torch.randint(shape.T // 5, shape.T + 1, (shape.B,), generator=generator)
            self.lengths = self.lengths.clamp(min=1).sort(descending=True)[0]
            self.lengths[0] = shape.T
        self.turn = 0

    def forward(self, x: Tensor) -> Tensor:
        if self.lengths is None:
            return self.layer(x)[0]
        if self.contender.gate == "torch":
            return self.layer(pack_padded_sequence(x, self.lengths))[0].data
        return self.layer(x, lengths=self.lengths)[0]

    def run(self) -> None:
        vars(loop).update(steps("compiled" in self.contender.backend))
        x = self.inputs[self.turn % len(self.inputs)]
        self.turn += 1
        if not self.training:
            with torch.inference_mode():
                self.forward(x)
            return
        x.grad = None
        self.layer.zero_grad()
        output = self.forward(x)
        output.backward(self.d_output.flatten(0, 1)[: len(output)] if output.dim() == 2
                        else self.d_output)  # fmt: skip

    def seconds(self) -> float:
        if self.device == "cpu":
            start = time.perf_counter()
            self.run()
            return time.perf_counter() - start
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        self.run()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / 1000


def error(contender: Contender, shape: Shape, device: str) -> float:
    """The largest error of output and gradients against float64 equations, over the largest value.

    On a short piece of the shape; 0 for torch's own layers, which are another matter.
    """
    if contender.gate == "torch":
        return 0.0
    piece = shape._replace(T=min(shape.T, 12), B=min(shape.B, 24))
    results = []
    for dtype, judged in ((torch.float32, contender), (torch.float64, None)):
        job = Job(judged or contender._replace(backend="equations"), piece, "train", device)
        job.layer = job.layer.to(dtype)
        job.inputs = [job.inputs[0].detach().to(dtype).requires_grad_()]
        vars(loop).update(steps("compiled" in contender.backend and judged is not None))
        output = job.forward(job.inputs[0])
        output.backward(job.d_output.to(dtype))
        given = [job.inputs[0], *job.layer.parameters()]
        results.append([output.detach().double(), *(t.grad.double() for t in given)])
    pairs = list(zip(*results, strict=True))
    return max(float((a - b).abs().max() / b.abs().max().clamp(min=1e-12)) for a, b in pairs)


def measure(jobs: list[Job], rounds: int, budget: float) -> list[dict[str, float]]:
    """Median and quartiles of each job's seconds and of its ratio to torch's layer, by rounds.

    A job that has used up its share of ``budget`` seconds sits out until the others caught up.
    """
    times: list[list[float]] = [[] for _ in jobs]
    ratios: list[list[float]] = [[] for _ in jobs]
    for job in jobs:
        job.run()  # caches, and what is compiled at first use
    for number in range(rounds):
        reference: dict[str, float] = {}
        for job, own, ratio in zip(jobs, times, ratios, strict=True):
            share = budget / len(jobs) * (number + 1) / rounds
            if len(own) >= 3 and sum(own) > share and job.contender.gate != "torch":
                continue
            own.append(job.seconds())
            if job.contender.gate == "torch":
                reference[job.contender.cell] = own[-1]
            ratio.append(own[-1] / reference[job.contender.cell])
    return [
        {f"seconds_{q}": v for q, v in quartiles(own).items()}
        | {f"ratio_{q}": v for q, v in quartiles(ratio).items()}
        | {"rounds": len(own)}
        for own, ratio in zip(times, ratios, strict=True)
    ]


def quartiles(values: list[float]) -> dict[str, float]:
    if len(values) < 2:
        return dict.fromkeys(("median", "q1", "q3"), values[0])
    q1, median, q3 = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": median, "q1": q1, "q3": q3}


def peak_bytes(contender: Contender, shape: Shape) -> int:
    """What one training step of a layer adds to the peak memory of a fresh process."""
    text = ",".join(map(str, shape[:5])) + ("r" if shape.ragged else "")
    command = [sys.executable, __file__, "--peak", *contender, "--shapes", text]
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}  # what is freed goes back
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


def print_peak(contender: Contender, shape: Shape) -> None:
    """In the fresh process: a small step first, so that only the large one's arrays count."""
    Job(contender, shape._replace(T=2, B=2, ragged=False), "train", "cpu").run()
    job = Job(contender, shape, "train", "cpu")
    gc.collect()
    # Touched and freed: the peak begins where the process stands now.
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    current = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1024
    job.run()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(1024 * (after - min(before, current)))


def machine(device: str, threads: int) -> dict[str, Any]:
    gpu = torch.cuda.get_device_name() if device == "cuda" else ""
    return {
        "date": date.today().isoformat(),
        "device": gpu or cpu_name(),
        "cores": os.cpu_count(),
        "threads": threads,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "commit": git_commit() or "",
    }


def rows(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row per contender, shape and mode; printed as they come."""
    about = machine(given.device, given.threads)
    print(f"{about['device']}, {given.threads} threads, torch {about['torch']}, {about['commit']}")
    everyone = [
        c for c in contenders(given.device, given.compile) if given.only is None
        or c.gate == "torch" or any(word in c.name for word in given.only)
    ]  # fmt: skip
    for shape in given.shapes or (CPU_SHAPES if given.device == "cpu" else CUDA_SHAPES):
        errors = {c: error(c, shape, given.device) for c in everyone}
        for contender, wrong in errors.items():
            if not wrong < TOLERANCE:
                sys.exit(f"{contender.name} is wrong at {shape}: relative error {wrong:.1e}")
        peaks = {}
        if given.memory and not shape.ragged:
            peaks = {c: peak_bytes(c, shape) for c in everyone if "equations" not in c.backend}
        for mode in given.modes:
            jobs = [Job(c, shape, mode, given.device) for c in everyone]
            print(f"\n{tuple(shape[:5])}{', ragged' if shape.ragged else ''}: {mode}")
            for job, numbers in zip(jobs, measure(jobs, given.rounds, given.seconds), strict=True):
                c = job.contender
                milliseconds = 1e3 * numbers["seconds_median"]
                print(
                    f"  {c.cell:<16}{c.gate:<9}{c.backend:<26}{milliseconds:9.2f} ms"
                    f"  x {numbers['ratio_median']:.2f}"
                    f"  ({numbers['ratio_q1']:.2f} to {numbers['ratio_q3']:.2f})"
                )
                frames = 1.0
                if job.lengths is not None:
                    frames = float(job.lengths.sum()) / (shape.T * shape.B)
                yield {
                    **shape._asdict(), "frames": frames, "mode": mode, **c._asdict(), **numbers,
                    "error": errors[c], "peak_bytes": peaks.get(c, ""), **about,
                }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--seconds", type=float, default=60, help="for one shape and mode, about")
    parser.add_argument(
        "--shapes", type=Shape.parse, nargs="+", metavar="T,B,D,H[,LAYERS][r]", help="r: ragged"
    )
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--only", nargs="+", help="words: contenders that have one of them")
    parser.add_argument("--compile", action="store_true", help="the loop's steps compiled, too")
    parser.add_argument(
        "--memory", action="store_true", help="peak memory of scan, native and torch, too (CPU)"
    )
    parser.add_argument("--csv", type=Path, help="write every number here")
    parser.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.peak:
        print_peak(Contender(*given.peak), given.shapes[0])
        return
    if not given.csv:
        for _ in rows(given):
            pass
        return
    writer = None
    partial = given.csv.with_suffix(".part")  # what a long run measured before it was stopped
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
