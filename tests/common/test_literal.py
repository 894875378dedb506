"""One spelling for all overrides that say the same, held against Hydra's own parser."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eleatt_bench.common.literal import canonical, key_of, literal, merge, value_of
from eleatt_bench.config.overrides import parse

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
    | st.from_regex(r"[a-z][a-z_./0-9]{0,8}", fullmatch=True)
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.from_regex(r"[a-z]{1,3}", fullmatch=True), inner, min_size=1, max_size=3
        )
    ),
    max_leaves=6,
)


@given(values, st.randoms(use_true_random=False))
def test_it_says_what_was_typed_in_whatever_blanks(value: Any, random) -> None:
    plain = f"key={literal(value)}"
    typed = "".join(
        f"{' ' * random.randint(0, 2)}{sign}{' ' * random.randint(0, 2)}" if sign in ",:" else sign
        for sign in plain
    )
    assert canonical(typed) == canonical(plain)
    assert parse(canonical(plain)).value() == parse(plain).value()


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        ("a=1e-2", "a=0.01"),
        ("a= [ 4 , 8 ]", "a=[4,8]"),
        ("a=True", "a=true"),
        ("a=+5", "a=5"),
        ("~a", "~a"),
        ("+a=1.0", "a=1"),
        ("++a='b, c'", "a='b, c'"),
        ("a=", "a="),
        ("a='b, c'", "a='b, c'"),
        ("a=choice( gru ,lstm)", "a=choice(gru,lstm)"),
    ],
)
def test_the_same_is_written_alike(typed: str, plain: str) -> None:
    assert canonical(typed) == plain


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("a.b=1", "a.b", "1"),
        ("+a.b=+1", "a.b", "+1"),
        ("++a='b=~c'", "a", "'b=~c'"),
        ("~a", "a", ""),
    ],
)
def test_an_override_is_about_a_setting_and_says_something_of_it(
    override: str, key: str, value: str
) -> None:
    assert (key_of(override), value_of(override)) == (key, value)
    assert parse(override).key_or_group == key


def test_of_several_overrides_for_one_key_the_last_stays() -> None:
    merged = merge(["experiment=nucla", "seed=1"], ["model=gru"], ["experiment=nucla_aug"])
    assert merged == ("seed=1", "model=gru", "experiment=nucla_aug")
    assert merge(["+a=1", "b=3"], ["a=2"]) == ("+a=1", "b=3", "a=2"), "a is there to be set"
