"""What a reader of `sources` hands over: all that a store is written from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.text import printable
from eleatt_bench.data.store import Sample

Item = TypeVar("Item")


class SourceError(UserError):
    """``what`` is wrong with a source, and the ``remedy``; as a string, one sentence of both."""

    def __init__(self, what: str, remedy: str) -> None:
        self.what = printable(" ".join(what.splitlines()))  # a library may say several lines
        self.remedy = remedy
        super().__init__(f"{self.what}: {remedy}")

    def __reduce__(self) -> tuple[type[SourceError], tuple[str, str]]:
        return type(self), (self.what, self.remedy)  # processes hand errors to each other


class BadSample(NamedTuple):
    """Stands in a reader's output for a sample that is not as published; ``error`` says why."""

    name: str
    error: UserError

    @property
    def reason(self) -> str:
        """What is wrong, without the remedy."""
        return self.error.what if isinstance(self.error, SourceError) else str(self.error)


@dataclass(frozen=True)
class Release:
    """``count`` samples, good and bad, in an order that depends on the source alone.

    ``layout`` is as `eleatt_bench.data.store.SequenceStore` describes it; ``description`` says
    in words where the samples come from. ``origin_applied`` says that their origin is a joint
    already. ``left_out`` says what else the source holds, a line for each reason.
    Iterating over ``samples`` may raise a `UserError`, which then concerns the whole source.
    """

    description: str
    class_names: tuple[str, ...]
    layout: dict[str, Any]
    count: int
    samples: Iterable[Sample | BadSample]
    origin_applied: bool = False
    left_out: tuple[str, ...] = ()


def required(found: Sample | BadSample) -> Sample:
    """The sample ``found``, if it is a good one.

    Raises:
        UserError: it is a bad one.
    """
    if isinstance(found, BadSample):
        raise found.error
    return found


def read_each(
    read: Callable[[Item], Sample], items: Iterable[tuple[str, Item]]
) -> Iterator[Sample | BadSample]:
    """``read`` of each named item, and a `BadSample` where that raises a `UserError`."""
    for name, item in items:
        found: Sample | BadSample
        try:
            found = read(item)
        except UserError as error:
            found = BadSample(name, error)
        yield found
