"""What is kept between processes is what was found, or nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eleatt_bench.common.cache import Cache, fingerprint

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the cache ``c`` lies."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "eleatt-bench" / "c.jsonl"


ABSENT = "absent"


def known(cache: Cache, question: object) -> object:
    """The answer that is kept; none is added."""

    def refuse() -> None:
        raise LookupError

    try:
        return cache.find(question, refuse)
    except LookupError:
        return ABSENT


def kept(most: int = 100, mark: str = "f", **answers: object) -> Cache:
    """The cache as another process finds it, once ``answers`` were found by one."""
    cache = Cache("c", mark, most)
    for question, answer in answers.items():
        assert cache.find(question, lambda answer=answer: answer) == answer
    cache.write()
    return Cache("c", mark, most)


@given(question=json_values, answer=json_values)
def test_an_answer_comes_back_as_it_was(tmp_path_factory, question: object, answer: object) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        cache = Cache("c", "f", 9)
        assert known(cache, question) is ABSENT
        assert cache.find(question, lambda: answer) == answer
        cache.write()
        for one in (cache, Cache("c", "f", 9)):
            assert repr(known(one, question)) == repr(answer)  # 1 and 1.0 and True are equal


def test_none_is_an_answer(file: Path) -> None:
    kept(a=None)
    assert known(kept(), "a") is None
    assert known(kept(), "b") is ABSENT


@pytest.mark.parametrize("answer", [(1, 2), {1: 2}], ids=repr)
def test_what_json_would_change_is_not_kept(file: Path, answer: object) -> None:
    assert known(kept(a=answer), "a") is ABSENT
    assert not file.exists()


def test_answers_of_another_fingerprint_are_forgotten(file: Path) -> None:
    kept(a=1)
    assert known(kept(mark="g", b=2), "a") is ABSENT
    assert known(kept(), "a") is ABSENT


def test_of_too_many_the_oldest_make_room(file: Path) -> None:
    kept(3, a=1, b=2, c=3)
    assert [known(kept(3), key) for key in "abc"] == [1, 2, 3]
    kept(3, d=4)
    assert [known(kept(3), key) for key in "abcd"] == [ABSENT, 2, 3, 4]
    kept(3, d=4, e=5, f=6, g=7)
    assert [known(kept(3), key) for key in "defg"] == [ABSENT, 5, 6, 7]


def test_what_others_add_meanwhile_stays(file: Path) -> None:
    ours = kept()
    assert known(ours, "a") is ABSENT
    kept(a=1)
    ours.find("b", lambda: 2)
    ours.write()
    assert (known(kept(), "a"), known(kept(), "b")) == (1, 2)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff\xfe", b"\n", b'{"fingerprint": "f", "answers": {}}'],
)
def test_a_damaged_file_is_an_empty_one(file: Path, content: bytes) -> None:
    kept(a=1)
    file.write_bytes(content)
    assert known(kept(), "a") is ABSENT
    assert known(kept(b=2), "b") == 2


@given(where=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255), cut=st.booleans())
def test_a_changed_answer_is_never_believed(
    tmp_path_factory, where: float, byte: int, cut: bool
) -> None:
    answers = {"a": [{"hidden_size": 32, "lr": 0.005}, None], "b": "text", "c": 12}
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        kept(**answers)
        path = folder / "eleatt-bench" / "c.jsonl"
        content = bytearray(path.read_bytes())
        place = int(where * len(content))
        content[place : len(content) if cut else place + 1] = bytes([byte])
        path.write_bytes(content)
        for key, answer in answers.items():
            assert known(kept(), key) in (answer, ABSENT)


def test_an_answer_is_not_another_questions(file: Path) -> None:
    kept(a=1, b=2)
    first, *lines = file.read_text().splitlines()
    (one, answer), (other, its) = (line.split(" ") for line in lines)
    assert {answer, its} == {"1", "2"}
    file.write_text("\n".join([first, f"{one} {its}", f"{other} {answer}"]))
    assert known(kept(), "a") is ABSENT
    assert known(kept(b=2), "b") == 2


def test_an_answer_may_be_used_and_not_kept(file: Path) -> None:
    cache = kept(a=1)
    assert cache.find("b", lambda: 2, keep=False) == 2
    assert cache.find("a", lambda: 3, keep=False) == 1
    assert cache.added == 0
    cache.write()
    assert [known(kept(), key) for key in "ab"] == [1, ABSENT]


def test_a_pipe_in_its_place_is_left_alone(file: Path) -> None:
    file.parent.mkdir(parents=True)
    os.mkfifo(file)
    assert known(Cache("c", "f", 9), "a") is ABSENT


def test_a_folder_that_cannot_be_made_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert known(kept(a=1), "a") is ABSENT


def test_a_fingerprint_is_of_names_contents_and_words(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"ab")
    two.write_bytes(b"c")
    first = fingerprint([one, two], "x")
    assert first == fingerprint([one, two], "x")
    assert first != fingerprint([one, two], "y")
    assert first != fingerprint([two, one], "x")
    one.write_bytes(b"a")
    two.write_bytes(b"bc")
    assert first != fingerprint([one, two], "x")
    two.rename(tmp_path / "three")
    assert fingerprint([one, tmp_path / "three"]) != fingerprint([one])
