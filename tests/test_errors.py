"""Errors that name what was nearly meant."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eleatt_bench.errors import unknown


def test_the_nearest_choice_is_named_first_and_then_all() -> None:
    error = str(unknown("table", "digitz", ["table4", "digits"]))
    assert error == "Unknown table 'digitz'. Did you mean 'digits'? Choices: digits, table4"


def test_what_is_like_nothing_gets_no_hint() -> None:
    assert "Did you mean" not in str(unknown("table", "xyz", ["digits", "mnist"]))


@given(st.text(), st.lists(st.text(min_size=1), max_size=5))
def test_any_name_and_choices_make_a_message(name: str, choices: list[str]) -> None:
    assert all(choice in str(unknown("thing", name, choices)) for choice in choices)
