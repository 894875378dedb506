"""Which sequences train, validate and test: index functions over a store's metadata."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from eleatt_bench.common.errors import UserError, unknown
from eleatt_bench.data import folds
from eleatt_bench.data.folds import Mask
from eleatt_bench.data.sources import hand, sysu
from eleatt_bench.data.sources.ntu import protocols as ntu_protocols
from eleatt_bench.data.store import Integers, SequenceStore


class Protocol(NamedTuple):
    """Which sequences are for testing, as a mask: ``test`` (the store's metadata, fold)."""

    test: Callable[[Mapping[str, Integers], int], Mask]
    folds: int = 1
    labels: str | None = None  # the metadata column that takes the place of the store's labels
    classes: int | None = None  # of those labels
    fold_is: Callable[[Mapping[str, Integers]], str] = lambda data: ""
    """What data.fold=k means in a store with that metadata; empty if it needs no words."""
    cleaned: bool = False  # its published test set repeats training sequences: see `Split.clean`
    about: Callable[[SequenceStore], Mask] | None = None  # which sequences it uses; None: all
    development: bool = False  # its test sequences are for choosing settings, not for results


_NUCLA_TRAINED = (1, 2)  # cameras


def _never_tested(store: SequenceStore) -> Mask:
    """N-UCLA without camera 3, and camera 2 without what repeats sequences of another camera.

    Some sequences of camera 2 are copies of camera 3's. Others, those of two actions of the first
    subject, are cut from camera 1's recordings, in part from those of the other action.
    """
    camera = store.metadata["camera"]
    tested = ~np.isin(camera, _NUCLA_TRAINED)
    copies = _repeats(store, np.arange(len(tested)), np.flatnonzero(tested))
    cut = (camera == 2) & _shares_frames(store, np.flatnonzero(camera == 1))
    kept: Mask = ~tested & ~copies & ~cut
    return kept


_official = Protocol(lambda data, fold: folds.official(data["split"]))
_gestures = Protocol(
    lambda data, fold: folds.leave_one_subject_out(data["subject"], fold),
    20,
    fold_is=lambda data: "data.fold=k tests on subject k + 1",
)


def _sysu_cross_subject(data: Mapping[str, Integers], fold: int) -> Mask:
    """A split that came with --splits when the store was prepared, or else this project's."""
    given = data.get(sysu.column(fold))
    if given is not None:
        return folds.official(given)
    return folds.cross_subject(data["subject"], sysu.SUBJECTS, fold)


def _sysu_fold(data: Mapping[str, Integers]) -> str:
    given = sysu.column(0) in data
    whose = "those that were given with --splits" if given else "this project's"
    return f"data.fold=k is split k + 1 of {whose}"


_NTU = {
    "cross_subject": Protocol(lambda data, fold: ntu_protocols.cross_subject(data)),
    "cross_view": Protocol(lambda data, fold: ntu_protocols.cross_view(data)),
}

PROTOCOLS = {
    "digits": {"fixed": _official},
    "mnist": {"official": _official},
    "nucla": {
        "cross_view": Protocol(
            lambda data, fold: ~np.isin(data["camera"], _NUCLA_TRAINED), cleaned=True
        ),
        "cross_view_dev": Protocol(
            lambda data, fold: data["camera"] == 2, about=_never_tested, development=True
        ),
    },
    "ntu": _NTU,
    "ntu_v1": _NTU,
    "ntu_rgb": _NTU,
    "ntu120": {
        "cross_subject": _NTU["cross_subject"],
        "cross_setup": Protocol(lambda data, fold: ntu_protocols.cross_setup(data)),
    },
    "sysu": {
        "cross_subject": Protocol(
            _sysu_cross_subject,
            folds.RANDOM_FOLDS,
            fold_is=_sysu_fold,
        ),
        "same_subject": Protocol(
            lambda data, fold: folds.same_subject(
                data["subject"], data["action"], sysu.SUBJECTS, fold
            ),
            folds.RANDOM_FOLDS,
            fold_is=lambda data: "data.fold=k is split k + 1 of this project's",
        ),
    },
    "shrec17": {
        "gestures_14": _official,
        "gestures_28": _official._replace(labels="label_28", classes=28),
    },
    "dhg": {
        "gestures_14": _gestures,
        "gestures_28": _gestures._replace(labels="label_28", classes=28),
    },
    "jhmdb": {
        "split": Protocol(
            lambda data, fold: folds.official(data[f"split_{fold + 1}"]),
            3,
            fold_is=lambda data: "data.fold=k is the official split k + 1",
        ),
    },
}
"""The protocols of each data set."""


class Split(NamedTuple):
    """Indices into a store, ascending; no sequence is in two of the three.

    ``clean`` is a mask over ``test``, True where the test sequence is not a byte-identical copy
    of one in ``train`` or ``val``; None where the protocol has no such distinction.
    """

    train: Integers
    val: Integers
    test: Integers
    clean: npt.NDArray[np.bool_] | None


class Sides(NamedTuple):
    """Indices into a store, ascending: what may be learnt from, and what is only tested."""

    learn: Integers
    test: Integers


def split(
    store: SequenceStore,
    protocol: str,
    *,
    fold: int = 0,
    val_fraction: float = 0.05,
    val_seed: int = 0,
) -> Split:
    """Split ``store`` by ``protocol``; validation is a random part of the training sequences.

    Raises:
        UserError: the data set has no such protocol or fold, or too few sequences to train on.
    """
    learn, test = sides(store, protocol, fold)
    if not len(learn) or not len(test):
        lacking = "to test on" if len(learn) else "to train on"
        raise UserError(
            f"{store.path} has nothing {lacking} in {protocol}, fold {fold}: prepare the whole "
            f"data set; eleatt-bench data verify {store.name} says what is there"
        )
    held_out = max(1, round(val_fraction * len(learn)))
    if held_out >= len(learn):
        raise UserError(
            f"data.val_fraction={val_fraction} leaves none of {len(learn)} sequences to train on"
        )
    # RandomState: its numbers are frozen across NumPy versions. SeedSequence takes a seed of any
    # size.
    bits = np.random.MT19937(np.random.SeedSequence(val_seed))
    order = np.random.RandomState(bits).permutation(len(learn))
    return Split(
        train=np.sort(learn[order[held_out:]]),
        val=np.sort(learn[order[:held_out]]),
        test=test,
        clean=~_repeats(store, test, learn) if find(store.name, protocol).cleaned else None,
    )


def repeats(store: SequenceStore, protocol: str, *, fold: int = 0) -> dict[int, int]:
    """For each test sequence that is byte-identical to one that is learnt from, that one.

    Both are indices into ``store``. If several are identical, it is the first one learnt from.
    """
    learn, test = sides(store, protocol, fold)
    first: dict[bytes, int] = {}
    for index in learn.tolist():
        first.setdefault(store.sequence_digests[index].tobytes(), index)
    found = ((index, first.get(store.sequence_digests[index].tobytes())) for index in test.tolist())
    return {index: same for index, same in found if same is not None}


def find(data: str, protocol: str) -> Protocol:
    """The protocol called ``protocol`` of the data set ``data``.

    Raises:
        UserError: there is no such data set, or it has none of that name.
    """
    if data not in PROTOCOLS:
        raise unknown("data set", data, PROTOCOLS)
    if protocol not in PROTOCOLS[data]:
        raise unknown(f"protocol of {data}", protocol, PROTOCOLS[data])
    return PROTOCOLS[data][protocol]


def labelled(store: SequenceStore, protocol: str) -> SequenceStore:
    """``store`` with the labels and class names that ``protocol`` is about.

    Raises:
        UserError: the data set has no such protocol.
    """
    column = find(store.name, protocol).labels
    if column is None:
        return store
    return replace(
        store, labels=store.metadata[column], class_names=hand.classes_28(store.class_names)
    )


def sides(store: SequenceStore, protocol: str, fold: int = 0) -> Sides:
    """The two sides of one fold of a protocol; in an incomplete store one may be empty.

    Raises:
        UserError: the data set has no such protocol, or the store has no such fold.
    """
    found = find(store.name, protocol)
    if not 0 <= fold < found.folds:
        count = "one fold: 0" if found.folds == 1 else f"folds 0 to {found.folds - 1}"
        meaning = found.fold_is(store.metadata)
        means = f" ({meaning})" if meaning else ""
        raise UserError(f"data.fold is {fold}, but {protocol} of {store.name} has {count}{means}")
    test = found.test(store.metadata, fold)
    about = np.ones_like(test) if found.about is None else found.about(store)
    return Sides(np.flatnonzero(about & ~test), np.flatnonzero(about & test))


def seen_before(
    store: SequenceStore, test: Integers, source: SequenceStore, learn: Integers
) -> Integers:
    """The ``test`` sequences of ``store`` that are among the ``learn`` sequences of ``source``.

    In one file they are compared by index, because some sequences repeat others; between two files
    they are compared byte for byte.
    """
    if store.path == source.path:
        return np.intersect1d(test, learn)
    return test[np.isin(_digests(store)[test], _digests(source)[learn])]


def _repeats(store: SequenceStore, these: Integers, those: Integers) -> Mask:
    """Which of ``these`` sequences are byte-identical to one of ``those``."""
    digests = _digests(store)
    return np.isin(digests[these], digests[those])


def _shares_frames(store: SequenceStore, those: Integers) -> Mask:
    """Which sequences have a frame that is byte-identical to one of ``those`` sequences."""
    frames = [frame.tobytes() for frame in np.asarray(store.frames)]
    parts = [frames[a:b] for a, b in itertools.pairwise(store.offsets.tolist())]
    known = set[bytes]().union(*(parts[index] for index in those))
    return np.array([not known.isdisjoint(part) for part in parts], dtype=bool)


def _digests(store: SequenceStore) -> npt.NDArray[np.bytes_]:
    return np.ascontiguousarray(store.sequence_digests).view("S16").ravel()
