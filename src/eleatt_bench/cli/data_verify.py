"""``eleatt-bench data verify NAME``: whether a store is sound, and what its protocols hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from eleatt_bench.common.locations import data_dir
from eleatt_bench.data import catalog, completeness, verification
from eleatt_bench.data.protocols import PROTOCOLS
from eleatt_bench.data.store import SequenceStore
from eleatt_bench.data.verification import ProtocolReport


def verify(name: str, everything: bool) -> None:
    """Check the store of ``name`` and print the findings; long lists in full if ``everything``.

    Raises:
        UserError: the data set is not prepared, or its store is damaged.
    """
    report, part = verification.verify(data_dir(), name), catalog.entry(name).part
    whole = part and part.whole
    store, most = report.store, None if everything else FIRST
    print(f"{name} is sound: {len(store.labels):,} sequences of {store.num_classes} classes")
    print(f"{len(store.frames):,} frames of {store.input_size:,} values")
    print(f"content digest {store.content_digest}")
    if remark := completeness.remark(name, len(store.labels)):
        print(remark)
    for line in omitted(store, most):
        print(line)
    for protocol, found in report.protocols.items():
        print(f"{protocol}: {_sizes(found, whole)}")
        sizes = [(fold.learn, fold.test) for fold in found.folds]
        if published := completeness.published_sizes(name, protocol, sizes):
            print(f"  published: {published}")
        if meaning := PROTOCOLS[name][protocol].fold_is(store.metadata):
            print(f"  {meaning}")
        pairs = [f"{a} is identical to {b}" for a, b in sorted(found.repeats.items())]
        for line in first(pairs, most, name):
            print(line)


def _sizes(found: ProtocolReport, whole: str | None) -> str:
    """The sizes of a protocol in words; ``whole``: the data set whose frames identify copies."""
    if not found.folds:
        return "nothing here to train and to test"
    learn = _range([fold.learn for fold in found.folds])
    test = _range([fold.test for fold in found.folds])
    text = f"{learn} to train and validate, {test} to test"
    if found.published > 1:
        text += f" in each of {found.published} folds"
    if len(found.folds) < found.published:
        text += f", of which only {len(found.folds)} can be made of what is here"
    lacking = [
        what
        for what, counts in (
            ("to train on", [fold.learn for fold in found.folds]),
            ("to test on", [fold.test for fold in found.folds]),
        )
        if not min(counts)
    ]
    if lacking:
        return f"{text}: there is nothing {' and nothing '.join(lacking)}"
    where = " of some fold" if found.published > 1 else ""
    where += f", by the whole frames of {whole}" if whole else ""
    return f"{text}; {len(found.repeats):,} test sequences are identical to training ones{where}"


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


FIRST = 10  # lines that are shown of what could be thousands


def omitted(store: SequenceStore, most: int | None = FIRST) -> Iterator[str]:
    """Lines that say how many samples were left out, and the reasons for up to ``most`` of them."""
    if store.omitted:
        yield f"{len(store.omitted):,} bad samples of the source are left out:"
        lines = [f"{sample.name}: {sample.reason}" for sample in store.omitted]
        yield from first(lines, most, store.name)


def first(lines: Sequence[str], most: int | None, name: str) -> Iterator[str]:
    """Up to ``most`` of ``lines``, indented, and the command that gives the others."""
    yield from (f"  {line}" for line in lines[:most])
    if most is not None and len(lines) > most:
        yield f"  and {len(lines) - most:,} more: eleatt-bench data verify {name} --all"
