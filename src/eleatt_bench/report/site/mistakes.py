"""What a run takes for what: by class, by pair of classes, and sample by sample."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from eleatt_bench.runs.predictions import Predictions

Counts = npt.NDArray[np.int64]


class ClassResult(NamedTuple):
    """How many test ``samples`` a class has, and how many of them are ``right``."""

    name: str
    samples: int
    right: int

    @property
    def share(self) -> float | None:
        """The share of right samples in %; None for a class without test samples."""
        return 100 * self.right / self.samples if self.samples else None


class Confused(NamedTuple):
    """How many of the ``of`` test samples of class ``actual`` are taken for ``predicted``."""

    actual: str
    predicted: str
    samples: int
    of: int


class Mistake(NamedTuple):
    """A test sample that is taken for another class with probability ``confidence``, in %."""

    name: str
    actual: str
    predicted: str
    confidence: float


def by_class(counts: Counts, names: tuple[str, ...]) -> list[ClassResult]:
    """Every class, in the order of the labels; ``counts`` are its `Predictions.confusion`."""
    return [
        ClassResult(name, int(row.sum()), int(row[place]))
        for place, (name, row) in enumerate(zip(names, counts, strict=True))
    ]


def most_confused(counts: Counts, names: tuple[str, ...], most: int) -> list[Confused]:
    """Up to ``most`` pairs of classes, the most frequent confusions first."""
    wrong = counts - np.diag(counts.diagonal())
    pairs = sorted(np.argwhere(wrong).tolist(), key=lambda pair: -wrong[tuple(pair)])
    return [
        Confused(names[actual], names[predicted], int(wrong[actual, predicted]),
                 int(counts[actual].sum()))
        for actual, predicted in pairs[:most]
    ]  # fmt: skip


def mistakes(found: Predictions, most: int) -> list[Mistake]:
    """Up to ``most`` misclassified samples, those of the highest confidence first."""
    wrong = np.flatnonzero(~found.right)
    confidence = 100 * found.probabilities[wrong].max(axis=1)
    order = np.argsort(-confidence, kind="stable")[:most]
    names, classes = found.names, found.class_names
    return [
        Mistake(
            names[wrong[place]].decode(),
            classes[found.labels[wrong[place]]],
            classes[found.predicted[wrong[place]]],
            float(confidence[place]),
        )
        for place in order
    ]
