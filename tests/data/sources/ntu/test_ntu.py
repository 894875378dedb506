"""NTU RGB+D: folders and archives of small files in the published format, whole and broken."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.data import catalog
from eleatt_bench.data.release import BadSample, Release, required
from eleatt_bench.data.sources import ntu
from eleatt_bench.data.sources.ntu.names import BONES, CLASSES, JOINTS
from eleatt_bench.data.store import Sample

NAME = "S003C002P008R002A060"


def joints(frames: int = 3, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(frames, 25, 3))
    return np.round(values, 5).astype(np.float32)


def content(values: np.ndarray, end: str = "\r\n") -> str:
    """A file of one body with these joints (frames, 25, 3)."""
    lines = [str(len(values))]
    for frame in values:
        lines += ["1", "72057594037931101 0 1 1 1 1 0 0.02764709 0.05745083 2", "25"]
        for x, y, z in frame.tolist():
            lines.append(f"{x:.7g} {y:.7g} {z:.7g} 277.4 191.8 1036.2 519.1 -0.2 0.05 0.9 -0.1 2")
    return end.join(lines) + end


def moved(values: np.ndarray) -> np.ndarray:
    """What a single body becomes."""
    own = (values - values[0, 1]).reshape(len(values), 75)
    return np.concatenate([own, np.zeros_like(own)], axis=1)


def in_folder(folder: Path, text: str, name: str = NAME) -> Path:
    place = folder / "nturgb+d_skeletons"
    place.mkdir(exist_ok=True)
    (place / f"{name}.skeleton").write_bytes(text.encode())
    return folder


def in_archive(folder: Path, text: str, name: str = NAME) -> Path:
    with zipfile.ZipFile(folder / "ntu.zip", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"nturgb+d_skeletons/{name}.skeleton", text)
    return folder / "ntu.zip"


both_forms = pytest.mark.parametrize("put", [in_folder, in_archive])


def samples(source: Path, edition: ntu.Edition = ntu.NTU, **options) -> list[Sample]:
    return [required(found) for found in ntu.read(source, edition, **options).samples]


@both_forms
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_one_file(tmp_path: Path, put, end: str) -> None:
    release = ntu.read(put(tmp_path, content(joints(), end)))
    assert isinstance(release, Release)
    assert release.count == 1
    assert release.origin_applied
    assert release.class_names == CLASSES[:60]
    assert release.description == "NTU RGB+D, 1 skeleton files"
    (sample,) = release.samples
    assert sample.name == NAME
    assert sample.label == 59
    assert sample.metadata == {"setup": 3, "camera": 2, "subject": 8, "replication": 2}
    assert sample.frames.dtype == np.float32
    np.testing.assert_array_equal(sample.frames, moved(joints()))


@both_forms
def test_order_is_by_name_and_other_files_are_ignored(tmp_path: Path, put) -> None:
    names = ["S002C001P001R001A001", "S001C003P002R001A050", "S001C003P002R001A007"]
    for seed, name in enumerate(names):
        source = put(tmp_path, content(joints(seed=seed)), name)
    put(tmp_path, "what a Mac leaves behind", f"._{NAME}")
    if put is in_folder:
        (tmp_path / "S001C001P001R001A001.skeleton.txt").write_text("x")
        (tmp_path / "deep" / "er").mkdir(parents=True)
        (tmp_path / "nturgb+d_skeletons" / f"{names[1]}.skeleton").rename(
            tmp_path / "deep" / "er" / f"{names[1]}.skeleton"
        )
    found = samples(source)
    assert [sample.name for sample in found] == sorted(names)
    np.testing.assert_array_equal(found[0].frames, moved(joints(seed=2)))


@both_forms
def test_missing_samples_and_those_of_the_other_edition_are_left_out(tmp_path: Path, put) -> None:
    missing = ["S001C002P005R002A008", "S019C001P046R001A075"]
    assert set(missing) <= ntu.missing()
    for name in (NAME, "S017C001P020R002A060", "S018C003P106R001A061", *missing):
        source = put(tmp_path, content(joints()) if name not in missing else "0\n", name)
    put(tmp_path, content(joints()), "S032C001P080R002A120")

    sixty = ntu.read(source)
    assert [sample.name for sample in sixty.samples] == [NAME, "S017C001P020R002A060"]
    assert sixty.description == (
        "NTU RGB+D, 2 skeleton files; 1 listed as missing skeletons left out; "
        "3 of other setups or actions left out"
    )
    all_120 = ntu.read_120(source)
    assert [sample.label for sample in all_120.samples] == [59, 59, 60, 119]
    assert all_120.count == 4
    assert all_120.class_names == CLASSES
    assert all_120.description == (
        "NTU RGB+D 120, 4 skeleton files; 2 listed as missing skeletons left out"
    )


def test_nothing_for_this_edition(tmp_path: Path) -> None:
    in_folder(tmp_path, content(joints()), "S018C003P106R001A061")
    with pytest.raises(UserError, match="has 1 skeleton files, but none that belongs to NTU RGB"):
        ntu.read(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["S001C001P001R001A001_", "S001C001P001R001", "S000C001P001R001A001",
     "S033C001P001R001A001", "S001C004P001R001A001", "S001C001P107R001A001",
     "S001C001P001R003A001", "S001C001P001R001A121", "S001C001P001R001A000",
     "S001C001P001R001A001 (1)", "S٠٠1C001P001R001A001"],
)  # fmt: skip
def test_a_name_that_no_sample_can_have(tmp_path: Path, name: str) -> None:
    assert ntu.code(name) is None
    in_folder(tmp_path, content(joints()), name)
    in_folder(tmp_path, content(joints()))
    release = ntu.read(tmp_path)
    bad, good = release.samples
    assert isinstance(bad, BadSample)
    assert bad.name == f"nturgb+d_skeletons/{name}.skeleton"
    assert re.search(r"\.skeleton is not called like S001C001.* prepare ntu", str(bad.error))
    assert (good.name, release.count) == (NAME, 2)


def test_the_same_name_twice(tmp_path: Path) -> None:
    in_folder(tmp_path, content(joints()))
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / f"{NAME}.skeleton").write_text(content(joints()))
    says = rf"nturgb\+d_skeletons/{NAME}\.skeleton is the same sample as .*copy/{NAME}\.skeleton"
    with pytest.raises(UserError, match=says):
        ntu.read(tmp_path)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no file called like S001C001P001R001A001"):
        ntu.read(tmp_path)
    with pytest.raises(UserError, match=r"nowhere does not exist: .* data prepare ntu120 --source"):
        ntu.read_120(tmp_path / "nowhere")


BROKEN = [
    (content(joints())[:-30], "line 85 has"),
    ("2\n0\n0\n", "has no body in any frame"),
    (content(np.zeros((2, 25, 3), np.float32)), "has nothing but zeros"),
    ("", "is empty"),
]


@both_forms
@pytest.mark.parametrize(("text", "says"), BROKEN)
def test_a_broken_file_is_named(tmp_path: Path, put, text: str, says: str) -> None:
    source = put(tmp_path, text)
    with pytest.raises(UserError, match=rf"{NAME}\.skeleton .*{says}.*data prepare ntu --source"):
        samples(source)


@both_forms
@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.few(1)
def test_bad_samples_stand_in_their_places(tmp_path: Path, put, processes: int) -> None:
    for number in range(1, 41):
        text = "1\n0\n" if number in (3, 33, 40) else content(joints(seed=number))
        source = put(tmp_path, text, f"S001C001P001R001A{number:03d}")
    found = list(ntu.read(source, processes=processes).samples)
    assert [sample.name[-3:] for sample in found] == [f"{number:03d}" for number in range(1, 41)]
    bad = [sample for sample in found if isinstance(sample, BadSample)]
    assert [sample.name[-3:] for sample in bad] == ["003", "033", "040"]
    for sample in bad:
        assert sample.reason.endswith(f"{sample.name}.skeleton has no body in any frame")
        assert str(sample.error) == f"{sample.reason}: {sample.error.remedy}"


@both_forms
@pytest.mark.few(1)
def test_several_processes_read_the_same(tmp_path: Path, put) -> None:
    for number in range(1, 101):
        name = f"S001C001P001R{1 + number // 60:03d}A{1 + number % 60:03d}"
        source = put(tmp_path, content(joints(1 + number % 5, seed=number)), name)
    one, two = samples(source, processes=1), samples(source, processes=2)
    assert len(one) == len(two) == 100
    for a, b in zip(one, two, strict=True):
        assert a[::2] == b[::2]
        assert a.metadata == b.metadata
        np.testing.assert_array_equal(a.frames, b.frames)


def test_folder_and_archive_make_the_same_store(tmp_path: Path) -> None:
    for number in (1, 2, 60):
        name = f"S001C001P001R001A{number:03d}"
        in_folder(tmp_path, content(joints(seed=number)), name)
        in_archive(tmp_path, content(joints(seed=number)), name)
    of_folder = catalog.prepare(tmp_path / "f", "ntu", tmp_path / "nturgb+d_skeletons")
    of_archive = catalog.prepare(tmp_path / "a", "ntu", tmp_path / "ntu.zip")
    assert of_folder.content_digest == of_archive.content_digest
    assert of_folder.origin_applied
    assert of_folder.input_size == 150
    assert of_folder.source == "NTU RGB+D, 3 skeleton files"


@pytest.mark.parametrize("member", ["../evil.skeleton", "/etc/x", "a/../../evil.txt"])
def test_a_member_that_would_leave_its_folder(tmp_path: Path, member: str) -> None:
    path = in_archive(tmp_path, content(joints()))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, content(joints()))
    with pytest.raises(UserError, match="would leave its folder"):
        ntu.read(path)


def test_a_member_that_is_a_link(tmp_path: Path) -> None:
    path = tmp_path / "ntu.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo(f"{NAME}.skeleton")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(UserError, match=rf"{NAME}\.skeleton is a link, not a file"):
        samples(path)


def test_a_damaged_and_an_encrypted_member(tmp_path: Path) -> None:
    path = in_archive(tmp_path, content(joints(30)))
    whole = path.read_bytes()
    path.write_bytes(whole[:200] + bytes(30) + whole[230:])
    with pytest.raises(UserError, match=rf"{NAME}\.skeleton cannot be unpacked"):
        samples(path)
    central = whole.rindex(b"PK\x01\x02")
    flags = central + 8
    path.write_bytes(whole[:flags] + b"\x01" + whole[flags + 1 :])
    with pytest.raises(UserError, match=rf"{NAME}\.skeleton is encrypted"):
        samples(path)
    path.write_bytes(whole[:-40])
    with pytest.raises(UserError, match=r"is cut short \(.*: fetch"):
        samples(path)


def test_capital_and_small_letters_are_the_same(tmp_path: Path) -> None:
    """As systems leave names that do not tell them apart; the sample's own name stays."""
    in_folder(tmp_path, content(joints()))
    folder = tmp_path / "nturgb+d_skeletons"
    (folder / f"{NAME}.skeleton").rename(folder / f"{NAME.lower()}.SKELETON")
    assert [sample.name for sample in samples(tmp_path)] == [NAME]


