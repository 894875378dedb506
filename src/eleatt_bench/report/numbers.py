"""Numbers as people read them."""

from __future__ import annotations

NOTHING = "–"
DIGITS = 1
"""Digits after the point, unless another number is asked for."""
MOST_DIGITS = 9
"""The most digits that may be asked for: more than single precision has."""


def signed(value: float, digits: int = DIGITS) -> str:
    """``+1.2`` or ``−1.2``, and ``0.0`` without a sign."""
    text = f"{abs(value):.{digits}f}"
    if not float(text):
        return text
    return ("−" if value < 0 else "+") + text


def number(value: float | None, digits: int = DIGITS) -> str:
    """``1.2``, or a dash for none."""
    return NOTHING if value is None else f"{value:.{digits}f}"
