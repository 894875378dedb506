"""Text in columns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eleatt_bench.common.text import columns

HEADER = ["run", "accuracy", "status"]
ROWS = [["digits-gru-seed0", "97.12%", "finished"], ["digits", "–", "failed"]]


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (None, ["run               accuracy  status", "digits-gru-seed0  97.12%    finished",
                "digits            –         failed"]),
        (36, ["run               accuracy  status", "digits-gru-seed0  97.12%    finished",
              "digits            –         failed"]),
        (35, ["run               accuracy", "digits-gru-seed0  97.12%", "digits            –"]),
        (25, ["digits-gru-seed0", "  accuracy 97.12%", "  status finished",
              "digits", "  accuracy –", "  status failed"]),
    ],
)  # fmt: skip
def test_what_a_terminal_has_room_for(width, expected) -> None:
    assert list(columns(HEADER, ROWS, width)) == expected


def test_no_rows_are_a_header() -> None:
    assert list(columns(HEADER, [])) == ["run  accuracy  status"]


@given(st.lists(st.lists(st.text("ab", max_size=9), min_size=3, max_size=3)), st.integers(1, 60))
def test_no_line_is_wider_and_the_first_column_is_whole(rows, width: int) -> None:
    lines = list(columns(HEADER, rows, width))
    longest = max(len(text) for row in (HEADER, *rows) for text in row)
    if width >= longest + 12:  # of the stacked lines: two spaces and the longest name
        assert all(len(line) <= width for line in lines)
    for row in rows:
        assert any(line.startswith(row[0]) for line in lines)
