"""The attention that gates pay to a few validation samples, watched during training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from pytorch_lightning import Trainer

from eleatt_bench.data.batches import Positions, SequenceDataset
from eleatt_bench.data.layout import vector_names
from eleatt_bench.data.store import Integers
from eleatt_bench.training.board.pictures import Panel
from eleatt_bench.training.classifier import SequenceClassifier
from eleatt_bench.training.datamodule import SequenceDataModule

Array = npt.NDArray[np.float32]

WATCHED = 8
"""The number of samples that the statistics are about."""
PICTURED = 3
"""The number of these samples that are drawn."""
CLOSED = 0.1
"""Attention below this counts as nearly closed; for a softmax over D elements, below this / D."""


class Gates:
    """The gates of ``classifier``, and `WATCHED` validation samples, the same in every epoch.

    Nothing here draws a random number or changes the network.
    """

    def __init__(
        self, classifier: SequenceClassifier, data: SequenceDataModule, trainer: Trainer
    ) -> None:
        dataset = data.val_dataloader().dataset
        assert isinstance(dataset, SequenceDataset)
        positions = _spread(len(dataset), WATCHED)
        batch = dataset[Positions(positions, len(positions), 0)]
        batch = trainer.strategy.batch_to_device(trainer.precision_plugin.convert_input(batch))
        self._batch = data.transforms(batch, training=False)
        self._dataset, self._recurrent = dataset, classifier.recurrent
        self._streams = cast(list[str], data.config["transforms"]["streams"])
        self._context = trainer.precision_plugin.forward_context
        lengths = self._batch.lengths.cpu().numpy()
        self._valid = np.arange(self._batch.inputs.shape[1]) < lengths[:, None]

    def attention(self) -> dict[str, Array]:
        """The attention a_t (B, T, D) of every gated layer, by its name."""
        recurrent, directions = self._recurrent, 2 if self._recurrent.bidirectional else 1
        training = recurrent.training
        recurrent.eval()
        try:
            with torch.no_grad(), self._context():
                *_, attentions = recurrent(
                    self._batch.inputs, lengths=self._batch.lengths, return_attention=True
                )
        finally:
            recurrent.train(training)
        return {
            f"layer{row // directions}{'_reverse' * (row % directions)}": attention.cpu().numpy()
            for row, attention in enumerate(attentions)
            if attention is not None
        }

    def statistics(self, attention: Mapping[str, Array]) -> dict[str, float]:
        """Mean, spread and share of nearly closed elements of each layer, over all valid frames."""
        found: dict[str, float] = {}
        for layer, padded in attention.items():
            values = padded[self._valid]
            limit = CLOSED / (values.shape[1] if self._recurrent.gate == "softmax" else 1)
            found[f"gate/mean_{layer}"] = float(values.mean(dtype=np.float64))
            found[f"gate/std_{layer}"] = float(values.std(dtype=np.float64))
            found[f"gate/closed_{layer}"] = float((values < limit).mean())
        return found

    def panels(self, layer: str, attention: Array) -> list[Panel]:
        """What to draw of the ``attention`` (B, T, D) of one layer to a few of the samples."""
        return [
            self._panel(layer, position, attention[position, self._valid[position]])
            for position in _spread(len(self._valid), PICTURED)
        ]

    def _panel(self, layer: str, position: int, values: Array) -> Panel:
        """The panel of ``values`` (T, D), the attention to the sample at ``position``."""
        store, index = self._dataset.store, int(self._batch.indices[position])
        title = f"{store.names[index]}\n{store.class_names[store.labels[index]]}"
        layout = store.layout
        steps = "step" if layout["kind"] == "image" else "frame"
        if not layer.startswith("layer0"):
            below = int(layer.removeprefix("layer").removesuffix("_reverse")) - 1
            return Panel(title, values.T, steps, f"output of layer {below}")
        if layout["kind"] == "skeleton":
            joints = values.reshape(len(values), -1, 3).mean(axis=2)
            return Panel(title, joints.T, steps, names=vector_names(layout, self._streams))
        if layout["kind"] == "image" and values.size == layout["height"] * layout["width"]:
            seen = self._batch.inputs[position].float().cpu().numpy()
            as_image = self._dataset.as_image
            return Panel(title, as_image(values), image=as_image(seen))
        return Panel(title, values.T, steps, "element of the input")


def _spread(length: int, most: int) -> Integers:
    """At most ``most`` positions below ``length``, equally far apart."""
    return np.unique(np.linspace(0, length - 1, most).round().astype(np.int64))
