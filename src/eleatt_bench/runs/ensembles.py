"""The joint predictions of several networks for the test samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from eleatt_bench.runs.predictions import Predictions


def average(members: Sequence[Predictions]) -> Predictions:
    """Predictions by the mean of the members' probabilities; samples are matched by name.

    The logits of the result are the logarithms of the means, in the order of the first
    member's samples.

    Raises:
        ValueError: the members were not tested on the same samples, or a name occurs twice.
    """
    first = members[0]
    if len(np.unique(first.names)) < len(first.names):
        raise ValueError("a test sample's name is there twice")
    total = np.zeros(first.logits.shape)
    for member in members:
        total += member.probabilities[_places(first, member)]
    mean = total / len(members)
    return Predictions(
        first.names, first.labels, np.log(np.maximum(mean, np.finfo(np.float64).tiny)),
        first.class_names, first.clean,
    )  # fmt: skip


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
