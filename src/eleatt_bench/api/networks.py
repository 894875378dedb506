"""The network of a run and the data that it saw, ready to be called; torch is imported here."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from eleatt_bench.common.errors import unknown
from eleatt_bench.data.batches import Batch, Positions, SequenceDataset
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.training.checkpoints import load_checkpoint
from eleatt_bench.training.classifier import SequenceClassifier
from eleatt_bench.training.datamodule import SequenceDataModule
from eleatt_bench.training.expected import network_of
from eleatt_bench.training.folder import reopen

CHECKPOINTS = ("best", "last")
PARTS = ("train", "val", "test")


class RunData:
    """The data of a run: ``names``, ``class_names``, ``indices`` of its parts, and `batches`."""

    def __init__(self, folder: RunFolder, data_dir: Path) -> None:
        _, config, store = reopen(folder.path.parent, folder.run_id, data_dir)
        self._module = SequenceDataModule(config["data"], store, config["seed"])
        self.names, self.class_names = store.names, store.class_names
        split = self._module.split
        self.indices = {"train": split.train, "val": split.val, "test": split.test}
        """By part, positions in ``names`` of its samples, in the order of `batches`."""

    def batches(self, part: str = "test", batch_size: int = 64) -> Iterator[Batch]:
        """The samples of ``train``, ``val`` or ``test`` in order, as the network is tested on them.

        A batch has ``inputs`` (B, T, D), zero-padded, ``lengths`` (B,), ``labels`` (B,) and
        ``indices`` (B,), which are positions in ``names``.

        Raises:
            UserError: another part.
        """
        if part not in PARTS:
            raise unknown("part", part, PARTS)
        return self._batches(self.indices[part], batch_size)

    def _batches(self, indices: np.ndarray, batch_size: int) -> Iterator[Batch]:
        module = self._module
        dataset = SequenceDataset(module.store, indices, sequence=module.config["sequence"])
        for first in range(0, len(indices), batch_size):
            positions = np.arange(first, min(first + batch_size, len(indices)))
            batch = dataset[Positions(positions, len(positions), 0)]
            yield module.transforms(batch, training=False)


def network(folder: RunFolder, checkpoint: str, data_dir: Path) -> SequenceClassifier:
    """The network of ``folder`` with its trained weights, on the CPU, as it is tested."""
    if checkpoint not in CHECKPOINTS:
        raise unknown("checkpoint", checkpoint, CHECKPOINTS)
    _, config, store = reopen(folder.path.parent, folder.run_id, data_dir)
    data = SequenceDataModule(config["data"], store, config["seed"])
    config["model"]["backend"] = "auto"  # whichever trained it may not be on this machine
    with _own_randomness():
        found = SequenceClassifier(config, data.input_size, store.num_classes, data.transforms)
    state = load_checkpoint(folder.checkpoints / f"{checkpoint}.ckpt", network_of(found))
    found.load_state_dict(state["model"])
    return found.eval()


@contextmanager
def _own_randomness() -> Iterator[None]:
    """What is drawn in here, for weights that are replaced at once, changes nobody's numbers."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        yield
    random.setstate(python)
    np.random.set_state(numpy)
