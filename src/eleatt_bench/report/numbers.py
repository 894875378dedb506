"""Numbers as people read them."""

from __future__ import annotations

NOTHING = "–"


def signed(value: float) -> str:
    """``+1.2`` or ``−1.2``, and ``0.0`` without a sign."""
    text = f"{abs(value):.1f}"
    if text == "0.0":
        return text
    return ("−" if value < 0 else "+") + text


def number(value: float | None) -> str:
    """``1.2``, or a dash for none."""
    return NOTHING if value is None else f"{value:.1f}"
