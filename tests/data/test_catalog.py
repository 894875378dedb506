"""The catalog: preparing, finding and checking stores by name."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from eleatt_bench.common import files
from eleatt_bench.common.errors import UserError
from eleatt_bench.data import catalog, completeness, verification
from eleatt_bench.data.protocols import PROTOCOLS
from eleatt_bench.data.release import Release
from eleatt_bench.data.store import Sample, SequenceStore

DIGITS = "efc830bd2e93daca8109a12daa5b1d2fc7a9d22e3b31e99706563675979f295a"
"""The content of the digits' store on every machine: run names depend on it."""

OPEN_DIGITS = (
    "import sys; from pathlib import Path; from eleatt_bench.data import catalog;"
    "print(catalog.open_store(Path(sys.argv[1]), 'digits').content_digest)"
)


def test_digits_are_prepared_at_first_use(tmp_path: Path) -> None:
    assert catalog.status(tmp_path, "digits") == "not prepared: will be at its first use"
    assert catalog.data_digest(tmp_path, "digits") == DIGITS
    assert catalog.status(tmp_path, "digits") == "ready (1,797 sequences)"
    store = catalog.open_store(tmp_path, "digits")
    assert store.path == catalog.store_path(tmp_path, "digits") == tmp_path / "prepared/digits.h5"


@pytest.mark.slow
def test_several_processes_prepare_digits_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPEN_DIGITS, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate()[0].strip() for process in processes] == [DIGITS] * 3
    assert [process.returncode for process in processes] == [0] * 3
    assert {p.name for p in (tmp_path / "prepared").iterdir()} <= {"digits.h5", ".digits.lock"}


