"""Which sequences of a fold are tested: functions of the metadata alone, the same for everyone.

Each gives a mask over the sequences, True where a sequence is for testing; the others are for
training and validation. Random numbers are from NumPy's `RandomState`, which is frozen across
versions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.store import Integers

Mask = npt.NDArray[np.bool_]

RANDOM_FOLDS = 30
"""SYSU's accuracies are means over this many random splits.

The paper's own splits are not known. Lists of cross-subject splits come with others' code (`sysu`);
without them the splits are ours. Ours are drawn from all published subjects, so that a missing
subject changes nothing for the others.
"""
_SEED = 20180908  # the first day of the conference


def cross_subject(subject: Integers, subjects: int, fold: int) -> Mask:
    """SYSU CS: half of the ``subjects`` 1, 2, …, drawn for each ``fold``, train; the others test.

    Raises:
        UserError: ``fold`` is not 0 to 29.
    """
    return ~np.isin(subject, _half(subjects, fold))


def same_subject(subject: Integers, action: Integers, subjects: int, fold: int) -> Mask:
    """SYSU SS: half of each action's sequences, drawn for each ``fold``, train; the others test.

    Each of the ``subjects`` 1, 2, … has one sequence of an action.

    Raises:
        UserError: ``fold`` is not 0 to 29.
    """
    test = np.ones(len(subject), dtype=bool)
    for one in np.unique(action).tolist():
        test[(action == one) & np.isin(subject, _half(subjects, fold, one))] = False
    return test


def leave_one_subject_out(subject: Integers, fold: int) -> Mask:
    """DHG: fold 0 tests on subject 1, fold 1 on subject 2, and so on, even if others are missing.

    Raises:
        UserError: there is nothing of that subject.
    """
    test = np.asarray(subject == fold + 1)
    if not test.any():
        raise UserError(f"data.fold={fold} tests on subject {fold + 1}, of whom nothing is here")
    return test


def official(split: Integers) -> Mask:
    """SHREC'17, MNIST, and each split of JHMDB: 0 trains, 1 tests."""
    return np.asarray(split == 1)


def _half(subjects: int, fold: int, *more: int) -> Integers:
    """Half of the subjects 1 … ``subjects``, drawn anew for each ``fold`` and each ``more``."""
    if not 0 <= fold < RANDOM_FOLDS:
        raise UserError(
            f"data.fold is {fold}, but there are {RANDOM_FOLDS} folds: set it to 0 … "
            f"{RANDOM_FOLDS - 1}"
        )
    order = np.random.RandomState([_SEED, fold, *more]).permutation(subjects)
    return 1 + order[: subjects // 2]
