"""Northwestern-UCLA: the real release, and small files in its format, whole and broken."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.data import catalog
from eleatt_bench.data.protocols import split
from eleatt_bench.data.release import required
from eleatt_bench.data.sources import nucla
from eleatt_bench.data.store import Sample, SequenceStore

NAME = "a08_s03_e01_v02"
FRAMES = np.random.default_rng(0).normal(size=(4, 20, 3)).round(4).tolist()


def content(name: str = NAME, **changes) -> str:
    labels = {"a08": 7, "a01": 1}
    return json.dumps(
        {"file_name": name, "skeletons": FRAMES, "label": labels.get(name[:3], 1), **changes}
    )


def in_folder(folder: Path, text: str, name: str = NAME) -> Path:
    (folder / "all_sqe").mkdir(exist_ok=True)
    (folder / "all_sqe" / f"{name}.json").write_text(text)
    return folder


def in_archive(folder: Path, text: str, name: str = NAME) -> Path:
    with zipfile.ZipFile(folder / "all_sqe.zip", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"all_sqe/{name}.json", text)
    return folder / "all_sqe.zip"


both_forms = pytest.mark.parametrize("put", [in_folder, in_archive])


def samples(source: Path) -> list[Sample]:
    return [required(found) for found in nucla.read(source).samples]


@both_forms
def test_one_file(tmp_path: Path, put) -> None:
    (sample,) = samples(put(tmp_path, content()))
    assert sample.name == NAME
    assert sample.label == 6
    assert list(nucla.CLASSES.values())[sample.label] == "donning"
    assert sample.metadata == {"action": 8, "subject": 3, "episode": 1, "camera": 2}
    np.testing.assert_array_equal(sample.frames, np.float32(FRAMES).reshape(4, 60))


@both_forms
def test_order_is_by_file_name_and_other_files_are_ignored(tmp_path: Path, put) -> None:
    names = ["a12_s01_e00_v01", "a01_s10_e00_v03", "readme", "a01_s02_e00_v03", "xa01_s02_e00_v03"]
    for name in names:
        source = put(tmp_path, json.dumps({"skeletons": FRAMES}), name)
    assert [s.name for s in samples(source)] == [names[3], names[1], names[0]]
    assert nucla.read(source).count == 3


def test_folder_and_archive_make_the_same_store(tmp_path: Path) -> None:
    for name in (NAME, "a01_s01_e01_v03"):
        in_folder(tmp_path, content(name), name)
        in_archive(tmp_path, content(name), name)
    of_folder = catalog.prepare(tmp_path / "f", "nucla", tmp_path / "all_sqe")
    of_archive = catalog.prepare(tmp_path / "a", "nucla", tmp_path / "all_sqe.zip")
    assert of_folder.names == of_archive.names == ("a01_s01_e01_v03", NAME)
    assert of_folder.content_digest == of_archive.content_digest


@both_forms
@pytest.mark.parametrize(
    ("text", "says"),
    [
        (content()[:-9], "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[1, 2]", "has no key 'skeletons'"),
        ("{}", "has no key 'skeletons'"),
        (content(skeletons=[]), "has no frames"),
        (content(skeletons=[FRAMES[0][:19]]), "with 19 in place of 20 joints"),
        (content(skeletons=[FRAMES[0], FRAMES[0][:19]]), "with 19 in place of 20 joints"),
        (content(skeletons=[[["a", 0, 0]] * 20]), "not frames × 20 × 3 numbers"),
        (content(skeletons="x"), "not frames × 20 × 3 numbers"),
        (content(skeletons=3), "not frames × 20 × 3 numbers"),
        (content(skeletons=[[["0.1", 0, 0]] * 20]), "not frames × 20 × 3 numbers"),
        (content(skeletons=[[[10**400, 0, 0]] * 20]), "not frames × 20 × 3 numbers"),
        (content(skeletons=[[[True, False, True]] * 20]), "not frames × 20 × 3 numbers"),
        (content(skeletons=[[[float("nan"), 0, 0]] * 20]), "is not a number within"),
        (content(skeletons=[[[float("inf"), 0, 0]] * 20]), "is not a number within"),
        (content(skeletons=[[[1e300, 0, 0]] * 20]), "is not a number within"),
        (content(skeletons=[[[None, 0, 0]] * 20]), "not frames × 20 × 3 numbers"),
        (content(label=8), "says label 8, its name says 7"),
        (content(file_name="a09_s03_e01_v02"), "says file_name 'a09_s03_e01_v02', its name says"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, put, text: str, says: str) -> None:
    source = put(tmp_path, text)
    with pytest.raises(UserError, match=rf"{NAME}\.json .*{says}.*data prepare nucla --source"):
        catalog.prepare(tmp_path / "out", "nucla", source)
    assert not (tmp_path / "out" / "prepared" / "nucla.h5").exists()


@pytest.mark.parametrize("name", ["a07_s01_e00_v01", "a01_s01_e00_v04"])
def test_an_action_or_camera_that_does_not_exist(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=rf"{name}\.json names action"):
        samples(in_folder(tmp_path, content(), name))


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    in_folder(tmp_path, "x")
    (tmp_path / "all_sqe" / f"{NAME}.json").write_bytes(b'{"skeletons": "\xff\xfe\xfa"}')
    with pytest.raises(UserError, match="is not JSON"):
        samples(tmp_path)


def test_the_same_name_twice(tmp_path: Path) -> None:
    in_folder(tmp_path, content())
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / f"{NAME}.json").write_text(content())
    says = rf"copy/{NAME}\.json is the same sequence as .*all_sqe/{NAME}\.json: keep one of them"
    with pytest.raises(UserError, match=says):
        nucla.read(tmp_path)


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99])
def test_an_archive_cut_short(tmp_path: Path, kept: float) -> None:
    path = in_archive(tmp_path, content())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept if kept >= 1 else kept * len(whole))])
    with pytest.raises(UserError, match=r"all_sqe\.zip is (?:cut short|empty).*: fetch all_sqe"):
        nucla.read(path)


def test_a_damaged_member(tmp_path: Path) -> None:
    path = in_archive(tmp_path, content())
    damaged = bytearray(path.read_bytes())
    damaged[200:230] = bytes(30)
    path.write_bytes(damaged)
    with pytest.raises(UserError, match=rf"{NAME}\.json cannot be unpacked"):
        samples(path)


@pytest.mark.parametrize("member", ["../a01_s01_e00_v01.json", "/etc/x", "a/../../evil.txt"])
def test_a_member_that_would_leave_its_folder(tmp_path: Path, member: str) -> None:
    path = in_archive(tmp_path, content())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, content())
    with pytest.raises(UserError, match=f"has a member '{member}' that would leave its folder"):
        nucla.read(path)


def test_nothing_of_that_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no file called like a01_s01_e00_v01\.json"):
        nucla.read(tmp_path)
    with pytest.raises(UserError, match=r"nowhere\.zip does not exist"):
        nucla.read(tmp_path / "nowhere.zip")


def test_layout() -> None:
    assert len(nucla.JOINTS) == len(set(nucla.JOINTS)) == 20
    assert nucla.LAYOUT["origin"] == 1
    assert {joint for bone in nucla.BONES for joint in bone} == set(range(20))
    assert len(nucla.BONES) == 19


def test_the_real_release(real_nucla: SequenceStore) -> None:
    assert len(real_nucla.labels) == 1484
    assert np.bincount(real_nucla.metadata["camera"]).tolist() == [0, 516, 504, 464]
    assert (real_nucla.lengths.min(), real_nucla.lengths.max()) == (1, 201)
    assert real_nucla.num_classes == 10
    assert list(real_nucla.names) == sorted(real_nucla.names)
    assert set(real_nucla.metadata["subject"]) == set(range(1, 11))
    actions = np.array(list(nucla.CLASSES))
    np.testing.assert_array_equal(actions[real_nucla.labels], real_nucla.metadata["action"])


def test_no_frame_of_what_is_held_out_is_trained_on(real_nucla: SequenceStore) -> None:
    frames = [frame.tobytes() for frame in np.asarray(real_nucla.frames)]

    def shared(protocol: str) -> tuple[int, int, set[str]]:
        """How many sequences train and test, and which of these share frames with the former."""
        parts = split(real_nucla, protocol)
        ends = real_nucla.offsets
        learnt = {f for i in (*parts.train, *parts.val) for f in frames[ends[i] : ends[i + 1]]}
        test = parts.test if parts.clean is None else parts.test[parts.clean]
        found = [i for i in test if not learnt.isdisjoint(frames[ends[i] : ends[i + 1]])]
        return len(parts.train) + len(parts.val), len(test), {real_nucla.names[i] for i in found}

    assert shared("cross_view_dev") == (516, 399, set())
    assert shared("cross_view") == (1020, 369, set()), "the clean ones"


def test_the_real_joints_are_where_their_names_say(real_nucla: SequenceStore) -> None:
    height = dict(zip(nucla.JOINTS, np.median(real_nucla.frames[:, 1::3], axis=0), strict=True))
    order = ["head", "shoulder centre", "spine", "hip centre", "left knee", "left ankle"]
    assert sorted(order, key=lambda joint: -height[joint]) == order
    joints = np.asarray(real_nucla.frames).reshape(-1, 20, 3)
    bones = [np.median(np.linalg.norm(joints[:, a] - joints[:, b], axis=1)) for a, b in nucla.BONES]
    assert 0.02 < min(bones) < max(bones) < 0.6  # metres