def test_a_byte_order_mark_is_no_part_of_the_first_number(tmp_path: Path) -> None:
    in_folder(tmp_path, content(joints()))
    (expected,) = samples(tmp_path)
    path = tmp_path / "nturgb+d_skeletons" / f"{NAME}.skeleton"
    plain = path.read_bytes()
    path.write_bytes(b"\xef\xbb\xbf" + plain)
    (found,) = samples(tmp_path)
    assert (found.frames == expected.frames).all()
    path.write_bytes(plain.decode().encode("utf-16"))
    with pytest.raises(UserError, match=rf"{NAME}\.skeleton is a text in UTF-16, not in UTF-8"):
        samples(tmp_path)


def test_a_file_that_vanishes_while_others_are_read(tmp_path: Path) -> None:
    for number in (1, 2):
        in_folder(tmp_path, content(joints()), f"S001C001P001R001A{number:03d}")
    release = ntu.read(tmp_path)
    (tmp_path / "nturgb+d_skeletons" / "S001C001P001R001A002.skeleton").unlink()
    _, bad = release.samples
    with pytest.raises(UserError, match=r"A002\.skeleton"):
        required(bad)


def test_layout() -> None:
    assert len(JOINTS) == len(set(JOINTS)) == 25
    assert {joint for bone in BONES for joint in bone} == set(range(25))
    assert len(BONES) == len(set(BONES)) == 24
    assert ntu.LAYOUT["joints"] == [*JOINTS, *JOINTS]
    assert len(ntu.LAYOUT["bones"]) == 48
    assert max(max(bone) for bone in ntu.LAYOUT["bones"]) == 49
    assert ntu.LAYOUT["origin"] == 1
    assert JOINTS[20] == "shoulder centre"


def test_classes() -> None:
    assert len(CLASSES) == len(set(CLASSES)) == 120
    numbered = {1: "drink water", 27: "jump up", 43: "falling", 58: "handshaking"}
    numbered |= {60: "walking apart from each other", 61: "put on headphone", 99: "running on the"}
    numbered |= {80: "squat down", 103: "yawn", 112: "high-five", 120: "finger-guessing game"}
    for number, name in numbered.items():
        assert CLASSES[number - 1].startswith(name)
