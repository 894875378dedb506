"""Counts of a store against counting by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from eleatt_bench.data import summary as room
from eleatt_bench.data.summary import summary


def test_it_counts_what_is_there(real_nucla, monkeypatch) -> None:
    monkeypatch.setattr(room, "_FRAMES_AT_ONCE", 7_001)  # several pieces
    found = summary(real_nucla)
    labels = Counter(real_nucla.class_names[label] for label in real_nucla.labels)
    assert found.per_class == dict(labels)
    assert found.per_column["camera"] == {1: 516, 2: 504, 3: 464}
    lengths = [len(real_nucla.sequence(i)) for i in range(len(real_nucla.labels))]
    assert found.lengths == {
        "min": min(lengths), "median": np.median(lengths), "mean": np.mean(lengths),
        "max": max(lengths),
    }  # fmt: skip
    for first, last, count in found.histogram:
        assert count == sum(first <= length <= last for length in lengths)
    assert sum(count for *_, count in found.histogram) == len(lengths)
    joints = real_nucla.frames.reshape(-1, 3).astype(np.float64)
    joints = joints[joints.any(axis=1)]
    for axis, values in zip(found.ranges, joints.T, strict=True):
        assert (axis.lowest, axis.highest) == (values.min(), values.max())
        assert axis.mean == pytest.approx(values.mean(), rel=1e-9)
    assert [axis.name for axis in found.ranges] == ["x", "y", "z"]


def test_images_have_one_range_and_one_length(digits) -> None:
    found = summary(digits)
    assert found.histogram == [(8, 8, 1797)]
    (values,) = found.ranges
    assert (values.name, values.lowest, values.highest) == ("all values", 0, 1)
