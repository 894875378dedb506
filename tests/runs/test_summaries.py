"""What is kept of a record is never another than what the record says."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eleatt_bench.common import files
from eleatt_bench.runs.identity import likeness
from eleatt_bench.runs.record import RunFolder, all_runs
from eleatt_bench.runs.summaries import Summaries, summary_of
from eleatt_bench.runs.values import Run

NAME = "digits-gru-seed0-elsewhere"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written is settled at once."""
    monkeypatch.setattr(files, "_FINE_STEP", 0)


def fill(folder: Path, record_of, count: int) -> list[RunFolder]:
    runs = [RunFolder(folder, f"{NAME}{index}") for index in range(count)]
    for run in runs:
        run.write(record_of(run.run_id))
    return runs


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize(("count", "kept"), [(63, False), (64, True)])
def test_many_are_read_once_and_few_each_time(
    count: int, kept: bool, tmp_path: Path, record_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = fill(tmp_path, record_of, count)
    expected = [summary_of(record_of(run.run_id)) for run in runs]
    first = Summaries(tmp_path)
    assert [first.of(run.run_id) for run in runs] == expected
    first.keep()
    reads = []
    read = RunFolder.read
    monkeypatch.setattr(RunFolder, "read", lambda self: (reads.append(self), read(self))[1])
    second = Summaries(tmp_path)
    assert [second.of(run.run_id) for run in runs] == expected
    assert len(reads) == (0 if kept else count)


def written(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def set_back(path: Path, content: bytes) -> None:
    """In place, and the time of modification is what it was."""
    found = path.stat() if path.exists() else None
    path.write_bytes(content)
    if found is not None:
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def replaced(path: Path, content: bytes) -> None:
    path.with_name("new").write_bytes(content)
    path.with_name("new").replace(path)


def removed(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)


WAYS = st.sampled_from([written, set_back, replaced, removed])
Ways = list[tuple[Callable[[Path, bytes], None], int, bool]]


@settings(deadline=None)
@given(st.lists(st.tuples(WAYS, st.integers(0, 3), st.booleans()), max_size=12))
def test_however_fast_a_record_changes_it_is_as_it_is(
    tmp_path_factory, record_of, ways: Ways
) -> None:
    """Unsettled as all of it is: the steps follow each other within the clock's own."""
    folder = tmp_path_factory.mktemp("runs")
    run = RunFolder(folder, NAME)
    contents = []
    for accuracy in (0.25, 0.75):
        run.write(record_of(NAME, accuracy))
        contents.append(run.record.read_bytes())
    contents += [contents[0][:-9], contents[1].replace(NAME.encode(), NAME[::-1].encode())]
    summaries = Summaries(folder)
    for change, content, anew in ways:
        change(run.record, contents[content])
        if anew:
            summaries.keep()
            summaries = Summaries(folder)
        record = run.read()
        assert summaries.of(NAME) == (None if record is None else summary_of(record))


def test_a_settled_file_shows_its_next_change_by_its_state(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a")
    first = files.FileState.at(str(path))
    assert first is not None
    assert not first.settled
    os.utime(path, ns=(0, 0))  # sets the other time to now
    assert not files.FileState.of(path.stat()).settled
    assert files.FileState.at(str(tmp_path / "none")) is None


@pytest.mark.parametrize(
    ("modified", "age", "settled"),
    [(5, 0.05, False), (5, 0.2, True), (0, 0.2, False), (0, 2.5, False), (0, 4.0, True)],
)
def test_steps_of_seconds_take_seconds(
    modified: int, age: float, settled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Found:
        st_dev = st_ino = st_size = 1
        st_mtime_ns = st_ctime_ns = 10**18 + modified

    monkeypatch.setattr(files.time, "time_ns", lambda: 10**18 + modified + int(age * 1e9))
    assert files.FileState.of(Found()).settled is settled


def test_a_file_of_tomorrow_is_not_settled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(files.time, "time_ns", lambda: 0)
    assert not files.FileState.of(tmp_path.stat()).settled


@pytest.mark.parametrize("status", ["finished", "failed", "running"])
def test_a_run_says_the_same_by_its_summary(status: str, make_run) -> None:
    folder = make_run(0.5 if status == "finished" else None, status)
    plain = Run(folder)
    for summary in (summary_of(folder.read()), None):
        run = Run(folder, summary)
        for key in [*plain.values, *plain.config, "likeness", "quick", "data.limit", "nothing"]:
            assert (run.has(key), run.get(key)) == (plain.has(key), plain.get(key)), key
        assert run.values == plain.values
        assert list(run.values) == list(plain.values)


def test_what_many_runs_lack_is_not_looked_for_in_the_file_of_each(
    make_run, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished, failed = make_run(), make_run(None, "failed", seed=1)
    runs = [Run(folder, summary_of(folder.read())) for folder in (finished, failed)]
    monkeypatch.setattr(RunFolder, "_parsed", lambda *asked: pytest.fail(f"it read {asked[1]}"))
    keys = ("run", "status", "val/accuracy", "test/accuracy_clean", "epochs", "timing.seconds")
    found = [[run.get(key) for key in keys] for run in runs]
    assert found == [
        [finished.run_id, "finished", 0.5, None, 3, None],
        [failed.run_id, "failed", None, None, 3, None],
    ]


def test_every_run_with_a_record_is_there_whole_or_damaged(tmp_path: Path, record_of) -> None:
    runs = fill(tmp_path, record_of, 4)
    runs[1].record.write_text("{")
    runs[2].record.unlink()
    (tmp_path / f".{NAME}").mkdir()
    (tmp_path / "tables").mkdir()
    found = {folder.run_id: summary for folder, summary in Summaries(tmp_path).every()}
    assert list(found) == [run.run_id for run in all_runs(tmp_path)]
    assert found == {
        run.run_id: run.read() and summary_of(run.read()) for run in all_runs(tmp_path)
    }
    assert [one is None for one in found.values()] == [False, True, False]
    assert list(Summaries(tmp_path / "nothing").every()) == []


def test_likeness_tells_what_runs_agree_in(make_run) -> None:
    one, seed, fold, width, limit = (
        likeness(make_run(**settings).read()["identity"])
        for settings in ({}, {"seed": 1, "data__val_seed": 1}, {"data__fold": 1},
                         {"model__hidden_size": 9}, {"data__limit": 7})
    )  # fmt: skip
    assert one["but_numbers"] == seed["but_numbers"] == fold["but_numbers"]
    identity = make_run(seed=2).read()["identity"]
    newer = likeness({**identity, "recipe_version": identity["recipe_version"] + 1})
    assert newer["but_numbers"] == likeness(identity)["but_numbers"]
    assert newer["content"] != likeness(identity)["content"]
    assert len({run["content"] for run in (one, seed, fold, width, limit)}) == 5
    assert width["but_numbers"] != one["but_numbers"]
    assert {run["kind"] for run in (one, seed, fold, width)} == {"digits frames eleatt_gru"}
    assert (one["limit"], limit["limit"], one["quick"]) == (None, 7, False)
