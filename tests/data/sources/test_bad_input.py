"""Every kind of bad input for every reader of files: a sentence, and the old store as it was."""

from __future__ import annotations

import io
import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from eleatt_bench.common.errors import UserError
from eleatt_bench.data import catalog
from eleatt_bench.data.store import SequenceStore

READERS = ("ntu", "nucla", "sysu", "shrec17", "dhg")
OLD = b"what was there before"

Damage = Callable[[bytes], bytes]


def words(content: bytes, index: int, new: str) -> bytes:
    """A text with the word at that place replaced."""
    found = content.split(b" ")
    found[index] = new.encode()
    return b" ".join(found)


def skeletons(new: Callable[[list[Any]], Any]) -> Damage:
    def damage(content: bytes) -> bytes:
        whole = json.loads(content)
        return json.dumps({**whole, "skeletons": new(whole["skeletons"])}).encode()

    return damage


def first_coordinate(value: Any) -> Damage:
    return skeletons(lambda s: [[[value, 0, 0], *s[0][1:]], *s[1:]])


def matlab(new: Callable[[np.ndarray], Any]) -> Damage:
    def damage(content: bytes) -> bytes:
        file = io.BytesIO()
        savemat(file, {"SW": new(loadmat(io.BytesIO(content))["SW"])})
        return file.getvalue()

    return damage


