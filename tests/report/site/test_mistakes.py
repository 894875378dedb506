"""What is taken for what, against scikit-learn and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from eleatt_bench.report.site.mistakes import by_class, mistakes, most_confused
from eleatt_bench.runs.predictions import Predictions


@st.composite
def predictions(draw: st.DrawFn) -> Predictions:
    classes, size = draw(st.integers(2, 6)), draw(st.integers(1, 40))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    return Predictions(
        names=np.array([f"s{i}".encode() for i in range(size)]),
        labels=random.integers(0, classes, size),
        logits=random.normal(scale=4, size=(size, classes)).astype(np.float32),
        class_names=tuple(f"class {k}" for k in range(classes)),
    )


@given(predictions())
@pytest.mark.slow
def test_classes_and_pairs_are_those_of_the_confusion_matrix(found: Predictions) -> None:
    from sklearn.metrics import confusion_matrix, recall_score  # takes seconds: not in all workers

    classes = len(found.class_names)
    expected = confusion_matrix(found.labels, found.predicted, labels=range(classes))
    counts = found.confusion
    assert counts.tolist() == expected.tolist()
    recalls = recall_score(
        found.labels, found.predicted, labels=range(classes), average=None, zero_division=np.nan
    )
    for one, recall in zip(by_class(counts, found.class_names), recalls, strict=True):
        assert (one.share is None) == np.isnan(recall)
        assert one.share is None or np.isclose(one.share, 100 * recall)
    pairs = most_confused(counts, found.class_names, classes**2)
    assert [p.samples for p in pairs] == sorted((p.samples for p in pairs), reverse=True)
    assert sum(pair.samples for pair in pairs) == (found.labels != found.predicted).sum()
    for pair in pairs:
        actual, predicted = (found.class_names.index(n) for n in (pair.actual, pair.predicted))
        assert actual != predicted
        assert pair.samples == expected[actual, predicted]
        assert pair.of == (found.labels == actual).sum()
    assert most_confused(counts, found.class_names, 1) == pairs[:1]


@given(predictions())
def test_the_surest_mistakes_come_first(found: Predictions) -> None:
    wrong = [i for i in range(len(found.labels)) if found.labels[i] != found.predicted[i]]
    shown = mistakes(found, len(found.labels))
    assert sorted(one.name for one in shown) == sorted(f"s{i}" for i in wrong)
    confidence = 100 * softmax(found.logits.astype(np.float64), axis=1).max(axis=1)
    for one in shown:
        place = int(one.name[1:])
        assert one.actual == found.class_names[found.labels[place]]
        assert one.predicted == found.class_names[found.predicted[place]]
        assert np.isclose(one.confidence, confidence[place])
    assert [s.confidence for s in shown] == sorted((s.confidence for s in shown), reverse=True)
    assert mistakes(found, 2) == shown[:2]
