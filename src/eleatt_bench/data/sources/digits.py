"""The 1,797 handwritten digits of 8 × 8 pixels that ship inside scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from eleatt_bench.data.release import Release
from eleatt_bench.data.store import Integers, Sample

TEST_FRACTION = 0.2


def read() -> Release:
    """The digits: 8 frames (rows, top first) of 8 pixels in [0, 1]; ``split`` 0 train, 1 test."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    labels = digits.target.astype(np.int64)
    return Release(
        description="sklearn.datasets.load_digits",
        class_names=tuple("0123456789"),
        layout={"kind": "image", "height": 8, "width": 8},
        count=len(labels),
        samples=_samples((digits.images / 16).astype(np.float32), labels),
    )


def _samples(images: npt.NDArray[np.float32], labels: Integers) -> Iterator[Sample]:
    test = test_split(labels)
    for index, image in enumerate(images):
        metadata = {"split": int(test[index])}
        yield Sample(f"digit_{index:04d}", image, int(labels[index]), metadata)


def test_split(labels: Integers) -> npt.NDArray[np.bool_]:
    """Which samples are test samples: the same fifth of every class, always."""
    test = np.zeros(len(labels), dtype=bool)
    random = np.random.RandomState(0)  # its numbers are frozen across NumPy versions
    for label in np.unique(labels):
        own = random.permutation(np.flatnonzero(labels == label))
        test[own[: round(TEST_FRACTION * len(own))]] = True
    return test
