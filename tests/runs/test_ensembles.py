"""The mean of probabilities, against an independent computation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from eleatt_bench.runs.ensembles import average
from eleatt_bench.runs.predictions import Predictions


def member(seed: int, samples: int, classes: int, scale: float) -> Predictions:
    """Its samples are in an order of its own."""
    random = np.random.default_rng(seed)
    order = random.permutation(samples)
    return Predictions(
        names=np.array([f"s{index}".encode() for index in order]),
        labels=np.arange(samples)[order] % classes,
        logits=random.normal(0, scale, (samples, classes)).astype(np.float32),
        class_names=tuple(map(str, range(classes))),
        clean=order % 3 > 0,
    )


@given(
    st.lists(st.integers(0, 1000), min_size=2, max_size=5),
    st.integers(1, 30), st.integers(2, 5), st.sampled_from([1e-3, 1.0, 30.0, 1e30]),
)  # fmt: skip
def test_samples_are_matched_by_name(seeds, samples, classes, scale) -> None:
    members = [member(seed, samples, classes, scale) for seed in seeds]
    found = average(members)
    for place, name in enumerate(found.names):
        rows = [one.logits[one.names.tolist().index(name)] for one in members]
        expected = np.mean([softmax(row.astype(np.float64)) for row in rows], axis=0)
        assert np.exp(found.logits[place]) == pytest.approx(expected, rel=1e-12, abs=1e-300)
        assert found.labels[place] == int(name[1:]) % classes
    assert found.clean is not None
    assert (found.clean == members[0].clean).all()


def test_what_makes_no_ensemble() -> None:
    one = member(0, 5, 2, 1.0)
    others = {
        "fewer": member(1, 4, 2, 1.0),
        "other classes": member(1, 5, 3, 1.0),
        "other names": Predictions(
            np.array([b"x0", b"x1", b"x2", b"x3", b"x4"]), one.labels, one.logits, one.class_names
        ),
        "other labels": Predictions(one.names, 1 - one.labels, one.logits, one.class_names),
    }
    for other in others.values():
        with pytest.raises(ValueError, match="not tested on the same samples"):
            average([one, other])
    twice = Predictions(np.array([b"s0", b"s0"]), one.labels[:2], one.logits[:2], one.class_names)
    with pytest.raises(ValueError, match="twice"):
        average([twice, twice])
