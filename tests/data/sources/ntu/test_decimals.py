"""Decimal numbers read many at a time are those that `float` reads one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eleatt_bench.data.sources.ntu.decimals import decimals


def read(tokens: list[str]) -> list[float]:
    lengths = np.array([len(token.encode()) for token in tokens])
    ends = np.cumsum(lengths + 1) - 1
    starts = ends - lengths
    text = np.frombuffer(" ".join(tokens).encode(), np.uint8)
    return decimals(text, starts, ends).tolist()


def same(a: float, b: float) -> bool:
    return a == b and math.copysign(1, a) == math.copysign(1, b)


written = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(-100, 100).map(lambda x: f"{x:.7g}"),
    st.from_regex(r"[+-]?[0-9]{0,17}\.?[0-9]{1,17}", fullmatch=True),
    st.from_regex(r"[+-]?[0-9]{1,20}\.?(E[+-]?[0-9]{1,3})?", fullmatch=True),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(written, min_size=1, max_size=8))
@example(["0.1", "-0", "+7", ".5", "5.", "-.25", "0.3000000000000000444", "9007199254740993"])
@example(["1234567890.12345", "12345678901.12345", "-123456789012345", "1234567890123456"])
def test_as_float_reads_them(tokens: list[str]) -> None:
    for token, value in zip(tokens, read(tokens), strict=True):
        assert same(value, float(token)), token


@pytest.mark.parametrize(
    "token",
    ["nan", "inf", "-Infinity", "x", "1x", "-", "+", ".", "-.", "1.2.3", "1-2", "--1", "+-1", "e5",
     "1e", "1e+", "1_000", "0x10", "1,5", "1.5.", "12345678901234567-", "١"],
)  # fmt: skip
def test_anything_else_is_no_number(token: str) -> None:
    assert [math.isnan(value) for value in read(["1.5", token, "-2"])] == [False, True, False]


@given(st.text(st.characters(codec="ascii", exclude_characters=" "), min_size=1, max_size=20))
def test_no_text_is_a_number_that_float_refuses(token: str) -> None:
    (value,) = read([token])
    if not math.isnan(value):
        assert value == float(token)


def test_none() -> None:
    assert decimals(np.zeros(0, np.uint8), np.zeros(0, np.intp), np.zeros(0, np.intp)).size == 0
