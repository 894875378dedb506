"""How long a layer takes, forward and backward, as a ratio to torch.nn.GRU at the same sizes.

    .venv/bin/python scripts/bench_layer.py [--threads 1] [--repeats 9] [--csv layer.csv]

torch.nn.GRU does 1/1.5 to 1/1.3 of a gated layer's arithmetic, and none of what the gate makes
sequential. Contenders take turns, so that what else the machine does falls on all of them; the
median is reported. ``ragged`` batches have lengths like N-UCLA's: a fifth to all of the longest.
"""

from __future__ import annotations

import argparse
import csv
import platform
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from eleatt_bench import EleAttGRU
from eleatt_bench.nn.backends import BACKENDS

SIZES = [(100, 256, 150, 100), (100, 32, 60, 100), (784, 100, 1, 100), (28, 128, 28, 100)]


def contenders(T: int, B: int, D: int, H: int, ragged: bool) -> dict[str, Callable[[], None]]:
    """A forward and a backward pass of each layer, by name."""
    torch.manual_seed(0)
    x = torch.randn(T, B, D)
    lengths = torch.randint(T // 5, T + 1, (B,)).sort(descending=True)[0] if ragged else None
    if lengths is not None:
        lengths[0] = T
    passes: dict[str, Callable[[], None]] = {}

    def add(name: str, layer: nn.Module) -> None:
        packed = isinstance(layer, nn.GRU) and lengths is not None

        def run() -> None:
            layer.zero_grad()
            if packed:
                output = layer(pack_padded_sequence(x, lengths))[0].data
            else:
                output = layer(x, **({} if lengths is None else {"lengths": lengths}))[0]
            output.sum().backward()

        passes[name] = run

    add("torch.nn.GRU", nn.GRU(D, H))
    for backend in BACKENDS:
        if backend != "auto":
            add(f"GRU {backend}", EleAttGRU(D, H, gate=None, backend=backend))
            add(f"EleAttGRU {backend}", EleAttGRU(D, H, backend=backend))
    return passes


def measure(passes: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """Median seconds of each pass."""
    seconds: dict[str, list[float]] = {name: [] for name in passes}
    for repeat in range(repeats + 1):
        for name, run in passes.items():
            start = time.perf_counter()
            run()
            if repeat > 0:  # the first is a warm-up
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--csv", type=argparse.FileType("w"), help="write the numbers here too")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print(f"{platform.processor() or platform.machine()}, {given.threads} threads, "
          f"torch {torch.__version__}, Python {sys.version.split()[0]}")  # fmt: skip
    rows = []
    for T, B, D, H in SIZES:
        for ragged in (False, True):
            seconds = measure(contenders(T, B, D, H, ragged), given.repeats)
            reference = seconds["torch.nn.GRU"]
            print(f"\n(T, B, D, H) = ({T}, {B}, {D}, {H}){', ragged' if ragged else ''}")
            for name, value in seconds.items():
                print(f"  {name:<22} {1e3 * value:8.1f} ms  x {value / reference:.2f}")
                rows.append([T, B, D, H, ragged, name, value, value / reference])
    if given.csv:
        writer = csv.writer(given.csv)
        writer.writerow(["T", "B", "D", "H", "ragged", "layer", "seconds", "ratio"])
        writer.writerows(rows)


if __name__ == "__main__":
    main()
