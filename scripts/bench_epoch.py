"""How long an epoch of a training takes, as a ratio to a plain PyTorch loop with `torch.nn.GRU`.

    .venv/bin/python scripts/bench_epoch.py --csv docs/performance/epoch.csv  (or: make bench-epoch)

Ours is all that `eleatt-bench train` does in an epoch: load, transform, train, validate, measure,
and write curves, events and checkpoints. Theirs is `bench_plain_loop.py`: the same batches,
classifier, loss and optimizer. Each is a process of its own, set up as its user would have it. The
processes take turns, epoch by epoch, so that other work of the machine slows all of them. A ratio
divides the time of our epoch by that of their faster one, packed or padded, in the same round.

N-UCLA must be prepared in --data-dir. The others are generated in --scratch and removed again:
images as large as MNIST's, a fifth as many, and sequences as long and wide as those of NTU RGB+D.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from bench_data import write_ntu_sized
from bench_epoch_turns import OURS, PACKED, PADDED
from bench_layer import machine, write_csv

from eleatt_bench.data import catalog
from eleatt_bench.data.sources import mnist
from eleatt_bench.data.store import Sample
from eleatt_bench.data.writing import write_store

EXPERIMENTS = {"nucla": "nucla", "mnist": "mnist_rows", "ntu": "ntu"}
GATES = {"gated": "eleatt_gru", "ungated": "gru"}
DROPOUTS = (0.5, 0.0)
THREADS = (1, 2)
TORCH = "torch"
_TURNS = "bench_epoch_turns.py"
_FIXED = ("mnist",)  # all sequences have the same length: nothing to pack


class Case(NamedTuple):
    """What is trained: a store's experiment, with this dropout, on so many threads."""

    epoch_of: str
    dropout: float
    num_threads: int


class Contender:
    """A training in a process of its own."""

    def __init__(self, who: str, folder: Path, overrides: Sequence[str]) -> None:
        script = Path(__file__).with_name(_TURNS)
        self._process = subprocess.Popen(
            [sys.executable, str(script), who, str(folder), *overrides],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def epoch(self) -> dict[str, float]:
        """Wall and CPU seconds of the next epoch: ``seconds`` and ``cpu_seconds``."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"a training ended with status {self._process.wait()}")
        took: dict[str, float] = json.loads(line)
        return took

    def end(self) -> None:
        self._process.communicate()


def measure(case: Case, data_dir: Path, rounds: int) -> Iterator[dict[str, Any]]:
    """Rows with and without the gate, over ``rounds`` epochs after one that is not counted."""
    common = [
        f"experiment={EXPERIMENTS[case.epoch_of]}", f"data_dir={data_dir}",
        "trainer.max_epochs=10000", f"model.dropout={case.dropout}",
        f"trainer.num_threads={case.num_threads}",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        plain = [PADDED] if case.epoch_of in _FIXED else [PACKED, PADDED]
        contenders = {who: Contender(who, Path(scratch), [*common, "model=gru"]) for who in plain}
        for gate, model in GATES.items():
            folder = Path(scratch) / gate
            folder.mkdir()
            contenders[gate] = Contender(OURS, folder, [*common, f"model={model}"])
        try:
            found = [
                {name: contender.epoch() for name, contender in contenders.items()}
                for _ in range(1 + rounds)
            ][1:]
        finally:
            for contender in contenders.values():
                contender.end()
    for one in found:
        kinds = ("seconds", "cpu_seconds")
        one[TORCH] = {kind: min(one[who][kind] for who in plain) for kind in kinds}
    for gate in GATES:
        yield {
            **case._asdict(),
            "gate": gate,
            "rounds": rounds,
            **{
                f"{name}_{kind}": statistics.median(one[who][kind] for one in found)
                for name, who in ((TORCH, TORCH), ("ours", gate))
                for kind in ("seconds", "cpu_seconds")
            },
            **_ratios(found, gate, "seconds", "ratio"),
            **_ratios(found, gate, "cpu_seconds", "cpu_ratio"),
        }


def _ratios(found: Sequence[Any], gate: str, kind: str, name: str) -> dict[str, float]:
    ratios = [one[gate][kind] / one[TORCH][kind] for one in found]
    return {f"{name}_median": statistics.median(ratios), f"{name}_min": min(ratios)}


def images(count: int) -> Iterator[Sample]:
    """``count`` images as large as MNIST's to train on, and a sixth as many to test on."""
    random = np.random.default_rng(0)
    for index in range(count + count // 6):
        pixels = random.random((28, 28), dtype=np.float32)
        yield Sample(f"{index:05d}", pixels, index % 10, {"split": int(index >= count)})


def prepare(scratch: Path, given: argparse.Namespace) -> dict[str, Path]:
    """The data folder of each store; stores other than N-UCLA's are generated."""
    folders = dict.fromkeys(given.stores, given.data_dir)
    for name in set(given.stores) - {"nucla"}:
        folders[name] = scratch
        path = catalog.store_path(scratch, name)
        path.parent.mkdir(exist_ok=True)
        if name == "ntu":
            write_ntu_sized(path, given.sequences)
        else:
            write_store(
                path, name=name, samples=images(given.images), class_names=tuple("0123456789"),
                layout=mnist.LAYOUT, source="random numbers, for scripts/bench_epoch.py",
            )  # fmt: skip
    return folders


def rows(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Two rows for each case; printed as they come."""
    about = machine("cpu", max(given.threads))
    print(f"{about['device']}, torch {about['torch']}, {about['commit']}")
    print("ours over torch's, median and minimum: wall time; CPU time")
    with tempfile.TemporaryDirectory(dir=given.scratch) as scratch:
        folders = prepare(Path(scratch), given)
        for case in (Case(s, d, t) for s in given.stores for d in DROPOUTS for t in given.threads):
            for row in measure(case, folders[case.epoch_of], given.rounds):
                show(row)
                yield {**row, **about}


def show(row: dict[str, Any]) -> None:
    print(
        "{epoch_of:<6} {num_threads} threads, dropout {dropout}, {gate:<8} {ours_seconds:6.2f} s "
        "of {torch_seconds:6.2f} s  x {ratio_median:.2f} ({ratio_min:.2f});  "
        "x {cpu_ratio_median:.2f} ({cpu_ratio_min:.2f})".format(**row),
        flush=True,
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--stores", nargs="+", choices=EXPERIMENTS, default=list(EXPERIMENTS))
    parser.add_argument("--threads", type=int, nargs="+", default=THREADS)
    parser.add_argument("--rounds", type=int, default=5, help="epochs that are counted")
    parser.add_argument("--data-dir", type=Path, default=Path("data"), help="where N-UCLA is")
    parser.add_argument("--scratch", type=Path, help="where generated stores go meanwhile")
    parser.add_argument("--images", type=int, default=12_000, help="to train on, generated")
    parser.add_argument("--sequences", type=int, default=600, help="generated")
    parser.add_argument("--csv", type=Path, help="write every number here")
    return parser.parse_args()


def main() -> None:
    given, found = arguments(), list[dict[str, Any]]()
    for row in rows(given):
        found.append(row)
        if given.csv:
            write_csv(given.csv, found)  # so that a stopped script leaves what it measured


if __name__ == "__main__":
    main()
