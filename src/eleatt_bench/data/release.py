"""What a reader of `sources` hands over: all that a store is written from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from eleatt_bench.data.store import Sample


@dataclass(frozen=True)
class Release:
    """``count`` samples in an order that depends on the source alone.

    ``layout`` is as `eleatt_bench.data.store.SequenceStore` describes it; ``description`` says
    in words where the samples come from; ``origin_applied`` that their origin is a joint already.
    Reading ``samples`` may raise a `UserError`.
    """

    description: str
    class_names: tuple[str, ...]
    layout: dict[str, Any]
    count: int
    samples: Iterable[Sample]
    origin_applied: bool = False
