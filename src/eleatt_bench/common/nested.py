"""Nested settings, and their values by dotted keys such as ``model.hidden_size``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def leaves(content: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted keys and values in nested mappings.

    A list counts as a value, and so does an empty mapping, except at the top.
    """
    if isinstance(content, Mapping) and content:
        for name, inner in content.items():
            yield from leaves(inner, f"{key}.{name}" if key else str(name))
    elif key:
        yield key, content


def scalars(content: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """The keys, such as ``a.b[0]``, and values in nested mappings and lists."""
    if isinstance(content, Mapping):
        for name, inner in content.items():
            yield from scalars(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(content, list):
        for index, inner in enumerate(content):
            yield from scalars(inner, f"{key}[{index}]")
    else:
        yield key, content


def value_at(config: Mapping[str, Any], key: str) -> Any:
    """The value at the dotted ``key``; None where there is none."""
    value: Any = config
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


def covers(outer: str, inner: str) -> bool:
    """Whether the dotted key ``inner`` is ``outer`` or lies in it."""
    return inner == outer or inner.startswith(f"{outer}.")
