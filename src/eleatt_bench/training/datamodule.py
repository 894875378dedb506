"""The batches of `eleatt_bench.data` as a LightningDataModule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader

from eleatt_bench.data.module import Batch, EpochBatchSampler, SequenceDataset
from eleatt_bench.data.protocols import Split, split
from eleatt_bench.data.store import SequenceStore
from eleatt_bench.data.transforms import Transforms


class SequenceDataModule(LightningDataModule):
    """Training, validation and test batches of one store under one protocol.

    ``config`` is the plain ``data`` section of a run's configuration; ``seed`` orders the
    training batches and draws for ``transforms``, which whoever takes a batch applies to it.
    """

    def __init__(self, config: Mapping[str, Any], store: SequenceStore, seed: int) -> None:
        super().__init__()
        self.config, self.store, self.seed = config, store, seed
        self.split: Split = split(
            store,
            config["protocol"],
            fold=config["fold"],
            val_fraction=config["val_fraction"],
            val_seed=config["val_seed"],
        )
        self.transforms = Transforms(config["transforms"], store, seed)
        values = self._dataset(self.split.train).input_size
        self.input_size: int = self.transforms.step_size(values)

    def train_dataloader(self) -> DataLoader[Batch]:
        return self._loader(self.split.train, shuffle=True)

    def val_dataloader(self) -> DataLoader[Batch]:
        return self._loader(self.split.val)

    def predict_dataloader(self) -> DataLoader[Batch]:
        """The test set, each sample once on any number of devices."""
        return self._loader(self.split.test)

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
        )
        return DataLoader(
            self._dataset(indices),
            batch_size=None,
            sampler=sampler,
            collate_fn=_as_it_is,
            # Of its own: the loader must not draw from the training's random numbers.
            generator=torch.Generator(),
        )


def _as_it_is(batch: Batch) -> Batch:
    """The data set gives whole batches; torch's default would make tensors of their indices."""
    return batch
