"""The list of which job is which task, and who may write it."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.launch.slurm.book import Book, books_of, own_book, read_book
from eleatt_bench.launch.slurm.commands import QueueEntry, newest
from eleatt_bench.launch.submitting import submitting


def book(folder: Path, *keys: str, size: int = 1000, name: str = "table2-1a2b3c4d") -> Book:
    made = Book(folder / f"{name}.json", size, {key: f"{name}/{key}.log" for key in keys})
    made.write()
    return made


def test_jobs_keep_their_places_as_others_come(tmp_path: Path) -> None:
    before = book(tmp_path, "a", "b", "c", size=2).places()
    assert before == {
        "a": ("table2-1a2b3c4d", 0),
        "b": ("table2-1a2b3c4d", 1),
        "c": ("table2-1a2b3c4d.1", 0),
    }
    again = own_book(tmp_path / "table2-1a2b3c4d.json", 7)  # what the cluster takes now
    assert again.array_size == 2
    again.logs["d"] = "d.log"
    assert again.places() == {**before, "d": ("table2-1a2b3c4d.1", 1)}
    assert again.arrays() == ["table2-1a2b3c4d", "table2-1a2b3c4d.1"]
    assert again.log("a") == tmp_path / "table2-1a2b3c4d" / "a.log"


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"array_size": 0, "logs": {}}', '{"array_size": 1, "logs": [1]}',
                '{"array_size": 1, "logs": {"a": 2}}', "[" * 100_000],
)  # fmt: skip
def test_a_damaged_book_is_named_with_what_helps(tmp_path: Path, content: str) -> None:
    path = tmp_path / "sweep-1.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"\w"):
        read_book(path)
    with pytest.raises(UserError, match=r"sweep-1.json is damaged .* scancel --name=sweep-1"):
        own_book(path, 1000)
    whole = book(tmp_path, "a", "b")
    assert books_of(tmp_path, ["b", "x"]) == [whole], "others are read all the same"
    assert books_of(tmp_path, ["x"]) == []


def test_what_is_active_counts_and_else_what_came_last() -> None:
    def entry(array: str, state: str) -> QueueEntry:
        return QueueEntry(array, 0, "s", state, "")

    for entries, counts in (
        (["9 COMPLETED", "10 FAILED"], "10"),
        (["9 PENDING", "10 FAILED"], "9"),
        (["10 REQUEUED", "9 RUNNING", "11 CANCELLED"], "10"),
    ):
        made = [entry(*text.split()) for text in entries]
        assert newest(made)["s", 0].array == counts


def submit(folder: Path, inside: multiprocessing.Queue) -> None:  # type: ignore[type-arg]
    inside.put("here")
    with submitting(folder):
        inside.put("in")
        inside.put("out")


def test_one_process_at_a_time_submits(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    inside = context.Queue()
    with submitting(tmp_path / "sweeps") as descriptor:
        assert descriptor > 2
        other = context.Process(target=submit, args=(tmp_path / "sweeps", inside))
        other.start()
        assert inside.get(timeout=60) == "here"
        other.join(0.5)
        assert inside.empty()
    other.join(20)
    assert [inside.get(), inside.get()] == ["in", "out"]


def test_the_lock_of_a_groups_folder_is_the_groups(tmp_path: Path) -> None:
    for mode, expected in ((0o775, 0o664), (0o755, 0o644)):
        folder = tmp_path / oct(mode)
        folder.mkdir()
        folder.chmod(mode)
        with submitting(folder):
            assert (folder / ".lock").stat().st_mode & 0o777 == expected