def with_value(value: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda array: np.where(np.indices(array.shape).sum(0) == 0, value, array)


HAND: dict[str, tuple[Damage, str]] = {
    "a word": (lambda c: words(c, 70, "palm"), "line 2 holds 'palm', which is not a number"),
    "NaN": (lambda c: words(c, 70, "NaN"), "line 2 holds a coordinate that is not a number"),
    "absurd": (lambda c: words(c, 70, "1e9"), "line 2 holds a coordinate that is not a number"),
    "empty": (lambda c: b"", "is empty"),
    "cut": (lambda c: c[:-60], r"line 3 has \d+ numbers, not 66"),
    "joints": (lambda c: c.replace(b"\n", b" 0.5\n", 1), "line 1 has 67 numbers, not 66"),
}
DAMAGES: dict[str, dict[str, tuple[Damage, str]]] = {
    "ntu": {
        "a word": (lambda c: words(c, 10, "x"), "line 5 holds 'x', which is not a number"),
        "NaN": (lambda c: words(c, 10, "NaN"), "line 5 holds 'NaN' for a coordinate"),
        "absurd": (lambda c: words(c, 10, "1e9"), "line 5 holds '1e9' for a coordinate"),
        "empty": (lambda c: b"", "is empty"),
        "cut": (lambda c: c[: len(c) // 2], r"line 31 is empty|line \d+ has \d+ fields|is cut sh"),
        "frames": (lambda c: b"3" + c[1:], "frame 3 of 3 is missing"),
        "bodies": (lambda c: c.replace(b"\n1\r", b"\n2\r", 1), "line 30 has 1 fields, not the 10"),
        "joints": (lambda c: c.replace(b"\n25\r", b"\n24\r", 1), "line 4 does not say .* 25 joint"),
    },
    "nucla": {
        "a word": (first_coordinate("x"), "skeletons that are not frames × 20 × 3 numbers"),
        "NaN": (first_coordinate(float("nan")), "frame 1 holds a coordinate that is not a number"),
        "absurd": (first_coordinate(1e9), "frame 1 holds a coordinate that is not a number"),
        "empty": (lambda c: b"", "is not JSON"),
        "cut": (lambda c: c[:-9], "is not JSON"),
        "frames": (skeletons(lambda s: []), "has no frames"),
        "joints": (skeletons(lambda s: [f[:19] for f in s]), "with 19 in place of 20 joints"),
    },
    "sysu": {
        "a word": (matlab(lambda a: "joints"), "has a variable SW of shape|SW that is not"),
        "NaN": (matlab(with_value(np.nan)), "frame 1 holds a coordinate that is not a number"),
        "absurd": (matlab(with_value(1e9)), "frame 1 holds a coordinate that is not a number"),
        "empty": (lambda c: b"", "is not a file of MATLAB 5 or 7.3"),
        "cut": (lambda c: c[:-9], "is cut short"),
        "frames": (matlab(lambda a: a[:, :, :0]), "has a variable SW that is empty"),
        "joints": (matlab(lambda a: a[:19]), r"SW of shape \(19, 3, 2\), not \(20, 3, n\)"),
    },
    "shrec17": {
        **HAND,
        "frames": (lambda c: c[: c.index(b"\n") + 1], "has 1 frames where .* line 1 says 3"),
    },
    "dhg": {
        **HAND,
        "frames": (lambda c: c[: c.index(b"\n") + 1], "has 1 frames where .* line 1 cuts 0 to 2"),
    },
}
EVERY = [(name, kind) for name, kinds in DAMAGES.items() for kind in kinds]


@pytest.fixture
def old(tmp_path: Path) -> Callable[[str], Callable[[], None]]:
    """Put something in the place of a store; what is returned checks that it is still there."""

    def put(name: str) -> Callable[[], None]:
        path = catalog.store_path(tmp_path, name)
        path.parent.mkdir()
        path.write_bytes(OLD)

        def check() -> None:
            assert path.read_bytes() == OLD
            assert {p.name for p in path.parent.iterdir()} <= {path.name, f".{name}.lock"}

        return check

    return put


def refused(tmp_path: Path, name: str, source: Path) -> str:
    """What is said when the store cannot be made of ``source``: one sentence."""
    with pytest.raises(UserError) as caught:
        catalog.prepare(tmp_path, name, source)
    text = str(caught.value)
    assert text.isprintable()
    assert ". " not in text
    assert f"eleatt-bench data prepare {name}" in text
    assert len(text) < 700
    return text


@pytest.mark.parametrize("archived", [False, True], ids=["folder", "archive"])
@pytest.mark.parametrize(("name", "kind"), EVERY)
@pytest.mark.few(12)
def test_one_bad_file(
    tmp_path: Path, publish, zipped, old, name: str, kind: str, archived: bool
) -> None:
    release = publish(name, tmp_path)
    path = next(iter(release.files.values()))
    damage, says = DAMAGES[name][kind]
    path.write_bytes(damage(path.read_bytes()))
    check = old(name)
    source = zipped(release.source) if archived else release.source
    text = refused(tmp_path, name, source)
    shown = path.relative_to(release.source.parent)
    assert text.startswith(f"{source if archived else source.parent}/{shown}"), text
    assert re.search(says, text), text
    assert text.endswith("or leave such samples out with --skip-bad")
    check()


DUPLICATES = {
    "ntu": "is the same sample as",
    "nucla": "is the same sequence as",
    "sysu": "is the same sequence as",
    "shrec17": "is the same trial as",
    "dhg": "is the same trial as",
}


@pytest.mark.parametrize("name", READERS)
def test_the_same_sample_twice(tmp_path: Path, publish, old, name: str) -> None:
    release = publish(name, tmp_path)
    path = next(iter(release.files.values()))
    copy = release.source / "copy" / path.relative_to(release.source)
    copy.parent.mkdir(parents=True)
    shutil.copy(path, copy)
    check = old(name)
    text = refused(tmp_path, name, release.source)
    assert DUPLICATES[name] in text
    assert text.endswith(f"keep one of them, then eleatt-bench data prepare {name} --source PATH")
    check()


MISNAMED = {
    "ntu": ("S001C001P001R001A061x.skeleton", "is not called like S001C001P001R001A001.skeleton"),
    "nucla": ("a07_s01_e00_v01.json", "names action 7, camera 1, which do not exist"),
    "sysu": ("01/video13/sklWorld.mat", "is not in a folder like SUBJECT/video1 … video12"),
    "shrec17": ("gesture_1/skeletons_world.txt", "is not in a folder like gesture_1/finger_1"),
    "dhg": ("gesture_1/finger_1/subject_21/essai_1/skeleton_world.txt", "which does not exist"),
}


@pytest.mark.parametrize("name", READERS)
def test_a_name_that_no_sample_can_have(tmp_path: Path, publish, old, name: str) -> None:
    release = publish(name, tmp_path)
    below, says = MISNAMED[name]
    path = release.source / below
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(next(iter(release.files.values())), path)
    check = old(name)
    text = refused(tmp_path, name, release.source)
    assert text.startswith(f"{path} ")
    assert says in text
    check()
    store = catalog.prepare(tmp_path, name, release.source, skip_bad=True)
    assert store.names == tuple(release.files)
    ((_, reason),) = store.omitted
    assert reason.startswith(str(path))


MISSING = {
    "sysu": "has no 01/video1/sklWorld.mat",
    "shrec17": "line 1 names trial g01_f1_s01_e01, which",
    "dhg": "line 1 names trial g01_f1_s01_e01, which",
}


@pytest.mark.parametrize("name", MISSING)
def test_a_sample_that_should_be_there(tmp_path: Path, publish, old, name: str) -> None:
    release = publish(name, tmp_path)
    first = next(iter(release.files))
    release.files[first].unlink()
    check = old(name)
    assert MISSING[name] in refused(tmp_path, name, release.source)
    check()
    store = catalog.prepare(tmp_path, name, release.source, skip_bad=True)
    assert [omission.name for omission in store.omitted] == [first]
    assert store.names == tuple(release.files)[1:]


LISTS = {
    "shrec17": ("train_gestures.txt", "test_gestures.txt"),
    "dhg": ("informations_troncage_sequences.txt",),
}


@pytest.mark.parametrize("skip_bad", [False, True])
@pytest.mark.parametrize(("name", "file"), [(n, file) for n in LISTS for file in LISTS[n]])
def test_an_official_list_is_needed_whole(
    tmp_path: Path, publish, old, name: str, file: str, skip_bad: bool
) -> None:
    """Its faults are not of one sample: leaving bad ones out does not help."""
    release = publish(name, tmp_path)
    path = release.source / file
    whole = path.read_bytes()
    check = old(name)
    for content, says in (
        (None, f"has no {file}"),
        (b"", "is empty"),
        (b"x" + whole, r"line 1 holds 'x\d', which is not a whole number"),
        (whole[:-8], r"line 3 has \d numbers|line 6 has \d numbers"),
        (whole + whole[: whole.index(b"\n") + 1], r"names trial g\d\d_f1_s\d\d_e01 again"),
    ):
        path.unlink() if content is None else path.write_bytes(content)
        with pytest.raises(UserError, match=says):
            catalog.prepare(tmp_path, name, release.source, skip_bad=skip_bad)
        path.write_bytes(whole)
    check()


@pytest.mark.parametrize("skip_bad", [False, True])
@pytest.mark.parametrize("name", READERS)
def test_archives_that_are_not_to_be_trusted(
    tmp_path: Path, publish, zipped, old, name: str, skip_bad: bool
) -> None:
    release = publish(name, tmp_path)
    path = zipped(release.source)
    whole = path.read_bytes()
    check = old(name)
    for member in ("../evil.txt", "/etc/evil.txt", "release\\..\\..\\evil.txt"):
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(member, b"")
        with pytest.raises(UserError, match=r"that would leave its folder and is not to be trust"):
            catalog.prepare(tmp_path, name, path, skip_bad=skip_bad)
        path.write_bytes(whole)
    path.write_bytes(whole[:-30])
    with pytest.raises(UserError, match=r"release\.zip is cut short .*: fetch"):
        catalog.prepare(tmp_path, name, path, skip_bad=skip_bad)
    check()


@pytest.mark.parametrize("kind", ["link", "bomb"])
@pytest.mark.parametrize("name", READERS)
@pytest.mark.few(3)
def test_a_member_that_is_a_link_or_far_too_large(
    tmp_path: Path, publish, zipped, old, name: str, kind: str
) -> None:
    release = publish(name, tmp_path)
    sample, path = next(iter(release.files.items()))
    path.unlink()
    source = zipped(release.source)
    info = zipfile.ZipInfo(str(path.relative_to(release.source.parent)))
    info.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(source, "a") as archive:
        if kind == "link":
            info.external_attr = 0o120777 << 16
            archive.writestr(info, "/etc/passwd")
        else:
            archive.writestr(info, bytes((1 << 25) + 1))
    check = old(name)
    says = {"link": "is a link, not a file", "bomb": "is too large .* (33,554,433 bytes)"}[kind]
    text = refused(tmp_path, name, source)
    assert text.startswith(f"{source}/{info.filename} ")
    assert re.search(re.escape(says).replace(r"\.\*", ".*"), text)
    check()
    store = catalog.prepare(tmp_path, name, source, skip_bad=True)
    assert [omission.name for omission in store.omitted] == [sample]
    assert "/etc/passwd" not in "".join(reason for _, reason in store.omitted)


@pytest.mark.parametrize("name", READERS)
def test_bad_samples_are_left_out_counted_and_recorded(tmp_path: Path, publish, name: str) -> None:
    release = publish(name, tmp_path)
    whole = catalog.prepare(tmp_path, name, release.source)
    assert (whole.names, whole.omitted) == (tuple(release.files), ())
    first, second, *others = release.files
    bad = {}
    for sample, kind in ((first, "empty"), (second, "a word")):
        damage, bad[sample] = DAMAGES[name][kind]
        release.files[sample].write_bytes(damage(release.files[sample].read_bytes()))
    catalog.prepare(tmp_path, name, release.source, skip_bad=True)
    store = SequenceStore.open(catalog.store_path(tmp_path, name))
    assert store.names == tuple(others)
    assert [omission.name for omission in store.omitted] == [first, second]
    for omission in store.omitted:
        assert omission.reason.startswith(str(release.files[omission.name]))
        assert re.search(bad[omission.name], omission.reason)
        assert "eleatt-bench" not in omission.reason
    for index, sample in enumerate(others):
        np.testing.assert_array_equal(
            store.sequence(index), whole.sequence(whole.names.index(sample))
        )


@pytest.mark.parametrize("name", READERS)
def test_nothing_but_bad_samples(tmp_path: Path, publish, old, name: str) -> None:
    release = publish(name, tmp_path)
    for path in release.files.values():
        path.write_bytes(b"")
    check = old(name)
    count = len(release.files)
    with pytest.raises(UserError, match=rf"has {count} samples and all are bad \(the first: .*"):
        catalog.prepare(tmp_path, name, release.source, skip_bad=True)
    check()
