"""The batches of `eleatt_bench.data` as a LightningDataModule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader

from eleatt_bench.data.batches import Batch, EpochBatchSampler, Positions, SequenceDataset
from eleatt_bench.data.protocols import Split, split
from eleatt_bench.data.store import Integers, SequenceStore
from eleatt_bench.data.transforms import Transforms


class SequenceDataModule(LightningDataModule):
    """Training, validation and test batches of one store under one protocol.

    ``config`` is the plain ``data`` section of a run's configuration. ``seed`` decides the order of
    the training batches and the draws of ``transforms``, which the user of a batch applies to it.
    The optimizer steps once for every ``accumulate`` training batches.
    """

    def __init__(
        self, config: Mapping[str, Any], store: SequenceStore, seed: int, accumulate: int = 1
    ) -> None:
        super().__init__()
        self.config, self.store, self.seed, self.accumulate = config, store, seed, accumulate
        whole = split(
            store,
            config["protocol"],
            fold=config["fold"],
            val_fraction=config["val_fraction"],
            val_seed=config["val_seed"],
        )
        self.split: Split = limited(whole, config["limit"])
        dataset = self._dataset(self.split.train)
        self.transforms = Transforms(config, store, seed)
        self.input_size: int = self.transforms.step_size(dataset.input_size)

    @property
    def steps_per_epoch(self) -> int:
        """The number of steps of the optimizer in an epoch."""
        of_a_step: int = self.config["batch_size"] * self.accumulate
        return -(-len(self.split.train) // of_a_step)

    def train_dataloader(self) -> DataLoader[Batch]:
        return self._loader(self.split.train, shuffle=True)

    def val_dataloader(self) -> DataLoader[Batch]:
        return self._loader(self.split.val)

    def predict_dataloader(self) -> DataLoader[Batch]:
        """The test set, each sample once on any number of devices."""
        return self._loader(self.split.test)

    def tested(self, indices: Integers, batch_size: int) -> Iterator[Batch]:
        """The sequences ``indices`` of the store, in order, as the network is tested on them."""
        dataset = self._dataset(indices)
        for first in range(0, len(indices), batch_size):
            positions = np.arange(first, min(first + batch_size, len(indices)))
            batch = dataset[Positions(positions, len(positions), 0)]
            yield self.transforms(batch, training=False)

    def _dataset(self, indices: np.ndarray) -> SequenceDataset:
        return SequenceDataset(self.store, indices, sequence=self.config["sequence"])

    def _loader(self, indices: np.ndarray, shuffle: bool = False) -> DataLoader[Batch]:
        trainer = self.trainer
        sampler = EpochBatchSampler(
            self.store.lengths[indices],
            self.config["batch_size"],
            shuffle=shuffle,
            seed=self.seed,
            bucket=self.config["bucket"] and shuffle,
            rank=trainer.global_rank if trainer else 0,
            world_size=trainer.world_size if trainer else 1,
            accumulate=self.accumulate if shuffle else 1,
        )
        return DataLoader(
            self._dataset(indices),
            batch_size=None,
            sampler=sampler,
            collate_fn=_as_it_is,  # type: ignore[arg-type]  # of whole batches
            # A generator of its own: the loader must not draw from the training's random numbers.
            generator=torch.Generator(),
        )


def _as_it_is(batch: Batch) -> Batch:
    """``batch`` unchanged; torch's default would turn its indices into a tensor."""
    return batch


def limited(whole: Split, limit: int | None) -> Split:
    """``whole`` with at most ``limit`` sequences in each part: a random choice, always the same."""
    if limit is None:
        return whole
    chosen = {}
    for part in ("train", "val", "test"):
        indices = getattr(whole, part)
        # RandomState: its numbers are frozen across NumPy versions.
        order = np.random.RandomState(0).permutation(len(indices))
        chosen[part] = np.sort(order[:limit])
    return Split(
        train=whole.train[chosen["train"]],
        val=whole.val[chosen["val"]],
        test=whole.test[chosen["test"]],
        clean=None if whole.clean is None else whole.clean[chosen["test"]],
    )
