"""The attention that a trained network pays to samples of its test set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.store import Integers, SequenceStore
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.training.checkpoints import weights_of
from eleatt_bench.training.classifier import SequenceClassifier, build_layers
from eleatt_bench.training.datamodule import SequenceDataModule
from eleatt_bench.training.fit import build

Array = npt.NDArray[np.float32]
_AT_ONCE = 64  # samples


class Attended(NamedTuple):
    """One sample: the attention a_t (T, D) and the input x_t (T, D) of its layer."""

    position: int  # in the store
    predicted: int
    inputs: Array
    attention: Array


def attention_to(
    config: Mapping[str, Any],
    store: SequenceStore,
    folder: RunFolder,
    indices: Sequence[int] | Integers,
    layer: int,
) -> list[Attended]:
    """The attention of ``layer`` (from 0) to the sequences ``indices`` of ``store``.

    The network has the tested weights, and sees the sequences as in the test. For a bidirectional
    layer, the attention is that of the forward direction.

    Raises:
        UserError: that layer has no gate, or there is no checkpoint.
    """
    # This computes on the CPU, where the backend that trained the network may be missing.
    config = {**config, "model": {**config["model"], "backend": "auto"}}
    data, classifier = build(config, store)
    gated = classifier.recurrent.gated_layers
    if layer not in gated:
        having = f"layers with a gate (from 0): {', '.join(map(str, gated))}"
        raise UserError(
            f"Layer {layer} of {folder.run_id} has no gate; {having if gated else 'no layer has'}"
        )
    classifier.load_state_dict(weights_of(folder, classifier=classifier))
    classifier.eval()
    below = _below(config["model"], classifier, data, layer)
    found = []
    for batch in data.tested(np.asarray(indices), _AT_ONCE):
        inputs = batch.inputs.to(classifier.classifier.weight.dtype)
        with torch.inference_mode(), classifier.autocast():
            predicted = classifier(inputs, batch.lengths).argmax(1)
            *_, attentions = classifier.recurrent(
                inputs, lengths=batch.lengths, return_attention=True
            )
            if below is not None:
                inputs = below(inputs, lengths=batch.lengths)[0]
        attention = attentions[layer * (2 if classifier.recurrent.bidirectional else 1)]
        for i, length in enumerate(batch.lengths.tolist()):
            found.append(
                Attended(
                    int(batch.indices[i]),
                    int(predicted[i]),
                    inputs[i, :length].numpy(),
                    attention[i, :length].numpy(),
                )
            )
    return found


def _below(
    model: Mapping[str, Any], classifier: SequenceClassifier, data: SequenceDataModule, layer: int
) -> torch.nn.Module | None:
    """The layers below ``layer``, with their weights; None for the first."""
    if layer == 0:
        return None
    gated = [k for k in classifier.recurrent.gated_layers if k < layer]
    smaller = {**model, "num_layers": layer, "gated_layers": gated}
    if not gated:
        smaller["gate"] = smaller["gated_layers"] = None
    stack = build_layers(smaller, data.input_size).to(classifier.classifier.weight.dtype)
    weights = classifier.recurrent.state_dict()
    stack.load_state_dict({name: weights[name] for name in stack.state_dict()})
    return stack.eval()


def relative(found: Sequence[Attended]) -> list[Array]:
    """a_ij / ā_i (T, D) of each sample, ā_i = √(mean x̃_i² / mean x_i²) over all of their frames.

    This is the measure of the paper's Figure 3, with x̃ = a ⊙ x. An element has 1 where its
    attention equals its average ā_i. An element whose input is zero in every frame has 0.
    """
    x = np.concatenate([one.inputs for one in found]).astype(np.float64)
    attended = np.concatenate([one.inputs * one.attention for one in found]).astype(np.float64)
    power = (x**2).mean(axis=0)
    mean = np.sqrt(np.divide((attended**2).mean(axis=0), power, where=power > 0, out=power * 0))
    scale = np.divide(1.0, mean, where=mean > 0, out=np.zeros_like(mean))
    return [(one.attention * scale).astype(np.float32) for one in found]


def of_joints(values: Array, inputs: Array, joints: int) -> Array:
    """The sum over x, y and z of each joint (T, J), of ``values`` (T, 3 · J).

    It is 0 for the ``joints`` of a body that is not there: whose ``inputs`` (T, 3 · J) are all 0.
    """
    found = values.reshape(len(values), -1, 3).sum(axis=2)
    there = inputs.reshape(len(values), -1, 3 * joints).any(axis=2)
    return np.where(np.repeat(there, joints, axis=1), found, 0).astype(np.float32)


def mean_over_frames(values: Sequence[Array]) -> Array:
    """The mean (D,) over all frames of ``values`` (T, D) in which an element has attention.

    It is NaN for an element that never has any.
    """
    frames = np.concatenate(values).astype(np.float64)
    counts = (frames > 0).sum(axis=0)
    means: Array = np.full(len(counts), np.nan)
    np.divide(frames.sum(axis=0), counts, out=means, where=counts > 0)
    return means
