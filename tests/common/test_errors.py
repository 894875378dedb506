"""Errors that name what was nearly meant."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eleatt_bench.common.errors import UserError, unknown


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
