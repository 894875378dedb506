"""The network of a run, ready to be called, and the data of the run; this imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from eleatt_bench.common.errors import unknown
from eleatt_bench.data.batches import Batch
from eleatt_bench.runs.record import RunFolder, check_finished
from eleatt_bench.training.checkpoints import weights_of
from eleatt_bench.training.classifier import SequenceClassifier
from eleatt_bench.training.datamodule import SequenceDataModule
from eleatt_bench.training.folder import reopen
from eleatt_bench.training.seeding import own_randomness

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
        """By part, the positions of its samples in ``names``, in the order of `batches`."""

    def batches(self, part: str = "test", batch_size: int = 64) -> Iterator[Batch]:
        """The samples of ``train``, ``val`` or ``test`` in order, as the network is tested on them.

        A batch has ``inputs`` (B, T, D), zero-padded, ``lengths`` (B,), ``labels`` (B,) and
        ``indices`` (B,), which are positions in ``names``.

        Raises:
            UserError: ``part`` is none of the three.
        """
        if part not in PARTS:
            raise unknown("part", part, PARTS)
        return self._module.tested(self.indices[part], batch_size)


def network(folder: RunFolder, checkpoint: str | None, data_dir: Path) -> SequenceClassifier:
    """The network of ``folder`` with its trained weights, on the CPU, in evaluation mode.

    A call computes in the precision of the weights. Its ``classify`` computes in the precision of
    the run, as the run's test did: under autocast if ``trainer.precision`` is a mixed one.
    """
    if checkpoint is not None and checkpoint not in CHECKPOINTS:
        raise unknown("checkpoint", checkpoint, CHECKPOINTS)
    _, config, store = reopen(folder.path.parent, folder.run_id, data_dir)
    if checkpoint is None:
        check_finished(folder)
    data = SequenceDataModule(config["data"], store, config["seed"])
    config["model"]["backend"] = "auto"  # the one that trained it may be missing here
    with own_randomness():
        found = SequenceClassifier(config, data.input_size, store.num_classes, data.transforms)
    found.load_state_dict(weights_of(folder, checkpoint, found))
    return found.eval()
