"""Python's garbage collector, paused while many objects are made and none is garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collector() -> Iterator[None]:
    """Pause the garbage collector in the body, e.g. while thousands of records are read.

    Walking them again and again takes longer than reading them. Afterwards all objects count as
    old, so they do not make the next collection come sooner.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.freeze()  # both together move all objects
            gc.unfreeze()  # to the oldest generation
            gc.enable()
