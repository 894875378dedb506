"""Seconds as people say them."""

from __future__ import annotations

import pytest

from eleatt_bench.common.text import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (89, "89 s"), (120, "2 min"), (3599, "1 h 0 min"), (4800, "1 h 20 min")],
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text
