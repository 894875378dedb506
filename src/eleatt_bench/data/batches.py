"""Padded batches from the memory map, and the order in which they come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from eleatt_bench.common.errors import UserError, unknown
from eleatt_bench.data.layout import KINDS
from eleatt_bench.data.store import Integers, SequenceStore

SEQUENCES = ("frames", "pixels", "permuted_pixels")
_BATCHES_PER_BUCKET = 16


class Batch(NamedTuple):
    """B sequences, zero-padded to the longest; one process's share of a batch."""

    inputs: Tensor  # (B, T, D) float32
    lengths: Tensor  # (B,) int64
    labels: Tensor  # (B,) int64
    indices: Integers  # (B,), positions in the store; never on the device
    batch_size_global: int  # sequences of one optimizer step, over processes and batches
    epoch: int  # from 0 on


class Positions(NamedTuple):
    """What a sampler yields: this process's share of a batch, as positions in a subset."""

    positions: Integers
    batch_size_global: int
    epoch: int


class SequenceDataset(Dataset[Batch]):
    """The sequences ``indices`` of ``store``, fetched a whole batch at a time.

    ``sequence`` says what the steps of an image are: "frames" its rows, "pixels" its pixels one
    after the other, "permuted_pixels" the pixels in one fixed random order. Other stores have only
    frames.

    Raises:
        UserError: another ``sequence``, or pixels of a store without images.
    """

    def __init__(self, store: SequenceStore, indices: Integers, sequence: str = "frames") -> None:
        if sequence not in SEQUENCES:
            raise unknown("data.sequence", sequence, SEQUENCES)
        if sequence != "frames" and store.layout["kind"] != "image":
            raise UserError(
                f"data.sequence={sequence} is for images; {store.name} holds "
                f"{KINDS[store.layout['kind']]}: use data.sequence=frames"
            )
        self.store, self.indices, self.sequence = store, indices, sequence
        self._order = pixel_order(store.layout) if sequence == "permuted_pixels" else None

    @property
    def input_size(self) -> int:
        """The number of values of a step."""
        return self.store.input_size if self.sequence == "frames" else 1

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, batch: Positions) -> Batch:
        """The batch of the sequences ``indices[batch.positions]``, which may be none."""
        indices = self.indices[batch.positions]
        inputs, lengths = self._gather(indices)
        if self.sequence != "frames":
            pixels = self.store.layout["height"] * self.store.layout["width"]
            inputs = inputs.reshape(len(indices), pixels, 1)
            lengths = np.full_like(lengths, pixels)
            if self._order is not None:
                inputs = inputs[:, self._order]
        return Batch(
            torch.from_numpy(inputs),
            torch.from_numpy(lengths),
            torch.from_numpy(self.store.labels[indices]),
            indices,
            batch.batch_size_global,
            batch.epoch,
        )

    def as_image(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """``values`` (T, D) of the steps of one image, each at its place in it: (height, width)."""
        height, width = self.store.layout["height"], self.store.layout["width"]
        placed = values.reshape(height * width)
        if self._order is not None:
            placed = np.empty_like(placed)
            placed[self._order] = values.reshape(-1)
        return placed.reshape(height, width)

    def _gather(self, indices: Integers) -> tuple[npt.NDArray[np.float32], Integers]:
        """The sequences padded with zeros, (B, T, D) with T ≥ 1, and their lengths."""
        lengths = self.store.lengths[indices]
        steps = np.arange(lengths.max(initial=1))
        valid = steps < lengths[:, None]
        rows = (self.store.offsets[indices][:, None] + steps)[valid]
        inputs = np.zeros((*valid.shape, self.store.input_size), dtype=np.float32)
        inputs[valid] = self.store.rows(rows)
        return inputs, lengths


def pixel_order(layout: Mapping[str, Any]) -> Integers:
    """The order of permuted pixels: the same for everyone, always."""
    pixels = layout["height"] * layout["width"]
    return np.random.RandomState(0).permutation(pixels).astype(np.int64)


class EpochBatchSampler(Sampler[Positions]):
    """Every sequence exactly once per epoch, in batches that are shared out between processes.

    The batches follow from (seed, epoch) alone. The process ``rank`` of ``world_size`` gets every
    ``world_size``-th sequence of each batch, so that all processes have equally many batches (a
    share of the last, smaller batch may be empty). With ``bucket``, the sequences of a batch have
    similar ``lengths``. ``accumulate`` batches in a row are one step of an optimizer; the last step
    may have fewer. For ``DataLoader(dataset, batch_size=None, sampler=…)``.
    """

    def __init__(
        self,
        lengths: Integers,
        batch_size: int,
        *,
        shuffle: bool,
        seed: int,
        bucket: bool,
        rank: int = 0,
        world_size: int = 1,
        accumulate: int = 1,
    ) -> None:
        self.lengths, self.batch_size, self.accumulate = lengths, batch_size, accumulate
        self.shuffle, self.seed, self.bucket = shuffle, seed, bucket
        self.rank, self.world_size = rank, world_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Make the next pass the one of ``epoch``; Lightning calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.batch_size)

    def __iter__(self) -> Iterator[Positions]:
        batches = self._batches()
        for first in range(0, len(batches), self.accumulate):
            step = batches[first : first + self.accumulate]
            for batch in step:
                own = batch[self.rank :: self.world_size]
                yield Positions(own, sum(map(len, step)), self.epoch)

    def _batches(self) -> list[Integers]:
        """All batches of the epoch, before they are shared out between processes."""
        order = np.arange(len(self.lengths))
        state = np.random.SeedSequence([self.seed, self.epoch])
        # RandomState: its numbers are frozen across NumPy versions.
        random = np.random.RandomState(np.random.MT19937(state))
        if self.shuffle:
            order = random.permutation(order)
        if self.bucket:
            order = self._bucketed(order)
        starts = range(0, len(order), self.batch_size)
        batches = [order[start : start + self.batch_size] for start in starts]
        if self.bucket and self.shuffle:
            batches = [batches[index] for index in random.permutation(len(batches))]
        return batches

    def _bucketed(self, order: Integers) -> Integers:
        """``order``, sorted by length within each group of a few batches."""
        size = self.batch_size * _BATCHES_PER_BUCKET
        buckets = [order[start : start + size] for start in range(0, len(order), size)]
        ordered = [bucket[np.argsort(self.lengths[bucket], kind="stable")] for bucket in buckets]
        return np.concatenate(ordered) if ordered else order
