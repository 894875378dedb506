"""How fast samples come, as a multiple of what the paper's network consumes on the same cores.

    .venv/bin/python scripts/bench_data.py --scratch FOLDER --csv docs/performance/data.csv

It measures N-UCLA, prepared in --data-dir, and a store as large as the training data of NTU RGB+D.
That store is generated in FOLDER (4 GB, twice that while it is written) and removed again. The data
path is the training loader (shuffle, gather, pad) and the transforms of the experiment with
augmentation; the network takes a training step on the same batch. The two take turns, batch by
batch, so that other work of the machine slows both. A ratio is the median over the batches.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from bench_layer import machine, quartiles, write_csv
from bench_memory import resident

from eleatt_bench.common.errors import UserError
from eleatt_bench.config.compose import compose_config
from eleatt_bench.data import catalog
from eleatt_bench.data.batches import Batch
from eleatt_bench.data.sources import ntu
from eleatt_bench.data.sources.ntu import names as ntu_names
from eleatt_bench.data.store import Sample, SequenceStore
from eleatt_bench.data.writing import write_store
from eleatt_bench.training.classifier import SequenceClassifier
from eleatt_bench.training.datamodule import SequenceDataModule

NTU_SIZED = "as many generated sequences as NTU RGB+D trains on"
EXPERIMENTS = {"nucla": "nucla_aug", NTU_SIZED: "ntu_aug"}
MODELS = ("eleatt_gru", "gru")


def samples(count: int) -> Iterator[Sample]:
    """Sequences of 20 to 300 frames; every fifth one has a second body."""
    random = np.random.default_rng(0)
    for index, name in enumerate(ntu_sample_names(count)):
        frames = random.standard_normal((random.integers(20, 301), 150), dtype=np.float32)
        if index % 5:
            frames[:, 75:] = 0
        code = ntu.code(name)
        assert code is not None
        yield Sample(name, frames, code.action - 1, code._asdict())


def ntu_sample_names(count: int) -> Iterator[str]:
    """``count`` names over setups, actions, subjects and cameras, none of a missing sample."""
    codes = itertools.product(range(1, 18), range(1, 3), range(1, 61), range(1, 41), range(1, 4))
    names = (
        f"S{setup:03}C{camera:03}P{subject:03}R{replication:03}A{action:03}"
        for setup, replication, action, subject, camera in codes
    )
    yield from itertools.islice((name for name in names if name not in ntu.missing()), count)


def write_ntu_sized(path: Path, count: int) -> None:
    write_store(
        path,
        name="ntu",
        samples=samples(count),
        class_names=ntu_names.CLASSES[:60],
        layout=ntu.LAYOUT,
        source="random numbers, for scripts/bench_data.py",
        origin_applied=True,
    )


class Opening(NamedTuple):
    """How long a store takes to open, and by how many bytes the process grows."""

    store: SequenceStore
    seconds: float
    grown: int

    @classmethod
    def measure(cls, path: Path, name: str, rounds: int) -> Opening:
        before = resident("VmRSS")
        store = SequenceStore.open(path, name=name)
        grown = resident("VmRSS") - before
        times = []
        for _ in range(rounds):
            start = time.perf_counter()
            SequenceStore.open(path, name=name)
            times.append(time.perf_counter() - start)
        return cls(store, quartiles(times)["median"], grown)


class Step:
    """A training step of the network of ``config``, as a run does it on a CPU."""

    def __init__(self, config: dict[str, Any], data: SequenceDataModule) -> None:
        classes = data.store.num_classes
        self.network = SequenceClassifier(config, data.input_size, classes, data.transforms)
        self.optimizer = self.network.configure_optimizers()
        self.limit = config["trainer"]["gradient_clip_val"]

    def __call__(self, batch: Batch) -> None:
        self.optimizer.zero_grad()
        self.network.dropout.draw_for(batch)
        logits = self.network(batch.inputs, batch.lengths)
        F.cross_entropy(logits, batch.labels).backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.limit)
        self.optimizer.step()


def epochs(data: SequenceDataModule) -> Iterator[Batch]:
    """The training batches of epoch after epoch."""
    loader = data.train_dataloader()
    for epoch in itertools.count():
        loader.sampler.set_epoch(epoch)
        yield from loader


def measure(config: dict[str, Any], store: SequenceStore, rounds: int) -> dict[str, Any]:
    """Medians and quartiles over ``rounds`` batches, after one that is not counted."""
    start = time.perf_counter()
    data = SequenceDataModule(config["data"], store, config["seed"])
    batches = epochs(data)
    data.transforms(next(batches), training=True)
    startup = time.perf_counter() - start
    step = Step(config, data)
    times: dict[str, list[float]] = {"load": [], "transform": [], "step": []}
    sizes = []
    for number in range(rounds + 1):
        marks = [time.perf_counter()]
        batch = next(batches)
        marks.append(time.perf_counter())
        batch = data.transforms(batch, training=True)
        marks.append(time.perf_counter())
        step(batch)
        marks.append(time.perf_counter())
        if number:
            for name, took in zip(times, np.diff(marks).tolist(), strict=True):
                times[name].append(took)
            sizes.append(len(batch.labels))
    path = [
        load + transform for load, transform in zip(times["load"], times["transform"], strict=True)
    ]
    ratios = [step / own for step, own in zip(times["step"], path, strict=True)]
    return {
        "startup_seconds": startup,
        **{f"{name}_seconds": quartiles(values)["median"] for name, values in times.items()},
        "path_samples_per_second": sum(sizes) / sum(path),
        "network_samples_per_second": sum(sizes) / sum(times["step"]),
        **{f"ratio_{quartile}": value for quartile, value in quartiles(ratios).items()},
        "rounds": rounds,
    }


def rows(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row per store and network; printed as they come."""
    about = machine("cpu", given.threads)
    print(f"{about['device']}, {given.threads} threads, torch {about['torch']}, {about['commit']}")
    with tempfile.TemporaryDirectory(dir=given.scratch) as scratch:
        for name in given.stores:
            path = Path(scratch) / "ntu.h5"
            if name == NTU_SIZED:
                write_ntu_sized(path, given.sequences)
            else:
                path = catalog.open_store(given.data_dir, name).path  # checked: there, and sound
            opening = Opening.measure(path, path.stem, given.rounds)
            store = opening.store
            print(
                f"\n{name}: {len(store.labels):,} sequences, {store.frames.nbytes / 1e6:,.0f} MB; "
                f"opens in {1e3 * opening.seconds:.1f} ms, {opening.grown / 1e6:.0f} MB"
            )
            for model in given.models:
                config = compose_config([f"experiment={EXPERIMENTS[name]}", f"model={model}"])
                numbers = measure(config, store, given.rounds)
                show(model, numbers)
                yield {
                    "store": name, "sequences": len(store.labels),
                    "store_bytes": store.frames.nbytes, "open_seconds": opening.seconds,
                    "open_bytes": opening.grown, "experiment": EXPERIMENTS[name], "model": model,
                    "batch_size": config["data"]["batch_size"], **numbers, **about,
                }  # fmt: skip


def show(model: str, numbers: dict[str, Any]) -> None:
    milliseconds = [1e3 * numbers[f"{name}_seconds"] for name in ("load", "transform", "step")]
    print(
        "  {:<12} load {:7.2f} ms  transform {:7.2f} ms  step {:8.2f} ms".format(
            model, *milliseconds
        )
        + f"  x {numbers['ratio_median']:.1f}"
        f"  ({numbers['ratio_q1']:.1f} to {numbers['ratio_q3']:.1f})"
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--stores", nargs="+", choices=EXPERIMENTS, default=list(EXPERIMENTS))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--data-dir", type=Path, default=Path("data"), help="where N-UCLA is")
    parser.add_argument("--scratch", type=Path, help="where the generated store goes meanwhile")
    parser.add_argument("--sequences", type=int, default=40_000, help="of the generated store")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=41, help="batches")
    parser.add_argument("--csv", type=Path, help="write every number here")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    torch.set_num_threads(given.threads)
    try:
        found = list(rows(given))
    except UserError as error:
        sys.exit(f"Error: {error}")
    if given.csv:
        write_csv(given.csv, found)


if __name__ == "__main__":
    main()
