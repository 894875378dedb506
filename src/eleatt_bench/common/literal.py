"""Overrides ``KEY=VALUE`` and their values as Hydra's grammar has them; needs no Hydra."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_EXACT = 2**53  # a float can hold every whole number up to this one
_WORDS = {"null", "true", "false", "nan", "inf"}  # Hydra does not read these as text


def literal(value: Any) -> str:
    """``value`` as Hydra's override grammar writes it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list):
        return "[" + ",".join(map(literal, value)) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{literal(v)}" for key, v in value.items()) + "}"
    if re.fullmatch(r"/?[A-Za-z_][A-Za-z0-9_./-]*", value) and value.lower() not in _WORDS:
        return str(value)
    # Backslashes are doubled where a quotation mark comes after them, the closing one included.
    escaped = re.sub(r"(\\*)('|$)", lambda m: 2 * m[1] + ("\\'" if m[2] else ""), value)
    return f"'{escaped}'"


def key_of(override: str) -> str:
    """The setting that ``override`` is about: ``a.b`` for ``a.b=1``, ``++a.b=1`` and ``~a.b``."""
    return override.partition("=")[0].lstrip("+~")


def value_of(override: str) -> str:
    """What ``override`` says of its setting; empty if nothing, as in ``~a.b``."""
    return override.partition("=")[2]


def merge(*parts: Sequence[str]) -> tuple[str, ...]:
    """The overrides of all ``parts`` in order; of several for one key only the last stays.

    Keys with other signs count as others: in ``+a=1 a=2`` the second needs the first, which adds
    the key.
    """
    by_key: dict[str, str] = {}
    for override in (o for part in parts for o in part):
        key = override.partition("=")[0]
        by_key.pop(key, None)
        by_key[key] = override
    return tuple(by_key.values())


def canonical(override: str) -> str:
    """``override`` in the one spelling of all that differ only in blanks, capitals, digits or +.

    ``table.looks=[4, 8]`` becomes ``table.looks=[4,8]``, 1e-2 becomes 0.01, 1.0 becomes 1, and
    ``++seed=1`` becomes ``seed=1``. A value with quotes or backslashes stays as it is.
    """
    key, equals, value = override.lstrip("+").partition("=")
    if not {"'", '"', "\\"}.isdisjoint(value):
        return key + equals + value
    parts = re.split(r"\s*([\[\]{}(),:])\s*", value.strip())
    return key + equals + "".join(map(_plain, parts))


def _plain(word: str) -> str:
    try:
        return repr(int(word))
    except ValueError:
        pass
    try:
        number = float(word)
    except ValueError:
        return word.lower() if word.lower() in _WORDS else word
    return repr(int(number) if number.is_integer() and abs(number) < _EXACT else number)