def test_the_digest_of_a_store_is_had_in_no_time(tmp_path: Path) -> None:
    catalog.open_store(tmp_path, "digits")
    start = time.process_time()
    assert catalog.data_digest(tmp_path, "digits") == DIGITS
    assert time.process_time() - start < 0.3
    heavy = "print({'torch', 'sklearn'} & set(sys.modules) or 'light')"
    command = [sys.executable, "-c", f"{OPEN_DIGITS}; {heavy}", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [DIGITS, "light"]


def test_what_is_not_prepared(tmp_path: Path) -> None:
    assert catalog.data_digest(tmp_path, "nucla") is None
    for attempt in (catalog.open_store, verification.verify):
        with pytest.raises(UserError) as caught:
            attempt(tmp_path, "nucla")
        message = str(caught.value)
        assert message.startswith("Data set 'nucla' is not prepared: ")
        assert "eleatt-bench data prepare nucla --source PATH" in message
        assert "all_sqe.zip" in message
    assert catalog.status(tmp_path, "nucla").startswith("not prepared: eleatt-bench data prepare")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_store(tmp_path: Path) -> None:
    path = catalog.store_path(tmp_path, "nucla")
    path.parent.mkdir()
    path.write_bytes(b"x" * 99)
    assert catalog.status(tmp_path, "nucla").startswith(f"damaged: {path} is not an HDF5 file")
    for attempt in (catalog.open_store, catalog.data_digest, verification.verify):
        with pytest.raises(UserError, match="is not an HDF5 file"):
            attempt(tmp_path, "nucla")


def test_another_data_sets_store_is_damaged(tmp_path: Path) -> None:
    store = catalog.open_store(tmp_path, "digits")
    store.path.rename(catalog.store_path(tmp_path, "mnist"))
    assert "holds the data set 'digits', not 'mnist'" in catalog.status(tmp_path, "mnist")


def test_prepare_removes_what_a_killed_process_left(tmp_path: Path) -> None:
    leftover = tmp_path / "prepared" / ".digits.h5.123.tmp"
    leftover.parent.mkdir()
    leftover.write_bytes(b"half")
    (mine := leftover.with_name(".digits.h5.mine.tmp")).touch()
    catalog.prepare(tmp_path, "digits", None)
    assert not leftover.exists()
    assert mine.exists(), "no writer calls a file so"


@pytest.mark.parametrize(
    ("action", "says"),
    [
        (lambda d: catalog.prepare(d, "nucla", None), "data prepare nucla needs its source, all_s"),
        (lambda d: catalog.prepare(d, "digits", d), "digits takes no --source"),
        (lambda d: catalog.prepare(d, "nuclaa", d), "Did you mean 'nucla'"),
        (lambda d: catalog.prepare(d, "mnist", d / "no"), "no does not exist"),
        (lambda d: catalog.download(d, "digits"), "digits needs no download"),
        (lambda d: catalog.download(d, "nucla"), "nucla must be fetched by hand: get all_sqe.zip"),
        (lambda d: catalog.prepare(d, "ntu_v1", d), "ntu_v1 is a part of ntu and has no store of"),
        (lambda d: catalog.download(d, "ntu_v1"), "its own: eleatt-bench data prepare ntu --sourc"),
        (
            lambda d: catalog.open_store(d, "ntu_v1"),
            r"'ntu_v1' is not prepared: .*/ntu\.h5 is miss",
        ),
        (lambda d: catalog.status(d, "ucf101"), "Unknown data set 'ucf101'"),
    ],
)
def test_mistakes(tmp_path: Path, action, says: str) -> None:
    with pytest.raises(UserError, match=says):
        action(tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file, where the folder should be")
    with pytest.raises(UserError, match=r"Cannot write to .*ELEATT_DATA=FOLDER"):
        catalog.open_store(tmp_path / "data", "digits")
    with pytest.raises(UserError, match=r"Cannot write to .*ELEATT_DATA=FOLDER"):
        catalog.download(tmp_path / "data", "mnist")


def test_entries_agree_with_the_other_lists() -> None:
    assert set(catalog.names()) == set(PROTOCOLS)
    for name in catalog.names():
        data_set = catalog.entry(name)
        assert tuple(data_set.sizes) == tuple(PROTOCOLS[name])
        for protocol, sizes in data_set.sizes.items():
            if PROTOCOLS[name][protocol].about is None:
                assert {learn + test for learn, test in sizes} == {data_set.published}
            assert len(sizes) in (1, PROTOCOLS[name][protocol].folds)
        assert catalog.entry(name).homepage.startswith(("https://", "http://"))


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        (old,) = file.read(1)
        file.seek(at)
        file.write(bytes([old ^ 1]))


def test_a_flipped_bit_is_found_before_anything_is_made_of_it(tmp_path: Path) -> None:
    store = catalog.open_store(tmp_path, "digits")
    before = store.path.stat()
    flip(store.path, store.frames.offset + 4 * 900)  # type: ignore[attr-defined]
    os.utime(store.path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as if nothing had been
    assert catalog.data_digest(tmp_path, "digits") == DIGITS
    for _ in range(2):  # what is damaged is not remembered as sound
        with pytest.raises(UserError, match=r"sequence digit_\d+ does not match its digest\. Make"):
            catalog.open_store(tmp_path, "digits")


def test_a_store_is_read_whole_but_once(tmp_path: Path, monkeypatch) -> None:
    # Where all workers write, what one has just kept can be lost to another: it is read again then.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(files, "_FINE_STEP", 0)
    seen = []
    real = SequenceStore.verify
    monkeypatch.setattr(SequenceStore, "verify", lambda s: (seen.append(s.path), real(s)))
    path = catalog.open_store(tmp_path, "digits").path
    assert seen[1:] == [path]  # after it was before it took its place
    catalog.open_store(tmp_path, "digits")
    assert seen[2:] == []
    moved = catalog.store_path(tmp_path / "elsewhere", "digits")
    moved.parent.mkdir(parents=True)
    shutil.copy2(path, moved)
    for _ in range(3):
        catalog.open_store(tmp_path / "elsewhere", "digits")
    assert seen[2:] == [moved]
    verification.verify(tmp_path / "elsewhere", "digits")
    assert seen[3:] == [moved]  # again, and once


def test_a_store_that_was_just_written_is_not_remembered_as_sound(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(files, "_FINE_STEP", 10**12)
    store = catalog.open_store(tmp_path, "digits")
    flip(store.path, store.frames.offset)  # type: ignore[attr-defined]
    before = files.FileState.at(str(store.path))
    monkeypatch.setattr(files.FileState, "of", lambda found: before)  # as in one step of the clock
    with pytest.raises(UserError, match="does not match its digest"):
        catalog.open_store(tmp_path, "digits")


def test_attributes_of_a_store_that_has_no_digest_of_them(tmp_path: Path) -> None:
    """As all were that were made before: what they were at first use is remembered."""
    path = catalog.prepare(tmp_path, "digits", None).path
    with h5py.File(path, "a") as file:
        del file.attrs["attributes_digest"]
    assert catalog.open_store(tmp_path, "digits").content_digest == DIGITS
    with h5py.File(path, "a") as file:
        file.attrs["origin_applied"] = True
    with pytest.raises(UserError, match=r"its classes, layout or origin changed\. Make it anew"):
        catalog.open_store(tmp_path, "digits")
    catalog.prepare(tmp_path, "digits", None)
    assert not catalog.open_store(tmp_path, "digits").origin_applied


def test_the_name_of_the_weights_file_is_no_damage(tmp_path: Path) -> None:
    """Two stores of the same features, as they were made before stores had that digest."""
    for name in ("one.pt2", "renamed.pt2"):
        layout = {"kind": "features", "backbone": name, "weights": f"those in {name}"}
        samples = [Sample("clip", np.ones((2, 3), np.float32), 0, {"split_1": 1})]
        release = Release("a test", ("no", "yes"), layout, 1, samples)
        path = catalog.write(tmp_path, "jhmdb", release).path
        with h5py.File(path, "a") as file:
            del file.attrs["attributes_digest"]
        assert catalog.open_store(tmp_path, "jhmdb").layout == layout


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP])
def test_a_file_system_without_locks(tmp_path: Path, monkeypatch, number: int) -> None:
    def fails(descriptor: int, how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", fails)
    with pytest.raises(
        UserError, match=r"\.digits\.lock cannot be locked .*the file system \w+ at /"
    ):
        catalog.open_store(tmp_path, "digits")


def test_what_is_incomplete_is_called_so(tmp_path: Path, publish) -> None:
    assert catalog.incomplete(tmp_path, "nucla") is None  # not there at all
    left_out: list[str] = []
    release = publish("nucla", tmp_path)
    (release.source / "readme.md").touch()
    catalog.prepare(tmp_path, "nucla", release.source, left_out=left_out.append)
    assert left_out == ["1 other files, which no sample is called like: readme.md"]
    said = "6 of 1,484: incomplete, not comparable"
    assert catalog.incomplete(tmp_path, "nucla") == f"{said} with published results"
    assert catalog.status(tmp_path, "nucla") == f"ready ({said})"
    catalog.open_store(tmp_path, "digits")
    assert catalog.incomplete(tmp_path, "digits") is None
    assert completeness.remark("sysu", 481) == (
        "481 of 480: more than were published, not comparable with published results"
    )
    assert completeness.published_sizes("jhmdb", "split", [(658, 270)]) is None
    assert completeness.published_sizes("dhg", "gestures_14", [(2660, 140), (1, 2)]) == (
        "2,660 and 140"
    )


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nucla", "nucla has one way to be split, and takes no --splits"),
        ("sysu", "does not exist: give the folder with cross_subject_train_splits.npy and"),
    ],
)
def test_splits_of_whom_they_are_for(tmp_path: Path, publish, name: str, says: str) -> None:
    source = publish(name, tmp_path).source
    with pytest.raises(UserError, match=says):
        catalog.prepare(tmp_path, name, source, splits=tmp_path / "none")
