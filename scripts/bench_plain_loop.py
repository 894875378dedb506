"""The loop that a careful person writes around `torch.nn.GRU`, to compare our epochs with.

All sequences are transformed once and kept in memory. Sequences of different lengths are packed, or
padded with the padding masked; which is faster on a CPU depends on the lengths. Loss and accuracy
are summed, and read at the end of an epoch. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence, pad_sequence

from eleatt_bench.data.batches import Positions
from eleatt_bench.training.datamodule import SequenceDataModule

_AT_ONCE = 256  # sequences to transform at a time


class PlainLoop:
    """Trains and validates on the batches of ``data`` as the run of ``config`` does, ungated."""

    def __init__(
        self, config: Mapping[str, Any], data: SequenceDataModule, *, packed: bool
    ) -> None:
        model, optimizer = config["model"], config["optimizer"]
        if config["trainer"]["num_threads"]:
            torch.set_num_threads(config["trainer"]["num_threads"])
        torch.manual_seed(config["seed"])
        self.dropout, self.readout = model["dropout"], model["readout"]
        self.limit = config["trainer"]["gradient_clip_val"]
        layers = model["num_layers"]
        between = self.dropout if layers > 1 else 0.0
        self.gru = nn.GRU(
            data.input_size, model["hidden_size"], layers, batch_first=True, dropout=between
        )
        self.linear = nn.Linear(model["hidden_size"], data.store.num_classes)
        self.network = nn.ModuleList([self.gru, self.linear])
        self.optimizer = torch.optim.Adam(
            self.network.parameters(), optimizer["lr"], weight_decay=optimizer["weight_decay"]
        )
        self.train, self.val = data.train_dataloader().sampler, data.val_dataloader().sampler
        self.split, self.labels = data.split, torch.from_numpy(data.store.labels)
        self.sequences = dict(_transformed(data))
        self.packed = packed

    def epoch(self, number: int) -> tuple[float, float, float, float]:
        """Train for an epoch and validate; loss and accuracy of training, then of validation."""
        self.train.set_epoch(number)
        self.network.train()
        trained = self._over(self.split.train, self.train, self._step)
        self.network.eval()
        with torch.no_grad():
            return *trained, *self._over(self.split.val, self.val, lambda loss: None)

    def _over(
        self, indices: np.ndarray, batches: Iterator[Positions], step: Callable[[Tensor], None]
    ) -> tuple[float, float]:
        total, right, count = torch.zeros(()), torch.zeros((), dtype=torch.int64), 0
        for batch in batches:
            chosen = indices[batch.positions]
            labels = self.labels[chosen]
            logits = self.logits([self.sequences[index] for index in chosen.tolist()])
            loss = F.cross_entropy(logits, labels)
            step(loss)
            total += loss.detach() * len(labels)
            right += (logits.detach().argmax(1) == labels).sum()
            count += len(labels)
        return float(total) / count, int(right) / count

    def _step(self, loss: Tensor) -> None:
        self.optimizer.zero_grad()
        loss.backward()
        if self.limit is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.limit)
        self.optimizer.step()

    def logits(self, sequences: list[Tensor]) -> Tensor:
        """Logits (B, classes) of B ``sequences``, each (T, D)."""
        if self.packed:
            output, h_n = self.gru(pack_sequence(sequences, enforce_sorted=False))
            if self.readout == "last":
                return self.linear(self._dropped(h_n[-1]))
            output = output._replace(data=self._dropped(output.data))
            frames, lengths = pad_packed_sequence(output, batch_first=True)
            return self.linear(frames.sum(1) / lengths[:, None])
        frames, _ = self.gru(pad_sequence(sequences, batch_first=True))
        lengths = torch.tensor(list(map(len, sequences)))
        if self.readout == "last":
            return self.linear(self._dropped(frames[torch.arange(len(lengths)), lengths - 1]))
        valid = torch.arange(frames.shape[1]) < lengths[:, None]
        return self.linear((self._dropped(frames) * valid[:, :, None]).sum(1) / lengths[:, None])

    def _dropped(self, values: Tensor) -> Tensor:
        return F.dropout(values, self.dropout, self.network.training)


def _transformed(data: SequenceDataModule) -> Iterator[tuple[int, Tensor]]:
    """The sequences to train and validate on, each (T, D), by their index in the store."""
    for batch in data.tested(np.concatenate([data.split.train, data.split.val]), _AT_ONCE):
        rows = zip(batch.indices.tolist(), batch.inputs, batch.lengths.tolist(), strict=True)
        yield from ((index, frames[:length].clone()) for index, frames, length in rows)
