"""Splits: every sequence in one part, the parts that the protocols name, repeats found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.datasets import entry, names
from eleatt_bench.data.protocols import PROTOCOLS, labelled, repeats, seen_before, split
from eleatt_bench.data.store import Sample, SequenceStore


@pytest.fixture(scope="module")
def store(make_store) -> SequenceStore:
    return make_store([1] * 60)  # cameras 1, 2, 3, 1, 2, 3, …


def test_cross_view_tests_on_the_third_camera(store: SequenceStore) -> None:
    parts = split(store, "cross_view")
    assert set(store.metadata["camera"][parts.test]) == {3}
    assert set(store.metadata["camera"][np.r_[parts.train, parts.val]]) == {1, 2}
    assert [len(part) for part in parts[:3]] == [38, 2, 20]


def test_the_protocol_to_choose_by_knows_nothing_of_the_third_camera(make_store) -> None:
    frames = [np.full((2, 2), value, dtype=np.float32) for value in range(6)]
    cut = np.concatenate([frames[3], frames[5][:1]])  # its last frame is one of camera 1
    #            camera: 1       2          2: a copy  2          3          3          1      2
    contents = [frames[0], frames[1], frames[2], frames[3], frames[2], frames[4], frames[5], cut]
    cameras = [1, 2, 2, 2, 3, 3, 1, 2]
    store = make_store(
        samples=[
            Sample(f"s{i}", content, 0, {"camera": camera})
            for i, (content, camera) in enumerate(zip(contents, cameras, strict=True))
        ]
    )
    parts = split(store, "cross_view_dev", val_fraction=0.5)
    assert sorted([*parts.train, *parts.val]) == [0, 6]
    assert parts.test.tolist() == [1, 3]
    assert parts.clean is None


def test_sequences_of_two_files_are_the_same_byte_for_byte(make_store) -> None:
    def store_of(*values: int) -> SequenceStore:
        frames = [np.full((2, 2), value, dtype=np.float32) for value in values]
        return make_store(
            samples=[Sample(f"s{i}", f, 0, {"camera": 1 + i}) for i, f in enumerate(frames)]
        )

    one, other = store_of(1, 2, 3, 1), store_of(3, 1, 9)
    everything = np.arange(4)
    assert seen_before(one, everything, other, np.arange(3)).tolist() == [0, 2, 3]
    assert seen_before(one, everything, other, np.array([2])).tolist() == []
    assert seen_before(one, np.array([0]), one, np.array([3])).tolist() == [], "only a repetition"
    assert seen_before(one, np.array([0, 2]), one, np.array([1, 2])).tolist() == [2]


@settings(deadline=None)
@given(fraction=st.floats(0.001, 0.97), seed=st.integers(0, 99))
def test_every_sequence_is_in_exactly_one_part(store, fraction: float, seed: int) -> None:
    parts = split(store, "cross_view", val_fraction=fraction, val_seed=seed)
    assert sorted(np.concatenate(parts[:3])) == list(range(60))
    for part in parts[:3]:
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()
    assert len(parts.val) == max(1, round(fraction * 40))
    again = split(store, "cross_view", val_fraction=fraction, val_seed=seed)
    np.testing.assert_array_equal(parts.val, again.val)


def test_validation_follows_its_seed(store: SequenceStore) -> None:
    drawn = {tuple(split(store, "cross_view", val_seed=seed).val) for seed in range(9)}
    assert len(drawn) > 5


def test_the_validation_samples_of_a_seed_are_the_same_everywhere(store: SequenceStore) -> None:
    """Whatever the versions of Python and NumPy, and however large the seed."""
    drawn = [
        split(store, "cross_view", val_fraction=0.1, val_seed=seed).val.tolist()
        for seed in (0, 1, 2**32, 10**30)
    ]
    assert drawn == [[6, 13, 25, 33], [1, 15, 31, 45], [28, 37, 48, 57], [9, 12, 22, 34]]


def test_clean_marks_what_is_not_a_copy(make_store) -> None:
    frames = [np.full((n, 2), v, dtype=np.float32) for n, v in ((1, 1), (2, 1), (1, 2), (3, 5))]
    #            camera: 1       1    2   3: a copy  3: longer  3: a copy  3: of a test one
    contents = [frames[0], frames[3], frames[2], frames[0], frames[1], frames[2], frames[1]]
    cameras = [1, 1, 2, 3, 3, 3, 3]
    samples = [
        Sample(f"s{i}", content, 0, {"camera": camera})
        for i, (content, camera) in enumerate(zip(contents, cameras, strict=True))
    ]
    store = make_store(samples=samples)
    parts = split(store, "cross_view")
    assert parts.test.tolist() == [3, 4, 5, 6]
    assert parts.clean is not None
    assert parts.clean.tolist() == [False, True, False, True]
    assert repeats(store, "cross_view") == {3: 0, 5: 2}


def test_real_nucla(real_nucla: SequenceStore) -> None:
    parts = split(real_nucla, "cross_view")
    assert len(parts.train) + len(parts.val) == 1020
    assert (len(parts.val), len(parts.test)) == (51, 464)
    assert parts.clean is not None
    assert parts.clean.sum() == 369
    assert len(repeats(real_nucla, "cross_view")) == 95
    repeated = real_nucla.metadata["action"][parts.test[~parts.clean]]
    assert np.unique_counts(repeated).counts.tolist() == [50, 45]
    assert set(repeated) == {2, 3}


def test_digits(digits: SequenceStore) -> None:
    parts = split(digits, "fixed")
    assert [len(part) for part in parts[:3]] == [1366, 72, 359]
    assert parts.clean is None
    np.testing.assert_array_equal(digits.metadata["split"][parts.test], 1)


@pytest.mark.parametrize("name", [name for name in names() if entry(name).samples_of])
def test_data_sets_of_the_same_samples_test_them_alike(name: str) -> None:
    whole = entry(entry(name).samples_of)
    assert PROTOCOLS[name] == PROTOCOLS[whole.name]
    assert (entry(name).published, entry(name).sizes) == (whole.published, whole.sizes)


def test_official_takes_the_published_split(make_store) -> None:
    store = make_store([1] * 6, name="mnist", metadata={"split": [0, 0, 1, 0, 0, 1]})
    assert split(store, "official").test.tolist() == [2, 5]


def test_mistakes(store: SequenceStore, make_store) -> None:
    with pytest.raises(UserError, match=r"Unknown protocol of nucla 'cross_veiw'\. Did you mean"):
        split(store, "cross_veiw")
    with pytest.raises(UserError, match=r"Choices: cross_view, cross_view_dev$"):
        repeats(store, "official")
    with pytest.raises(UserError, match="fold is 1, but cross_view of nucla has one fold: 0"):
        split(store, "cross_view", fold=1)
    with pytest.raises(UserError, match="leaves none of 40 sequences"):
        split(store, "cross_view", val_fraction=0.999)
    with pytest.raises(UserError, match="Unknown data set 'other'"):
        split(make_store(name="other"), "fixed")


def test_gestures_of_14_and_28_classes_are_the_same_sequences(make_store) -> None:
    metadata = {"split": [0, 0, 0, 1], "label_28": [1, 0, 3, 2]}
    store = make_store(name="shrec17", metadata=metadata)
    for protocol in ("gestures_14", "gestures_28"):
        assert split(store, protocol).test.tolist() == [3]
    assert labelled(store, "gestures_14") is store
    fine = labelled(store, "gestures_28")
    assert fine.labels.tolist() == [1, 0, 3, 2]
    assert fine.class_names == (
        *("no, one finger", "no, whole hand"),
        *("yes, one finger", "yes, whole hand"),
    )


WITH_STORES = [(n, p) for n in PROTOCOLS if not entry(n).part for p in PROTOCOLS[n]]


@pytest.mark.parametrize(("name", "protocol"), WITH_STORES)
def test_every_fold_of_every_protocol_has_something_to_train_and_to_test(
    make_store, name: str, protocol: str
) -> None:
    count = 120
    columns = {
        "camera": [1 + i % 3 for i in range(count)],
        "subject": [1 + i % 40 for i in range(count)],
        "setup": [1 + i % 32 for i in range(count)],
        "action": [1 + i % 12 for i in range(count)],
        "split": [i % 2 for i in range(count)],
        "label_28": [i % 4 for i in range(count)],
        **{f"split_{k}": [(i // k) % 2 for i in range(count)] for k in (1, 2, 3)},
    }
    if name == "dhg":
        columns["subject"] = [1 + i % 20 for i in range(count)]
    store = make_store([1] * count, name=name, metadata=columns)
    folds = PROTOCOLS[name][protocol].folds
    tested = [tuple(split(store, protocol, fold=fold).test) for fold in range(folds)]
    assert len(set(tested)) == folds
    assert all(0 < len(test) < count for test in tested)
    with pytest.raises(UserError, match=f"fold is {folds}, but {protocol} of {name} has"):
        split(store, protocol, fold=folds)
