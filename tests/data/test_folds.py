"""Folds: of the sizes that the protocols name, the same for everyone and for ever."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eleatt_bench.common.errors import UserError
from eleatt_bench.data import folds

SUBJECT = np.repeat(np.arange(1, 41), 12)  # SYSU: 40 subjects, 12 actions
ACTION = np.tile(np.arange(1, 13), 40)


def fingerprint(masks: list[np.ndarray]) -> str:
    return hashlib.sha256(np.stack(masks).tobytes()).hexdigest()[:16]


@pytest.mark.parametrize("fold", range(30))
def test_cross_subject(fold: int) -> None:
    test = folds.cross_subject(SUBJECT, 40, fold)
    assert test.dtype == bool
    assert test.shape == (480,)
    tested, trained = set(SUBJECT[test]), set(SUBJECT[~test])
    assert len(tested) == len(trained) == 20
    assert not tested & trained


@pytest.mark.parametrize("fold", range(30))
def test_same_subject(fold: int) -> None:
    test = folds.same_subject(SUBJECT, ACTION, 40, fold)
    assert test.dtype == bool
    assert np.bincount(ACTION[test])[1:].tolist() == [20] * 12
    assert np.bincount(ACTION[~test])[1:].tolist() == [20] * 12
    # Not the same subjects for every action.
    assert len({tuple(SUBJECT[test & (one == ACTION)]) for one in range(1, 13)}) == 12


def test_every_fold_is_another() -> None:
    for masks in (
        [folds.cross_subject(SUBJECT, 40, fold) for fold in range(30)],
        [folds.same_subject(SUBJECT, ACTION, 40, fold) for fold in range(30)],
    ):
        assert len({mask.tobytes() for mask in masks}) == 30
        # Each sequence is tested in about half of the folds (binomial: six standard deviations).
        assert np.abs(np.mean(masks, axis=0) - 0.5).max() < 6 * 0.5 / np.sqrt(30)


def test_the_folds_never_change() -> None:
    """Runs are named by their fold, so a fold must mean the same for ever."""
    cross = [folds.cross_subject(SUBJECT, 40, fold) for fold in range(30)]
    same = [folds.same_subject(SUBJECT, ACTION, 40, fold) for fold in range(30)]
    assert fingerprint(cross) == "e470add127096400"
    assert fingerprint(same) == "68c22ebe33240171"


@settings(deadline=None)
@given(order=st.permutations(range(480)), fold=st.integers(0, 29))
def test_the_order_of_the_store_does_not_matter(order: list[int], fold: int) -> None:
    shuffled = folds.same_subject(SUBJECT[order], ACTION[order], 40, fold)
    np.testing.assert_array_equal(shuffled, folds.same_subject(SUBJECT, ACTION, 40, fold)[order])
    shuffled = folds.cross_subject(SUBJECT[order], 40, fold)
    np.testing.assert_array_equal(shuffled, folds.cross_subject(SUBJECT, 40, fold)[order])


@given(
    left_out=st.sets(st.integers(0, 479), max_size=40),
    subject=st.integers(1, 40),
    fold=st.integers(0, 29),
)
def test_what_is_missing_moves_nothing_else(left_out: set[int], subject: int, fold: int) -> None:
    kept = np.array([i for i in range(480) if i not in left_out and SUBJECT[i] != subject])
    for whole, part in (
        (folds.cross_subject(SUBJECT, 40, fold), folds.cross_subject(SUBJECT[kept], 40, fold)),
        (
            folds.same_subject(SUBJECT, ACTION, 40, fold),
            folds.same_subject(SUBJECT[kept], ACTION[kept], 40, fold),
        ),
    ):
        np.testing.assert_array_equal(part, whole[kept])


def test_leave_one_subject_out() -> None:
    """A fold tests the subject of its number less one, whoever is missing."""
    subject = np.array([3, 1, 2, 3, 1, 20])
    masks = [folds.leave_one_subject_out(subject, fold) for fold in (0, 1, 2, 19)]
    assert [set(subject[mask]) for mask in masks] == [{1}, {2}, {3}, {20}]
    assert np.sum(masks, axis=0).tolist() == [1] * 6  # each is tested exactly once
    with pytest.raises(UserError, match=r"data\.fold=3 tests on subject 4, of whom nothing is"):
        folds.leave_one_subject_out(subject, 3)


def test_official() -> None:
    assert folds.official(np.array([0, 1, 1, 0])).tolist() == [False, True, True, False]


@pytest.mark.parametrize("fold", [-1, 30])
def test_folds_that_do_not_exist(fold: int) -> None:
    says = f"data.fold is {fold}, but there are 30 folds: set it to 0 … 29"
    with pytest.raises(UserError, match=says):
        folds.cross_subject(SUBJECT, 40, fold)
    with pytest.raises(UserError, match=says):
        folds.same_subject(SUBJECT, ACTION, 40, fold)
