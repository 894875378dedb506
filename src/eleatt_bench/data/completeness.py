"""Whether a store holds all that was published: a part of a data set never passes as the whole."""

from __future__ import annotations

from collections.abc import Collection

from eleatt_bench.data.datasets import Sizes, entry


def shortfall(name: str, count: int) -> str | None:
    """``120 of 1,484: incomplete, not comparable``; None if ``count`` sequences are all."""
    published = entry(name).published
    if count == published:
        return None
    what = "incomplete" if count < published else "more than were published"
    return f"{count:,} of {published:,}: {what}, not comparable"


def remark(name: str, count: int) -> str | None:
    """The `shortfall` as it stands beside numbers: not comparable with published results."""
    found = shortfall(name, count)
    return found and f"{found} with published results"


def published_sizes(name: str, protocol: str, found: Collection[Sizes]) -> str | None:
    """The published sizes, as ``1,020 and 464``, if others were ``found``; else None."""
    published = entry(name).sizes.get(protocol, ())
    if not published or set(found) <= set(published):
        return None
    return " or ".join(f"{learn:,} and {test:,}" for learn, test in published)
