"""Nested settings, and the dotted keys of what is in them, such as ``model.hidden_size``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def leaves(content: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """What is in nested mappings; a list is a value, and so is an empty mapping that has a key."""
    if isinstance(content, Mapping) and content:
        for name, inner in content.items():
            yield from leaves(inner, f"{key}.{name}" if key else str(name))
    elif key:
        yield key, content


def scalars(content: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """What is in nested mappings and lists, by keys such as ``a.b[0]``."""
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
