"""Which sequences train, validate and test: index functions over a store's metadata."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from eleatt_bench.data.store import Integers, SequenceStore
from eleatt_bench.errors import UserError, unknown

PROTOCOLS = {
    "digits": ("fixed",),
    "mnist": ("official",),
    "nucla": ("cross_view",),
}
"""The protocols of each data set. All of them have one fold."""

CLEANED = frozenset({"cross_view"})
"""Protocols whose published test set repeats training sequences: they have a `Split.clean`."""

_TRAINING_CAMERAS = (1, 2)


class Split(NamedTuple):
    """Indices into a store, ascending: every sequence of it is in exactly one of the three.

    ``clean`` is a mask over ``test``, True where the test sequence is not a byte-identical copy
    of one in ``train`` or ``val``; None where the protocol has no such distinction.
    """

    train: Integers
    val: Integers
    test: Integers
    clean: npt.NDArray[np.bool_] | None


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
    learn, test = _learn_and_test(store, protocol, fold)
    held_out = max(1, round(val_fraction * len(learn)))
    if held_out >= len(learn):
        raise UserError(
            f"data.val_fraction={val_fraction} leaves none of {len(learn)} sequences to train on"
        )
    # RandomState: its numbers are frozen across NumPy versions.
    order = np.random.RandomState(val_seed).permutation(len(learn))
    return Split(
        train=np.sort(learn[order[held_out:]]),
        val=np.sort(learn[order[:held_out]]),
        test=test,
        clean=~_repeated(store, learn, test) if protocol in CLEANED else None,
    )


def repeats(store: SequenceStore, protocol: str, *, fold: int = 0) -> int:
    """How many test sequences are byte-identical to one that is trained or validated on."""
    return int(_repeated(store, *_learn_and_test(store, protocol, fold)).sum())


def _learn_and_test(store: SequenceStore, protocol: str, fold: int) -> tuple[Integers, Integers]:
    if store.name not in PROTOCOLS:
        raise unknown("data set", store.name, PROTOCOLS)
    if protocol not in PROTOCOLS[store.name]:
        raise unknown(f"protocol of {store.name}", protocol, PROTOCOLS[store.name])
    if fold != 0:
        raise UserError(f"data.fold is {fold}, but {protocol} of {store.name} has one fold: 0")
    if protocol == "cross_view":
        test = ~np.isin(store.metadata["camera"], _TRAINING_CAMERAS)
    else:
        test = store.metadata["split"] == 1
    return np.flatnonzero(~test), np.flatnonzero(test)


def _repeated(store: SequenceStore, learn: Integers, test: Integers) -> npt.NDArray[np.bool_]:
    digests = np.ascontiguousarray(store.sequence_digests).view("S16").ravel()
    return np.isin(digests[test], digests[learn])
