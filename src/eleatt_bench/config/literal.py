"""Values as Hydra's override grammar writes them; needs no Hydra."""

from __future__ import annotations

import re
from typing import Any

_WORDS = {"null", "true", "false", "nan", "inf"}  # which Hydra would not take for text


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
