"""A training that waits for its turn before every epoch: ours, or the plain loop's.

    .venv/bin/python scripts/bench_epoch_turns.py ours FOLDER experiment=nucla model=gru ...

`bench_epoch.py` starts each training in a process of its own: `ours`, or the plain loop, `packed`
or `padded`. A line on standard input starts an epoch; a line on standard output tells its wall and
CPU seconds. Our run writes its files into FOLDER.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eleatt_bench.common.runtime import settle_libraries

OURS, PACKED, PADDED = "ours", "packed", "padded"


class Turns:
    """Starts an epoch for each line on standard input, and prints its wall and CPU seconds."""

    def begin(self) -> bool:
        """Wait until an epoch is asked for; False when no more are."""
        asked = sys.stdin.readline() != ""
        self._seconds, self._computing = time.perf_counter(), time.process_time()
        return asked

    def end(self) -> None:
        took = {
            "seconds": time.perf_counter() - self._seconds,
            "cpu_seconds": time.process_time() - self._computing,
        }
        print(json.dumps(took), flush=True)


def train_ours(config: Mapping[str, Any], folder: Path) -> None:
    """What ``eleatt-bench train`` does once it has found that there is work to do."""
    from pytorch_lightning import Callback, LightningModule, Trainer

    from eleatt_bench.data import catalog
    from eleatt_bench.data.protocols import labelled
    from eleatt_bench.runs.record import RunFolder
    from eleatt_bench.training import fit
    from eleatt_bench.training.progress import Display

    turns, make_trainer = Turns(), fit.make_trainer

    class InTurns(Callback):
        def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            self._next()

        def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            turns.end()
            self._next()

        def _next(self) -> None:
            if not turns.begin():
                raise SystemExit

    def make(section: Any, run: RunFolder, callbacks: list[Callback]) -> Trainer:
        return make_trainer(section, run, [*callbacks, InTurns()])  # last: all is written by then

    fit.make_trainer = make
    store = catalog.open_store(Path(config["data_dir"]), config["data"]["name"])
    run = RunFolder(folder, "run")
    run.path.mkdir()
    with run.log.open("w", encoding="utf-8") as log:
        fit.fit(config, labelled(store, config["data"]["protocol"]), run, Display(log, echo=False))


def train_plainly(config: Mapping[str, Any], packed: bool) -> None:
    from bench_plain_loop import PlainLoop

    from eleatt_bench.data import catalog
    from eleatt_bench.data.protocols import labelled
    from eleatt_bench.training.datamodule import SequenceDataModule

    store = catalog.open_store(Path(config["data_dir"]), config["data"]["name"])
    store = labelled(store, config["data"]["protocol"])
    data = SequenceDataModule(config["data"], store, config["seed"])
    loop = PlainLoop(config, data, packed=packed)
    turns, epoch = Turns(), 0
    while turns.begin():
        loop.epoch(epoch)
        turns.end()
        epoch += 1


def main() -> None:
    who, folder, *overrides = sys.argv[1:]
    if who == OURS:
        settle_libraries()  # as the command line does, before torch is imported
    from eleatt_bench.config.compose import compose_config

    config = compose_config(overrides)
    if who == OURS:
        train_ours(config, Path(folder))
    else:
        train_plainly(config, who == PACKED)


if __name__ == "__main__":
    main()
