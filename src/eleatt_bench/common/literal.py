"""Values as Hydra's override grammar writes them; needs no Hydra."""

from __future__ import annotations

import re
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


def canonical(override: str) -> str:
    """``override`` in the one spelling of all that differ only in blanks, capitals or digits.

    ``table.looks=[4, 8]`` becomes ``table.looks=[4,8]``, 1e-2 becomes 0.01, and 1.0 becomes 1. An
    override with quotes or backslashes stays as it is.
    """
    key, equals, value = override.partition("=")
    if not {"'", '"', "\\"}.isdisjoint(value):
        return override
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
