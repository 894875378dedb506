"""Python's collector of garbage, where there is much and none of it is garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collector() -> Iterator[None]:
    """Thousands of records are no garbage, and walking them again and again takes longer than
    reading them. Afterwards they count as old, so that the next walk is no sooner than it was."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.freeze()  # with all that is there,
            gc.unfreeze()  # to the oldest generation
            gc.enable()
