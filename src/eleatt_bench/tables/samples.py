"""What the predictions of two rows say: which test samples each has right, seed by seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from eleatt_bench.runs.predictions import Predictions
from eleatt_bench.tables.bootstrap import paired_bootstrap
from eleatt_bench.tables.chance import contributions, crossed
from eleatt_bench.tables.crossing import Integers
from eleatt_bench.tables.statistics import Bounds, mcnemar
from eleatt_bench.tables.table import NOTHING_COMPARED, Compared, SampleTest

Pair = tuple[Predictions | None, Predictions | None]


class Gains(NamedTuple):
    """One seed, all folds: 1 where only the first row is right, −1 where only the second is."""

    gain: Integers  # (M,)
    names: np.ndarray[Any, np.dtype[np.bytes_]]  # (M,)
    fold: Integers  # (M,)


def gains(folds: Mapping[int, Pair]) -> Gains | None:
    """The gains of the two runs of each fold; None if some are missing or of other samples.

    Samples with other labels or classes are others, too.
    """
    gain, names, fold_of = [], [], []
    for fold, (ours, theirs) in folds.items():
        if ours is None or theirs is None or not _same_samples(ours, theirs):
            return None
        gain.append(ours.right.astype(np.int64) - theirs.right)
        names.append(ours.names)
        fold_of.append(np.full(len(ours.names), fold))
    return Gains(np.concatenate(gain), np.concatenate(names), np.concatenate(fold_of))


def _same_samples(ours: Predictions, theirs: Predictions) -> bool:
    return (
        np.array_equal(ours.names, theirs.names)
        and np.array_equal(ours.labels, theirs.labels)
        and len(ours.class_names) == len(theirs.class_names)
    )


class Paired(NamedTuple):
    """Two runs on the same test samples; differences are the first less the second, in points."""

    only_first: int  # samples that only the first has right
    only_second: int
    mean: float
    interval: Bounds  # of 95 %, by the paired bootstrap
    p: float  # McNemar's, exact


def paired(gain: Integers) -> Paired:
    """What the ``gain`` (M,) on single samples, as in `Gains`, says of two runs."""
    alone = _alone(gain)
    interval = paired_bootstrap(gain, np.arange(len(gain)), np.zeros(len(gain), np.int64))
    return Paired(*alone, 100 * float(gain.mean()), interval, mcnemar(*alone))


def compare(
    by_seed: Mapping[int, Gains], subjects: Mapping[bytes, int] | None, level: float
) -> Compared:
    """A test for each seed, and the interval over seeds and ``subjects`` at a two-sided ``level``.

    ``subjects`` are by the names of samples. If they are not all known, samples take their place.
    The interval is over the seeds that were tested on the same samples as the first seed.
    """
    tests = tuple(_test(seed, found) for seed, found in by_seed.items())
    if not by_seed:
        return NOTHING_COMPARED
    first = next(iter(by_seed.values()))
    alike = [
        found.gain
        for found in by_seed.values()
        if np.array_equal(found.names, first.names) and np.array_equal(found.fold, first.fold)
    ]
    names, sample = np.unique(first.names, return_inverse=True)
    groups, group = "samples", sample
    if subjects is not None and all(name in subjects for name in names.tolist()):
        groups, group = "subjects", np.array([subjects[name] for name in names.tolist()])[sample]
    parts = contributions(np.array(alike, np.float64), group, first.fold)
    return Compared(tests, crossed(*parts, level), groups)


def _test(seed: int, found: Gains) -> SampleTest:
    alone = _alone(found.gain)
    if len(np.unique(found.fold)) == 1:
        return SampleTest(seed, *alone, p=mcnemar(*alone))
    sample = np.unique(found.names, return_inverse=True)[1]
    interval = paired_bootstrap(found.gain, sample, found.fold)
    return SampleTest(seed, *alone, interval=interval)


def _alone(gain: Integers) -> tuple[int, int]:
    """How many samples only the first has right, and how many only the second."""
    return int((gain > 0).sum()), int((gain < 0).sum())
