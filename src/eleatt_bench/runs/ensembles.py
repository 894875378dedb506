"""The joint predictions of several networks for the test samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from eleatt_bench.runs.predictions import Predictions


def average(members: Sequence[Predictions]) -> Predictions:
    """Predictions by the mean of the members' probabilities; samples are matched by name.

    A probability is the softmax of a sample's logits, in double precision. The logits of the result
    are the logarithms of the means, in the first member's order of samples.

    Raises:
        ValueError: the members were not tested on the same samples, or a name occurs twice.
    """
    first = members[0]
    if len(np.unique(first.names)) < len(first.names):
        raise ValueError("a test sample's name is there twice")
    total = np.zeros(first.logits.shape)
    for member in members:
        total += _probabilities(member.logits)[_places(first, member)]
    mean = total / len(members)
    return Predictions(
        first.names, first.labels, np.log(np.maximum(mean, np.finfo(np.float64).tiny)),
        first.class_names, first.clean,
    )  # fmt: skip


def _probabilities(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """The softmax of each row, (N, C)."""
    exact = logits.astype(np.float64)
    powers = np.exp(exact - exact.max(axis=1, keepdims=True))
    found: npt.NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return found


def _places(first: Predictions, other: Predictions) -> npt.NDArray[np.intp]:
    """The position in ``other`` of each sample of ``first``, (N,)."""
    order, sorted_first = np.argsort(other.names), np.argsort(first.names)
    places = np.empty(len(first.names), np.intp)
    same = first.logits.shape == other.logits.shape
    if same:
        places[sorted_first] = order
        same = (other.names[places] == first.names).all() and (
            other.labels[places] == first.labels
        ).all()
    if not same:
        raise ValueError("they were not tested on the same samples")
    return places
