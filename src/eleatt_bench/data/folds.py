"""Which sequences of a fold are tested: functions of the metadata alone, the same for everyone.

Each gives a mask over the sequences, True where a sequence is for testing; the others are for
training and validation. All of NumPy's `RandomState`, whose numbers are frozen across versions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.store import Integers

Mask = npt.NDArray[np.bool_]

RANDOM_FOLDS = 30
"""SYSU's figures are means over this many random splits. The paper's own are not known; lists of
cross-subject splits go round with others' code (`sysu`), and without these the splits are ours."""
_SEED = 20180908  # the first day of the conference


def cross_subject(subject: Integers, fold: int) -> Mask:
    """SYSU CS: half of the subjects, drawn at random for each ``fold``, train; the others test.

    Raises:
        UserError: ``fold`` is not 0 to 29.
    """
    subjects = np.unique(subject)
    order = _random(fold).permutation(len(subjects))
    trained = subjects[order[: len(subjects) // 2]]
    return ~np.isin(subject, trained)


def same_subject(subject: Integers, action: Integers, fold: int) -> Mask:
    """SYSU SS: half of each subject's sequences, drawn at random for each ``fold``, train.

    A subject's sequences are drawn in the order of ``action``, whatever order they are stored in.

    Raises:
        UserError: ``fold`` is not 0 to 29.
    """
    random = _random(fold)
    test = np.ones(len(subject), dtype=bool)
    order = np.lexsort((action, subject))
    for own in (order[subject[order] == one] for one in np.unique(subject)):
        test[random.permutation(own)[: len(own) // 2]] = False
    return test


def leave_one_subject_out(subject: Integers, fold: int) -> Mask:
    """DHG: fold 0 tests on subject 1, fold 1 on subject 2, and so on, whoever else is there.

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


def _random(fold: int) -> np.random.RandomState:
    if not 0 <= fold < RANDOM_FOLDS:
        raise UserError(
            f"data.fold is {fold}, but there are {RANDOM_FOLDS} folds: set it to 0 … "
            f"{RANDOM_FOLDS - 1}"
        )
    return np.random.RandomState([_SEED, fold])
