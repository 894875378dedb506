"""What is said of the samples that a store was written without."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from eleatt_bench.data.store import SequenceStore

FIRST = 10  # of what could be thousands of lines


def omitted(store: SequenceStore, most: int | None = FIRST) -> Iterator[str]:
    """How many samples were left out, and up to ``most`` of them with the reasons; a line each."""
    if store.omitted:
        yield f"{len(store.omitted):,} bad samples of the source are left out:"
        lines = [f"{sample.name}: {sample.reason}" for sample in store.omitted]
        yield from first(lines, most, store.name)


def first(lines: Sequence[str], most: int | None, name: str) -> Iterator[str]:
    """Up to ``most`` of ``lines``, indented, and the command that gives the others."""
    yield from (f"  {line}" for line in lines[:most])
    if most is not None and len(lines) > most:
        yield f"  and {len(lines) - most:,} more: eleatt-bench data verify {name} --all"
