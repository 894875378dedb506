"""Errors that name what was nearly meant, and what other errors say, in a sentence."""

from __future__ import annotations

from errno import ENOENT

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eleatt_bench.common.errors import UserError, in_a_line, reason, unknown


def test_the_nearest_choice_is_named_first_and_then_all() -> None:
    error = str(unknown("table", "digitz", ["table4", "digits"]))
    assert error == "Unknown table 'digitz'. Did you mean 'digits'? Choices: digits, table4"


def test_what_is_like_nothing_gets_no_hint() -> None:
    assert "Did you mean" not in str(unknown("table", "xyz", ["digits", "mnist"]))


@given(st.text(), st.lists(st.text(min_size=1), max_size=5))
def test_any_name_and_choices_make_a_message(name: str, choices: list[str]) -> None:
    assert all(choice in str(unknown("thing", name, choices)) for choice in choices)


@given(st.data())
def test_one_letter_left_out_still_gets_a_hint(data: st.DataObject) -> None:
    word = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=3, max_size=20)
    choices = data.draw(st.lists(word, min_size=1, max_size=5, unique=True))
    meant = data.draw(st.sampled_from(choices))
    at = data.draw(st.integers(0, len(meant) - 1))
    error = str(unknown("thing", meant[:at] + meant[at + 1 :], choices))
    assert any(f"Did you mean {choice!r}?" in error for choice in choices)


def test_choices_may_come_from_anything_that_can_be_gone_through_once() -> None:
    error = unknown("fruit", "aple", (fruit for fruit in ("pear", "apple")))
    assert isinstance(error, UserError)
    assert str(error) == "Unknown fruit 'aple'. Did you mean 'apple'? Choices: apple, pear"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(ENOENT, "No such file or directory", "record.json"), "No such file or directory"),
        (OSError("unable to open"), "unable to open"),  # of a library, without a number
        (ValueError("it is not JSON"), "it is not JSON"),
    ],
)
def test_a_reason_leaves_the_name_of_the_file_to_the_sentence(error: Exception, says: str) -> None:
    assert reason(error) == says


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ValueError("two\n  lines"), "two lines"),
        (KeyError(), "KeyError"),
        (ValueError("\x00\x1b[31m"), "ValueError"),
        (ValueError("x" * 200), "x" * 200),
        (ValueError("x" * 201), "x" * 199 + "…"),
    ],
)
def test_what_a_library_says_fits_into_a_sentence(error: Exception, says: str) -> None:
    assert in_a_line(error) == says
