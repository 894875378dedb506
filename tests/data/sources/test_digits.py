"""The digits of scikit-learn."""

from __future__ import annotations

import numpy as np

from eleatt_bench.data.sources.digits import test_split as split_of
from eleatt_bench.data.store import SequenceStore


def test_the_images_row_by_row(digits: SequenceStore) -> None:
    from sklearn.datasets import load_digits

    source = load_digits()
    assert set(digits.lengths) == {8}
    np.testing.assert_array_equal(digits.frames.reshape(-1, 8, 8) * 16, source.images)
    np.testing.assert_array_equal(digits.labels, source.target)
    assert digits.layout == {"kind": "image", "height": 8, "width": 8}
    assert digits.frames.max() == 1


def test_a_fifth_of_each_class_tests(digits: SequenceStore) -> None:
    for label in range(10):
        own = digits.metadata["split"][digits.labels == label]
        assert own.sum() == round(len(own) / 5)


def test_the_split_is_fixed(digits: SequenceStore) -> None:
    test = np.flatnonzero(digits.metadata["split"])
    assert test[:8].tolist() == FIRST_TEST_DIGITS
    np.testing.assert_array_equal(split_of(digits.labels), digits.metadata["split"] == 1)


FIRST_TEST_DIGITS = [3, 7, 13, 19, 36, 38, 43, 48]
