"""What a reader of videos hands over: which clips there are, before any of them is decoded."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from eleatt_bench.data.sources.archive import Member, Source

LARGEST = 1 << 28  # bytes; no published video comes near

_FILES = re.compile(r"(?:.*/)?[^/]+\.avi")


class Clip(NamedTuple):
    """One video and what a store says of it; ``load`` gives the file's content."""

    name: str
    where: str  # what to call it in a message
    load: Callable[[], bytes]
    label: int
    metadata: dict[str, int]


@dataclass(frozen=True)
class ClipSet:
    """All ``clips`` of a data set, sorted by name; ``description`` says where they come from."""

    description: str
    class_names: tuple[str, ...]
    clips: tuple[Clip, ...]
    left_out: tuple[str, ...] = ()  # as in a `Release`


def videos(source: Source, like: str) -> dict[str, Member]:
    """The ``.avi`` files of ``source`` by name without ending; ``like`` is an example of a path.

    Raises:
        UserError: no such path, a damaged archive, no such file, or a name that is there twice.
    """
    found: dict[str, Member] = {}
    for member in source.find(_FILES, like):
        name = member.path.stem
        if name in found:
            raise source.twice("clip", member, found[name])
        found[name] = member
    return found
