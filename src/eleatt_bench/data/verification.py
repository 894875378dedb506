"""Whether a store is what was written, and what its protocols make of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eleatt_bench.common.errors import UserError
from eleatt_bench.data import catalog
from eleatt_bench.data.protocols import PROTOCOLS, repeats, sides
from eleatt_bench.data.store import SequenceStore


@dataclass(frozen=True)
class Fold:
    """How many sequences are learnt from (validation included), and how many tested."""

    learn: int
    test: int


@dataclass(frozen=True)
class ProtocolReport:
    """What a protocol makes of a store; in an incomplete store some folds may be missing."""

    published: int  # folds
    folds: tuple[Fold, ...]
    repeats: dict[str, str]  # test sequence of any fold: an identical one that is learnt from


@dataclass(frozen=True)
class Report:
    """What `verify` found in a sound store."""

    store: SequenceStore
    protocols: dict[str, ProtocolReport]


def verify(data_dir: Path, name: str) -> Report:
    """Read the whole store of ``name``, compare it with its digests, and try its protocols.

    Raises:
        UserError: it is not prepared, or damaged.
    """
    store = catalog.verify(data_dir, name)
    return Report(store, {protocol: _tried(store, protocol) for protocol in PROTOCOLS[store.name]})


def _tried(store: SequenceStore, protocol: str) -> ProtocolReport:
    published = PROTOCOLS[store.name][protocol].folds
    folds: list[Fold] = []
    same: dict[str, str] = {}
    for fold in range(published):
        try:
            learn, test = sides(store, protocol, fold)
        except UserError:  # a subject is not here
            continue
        folds.append(Fold(len(learn), len(test)))
        found = repeats(store, protocol, fold=fold)
        same.update({store.names[a]: store.names[b] for a, b in found.items()})
    return ProtocolReport(published, tuple(folds), same)
