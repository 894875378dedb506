"""Many decimal numbers in a text at once: read as `float` reads them, but several times faster."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.intp]

_NUMBER = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_WIDTH = 16  # characters that are read at once
# A whole number of at most this many digits and a power of ten up to 10²² are exact in float64. So
# the one division below rounds as correctly as `float` does.
_DIGITS = 15
_POWERS = 10.0 ** np.arange(_WIDTH)
_ZERO, _POINT, _PLUS, _MINUS = b"0.+-"


def decimals(text: Bytes, starts: Positions, ends: Positions) -> Floats:
    """The numbers at ``text[starts[i]:ends[i]]``, NaN where something else stands.

    The words for infinity and for "not a number" are something else, too.
    """
    lengths = ends - starts
    width = min(int(lengths.max(initial=0)), _WIDTH)
    padded = np.concatenate((np.zeros(width, np.uint8), text))
    whole = np.zeros(len(starts))
    digits, points, after = (np.zeros(len(starts), np.uint8) for _ in range(3))
    for column in range(width):  # from the left; all tokens end in the last column
        characters = padded[ends + column]
        inside = lengths >= width - column
        values = characters - _ZERO  # more than 9 if no digit: lower characters wrap round
        is_digit, is_point = inside & (values < 10), inside & (characters == _POINT)
        whole = np.where(is_digit, whole * 10 + values, whole)
        after[is_point] = width - 1 - column
        digits += is_digit
        points += is_point
    first = padded[starts + width]
    negative = first == _MINUS
    signs = negative | (first == _PLUS)
    plain = (digits > 0) & (digits <= _DIGITS) & (points < 2) & (digits + points + signs == lengths)
    numbers = whole / _POWERS[after]
    np.negative(numbers, out=numbers, where=negative)
    for index in np.flatnonzero(~plain):
        numbers[index] = _decimal(text[starts[index] : ends[index]].tobytes())
    return numbers


def _decimal(token: bytes) -> float:
    return float(token) if _NUMBER.fullmatch(token) else float("nan")
