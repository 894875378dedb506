"""Keys of what is nested, against walking there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eleatt_bench.common.nested import covers, leaves, scalars, value_at

names = st.text("abc", min_size=1, max_size=2)
plain = st.none() | st.integers() | st.lists(st.integers())
trees = st.recursive(st.dictionaries(names, plain), lambda t: st.dictionaries(names, t | plain))


@given(trees)
def test_leaves_are_all_that_is_in_a_tree(tree) -> None:
    for key, value in leaves(tree):
        assert value_at(tree, key) == value
        assert covers(key.split(".")[0], key)

    def count(node) -> int:
        return sum(map(count, node.values())) if isinstance(node, dict) and node else 1

    assert len(list(leaves(tree))) == (count(tree) if tree else 0)


def test_scalars_are_in_lists_too() -> None:
    tree = {"a": {"b": [1, {"c": 2}, [3]], "d": {}, "e": []}, "f": None}
    assert dict(scalars(tree)) == {"a.b[0]": 1, "a.b[1].c": 2, "a.b[2][0]": 3, "f": None}
    assert value_at(tree, "a.d.x") is None


def test_a_key_covers_what_lies_in_it_and_nothing_that_only_begins_alike() -> None:
    assert covers("a", "a") and covers("a", "a.b")  # noqa: PT018
    assert not covers("a", "ab") and not covers("a.b", "a")  # noqa: PT018
