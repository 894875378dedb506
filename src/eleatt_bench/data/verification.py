"""Whether a store is what was written, and what its protocols make of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eleatt_bench.data.catalog import entry, open_store
from eleatt_bench.data.protocols import repeats, split


@dataclass(frozen=True)
class Report:
    """What `verify` found; as a string, for a person."""

    name: str
    content_digest: str
    sequences: int
    frames: int
    frame_size: int
    classes: int
    counts: dict[str, tuple[int, int]]  # protocol: (train and validation, test)
    repeats: dict[str, int]  # protocol: test sequences that are identical to training ones

    def __str__(self) -> str:
        lines = [
            f"{self.name} is sound: {self.sequences:,} sequences of {self.classes} classes",
            f"{self.frames:,} frames of {self.frame_size} values",
            f"content digest {self.content_digest}",
        ]
        for protocol, (learn, test) in self.counts.items():
            lines.append(
                f"{protocol}: {learn:,} to train and validate, {test:,} to test; "
                f"{self.repeats[protocol]:,} test sequences are identical to training ones"
            )
        return "\n".join(lines)


def verify(data_dir: Path, name: str) -> Report:
    """Read the whole store of ``name`` and compare it with its digests.

    Raises:
        UserError: it is not prepared, or damaged.
    """
    store = open_store(data_dir, name)
    store.verify()
    splits = {protocol: split(store, protocol) for protocol in entry(name).protocols}
    return Report(
        name=name,
        content_digest=store.content_digest,
        sequences=len(store.labels),
        frames=len(store.frames),
        frame_size=store.input_size,
        classes=store.num_classes,
        counts={p: (len(s.train) + len(s.val), len(s.test)) for p, s in splits.items()},
        repeats={protocol: repeats(store, protocol) for protocol in splits},
    )
