"""SYSU 3D HOI: a release of 480 small files in its format, whole and broken."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.release import required
from eleatt_bench.data.sources import sysu
from eleatt_bench.data.sources.archive import Source
from eleatt_bench.data.store import Sample

COMMAND = "eleatt-bench data prepare sysu"
SOURCE = Source(Path("/3DvideoNorm"), "3DvideoNorm", f"{COMMAND} --source PATH")
# As text, 10 comes before 2; by rank, the subjects are 1 to 40 all the same.
FOLDERS = [str(2 * n) for n in range(1, 41)]


def values(subject: int, action: int) -> np.ndarray:
    """SW (20, 3, T) of the sequence of a subject and an action, both from 1 on."""
    shape = (20, 3, 1 + (subject + action) % 3)
    return np.random.default_rng([subject, action]).normal(size=shape)


def matlab_5(array: np.ndarray, name: str = "SW") -> bytes:
    file = io.BytesIO()
    savemat(file, {name: array}, do_compression=True)
    return file.getvalue()


def matlab_73(array: np.ndarray, name: str = "SW") -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w", userblock_size=512) as hdf5:
        hdf5[name] = array.T
        hdf5[name].attrs["MATLAB_class"] = np.bytes_("double")
    return b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + file.getvalue()[128:]


def write(top: Path, folders: list[str]) -> Path:
    for subject, folder in enumerate(folders, start=1):
        for action in range(1, 13):
            video = top / folder / f"video{action}"
            video.mkdir(parents=True)
            form = matlab_73 if action % 4 == 0 else matlab_5
            (video / "sklWorld.mat").write_bytes(form(values(subject, action)))
            (video / "sklImage.mat").write_bytes(b"not read")
    return top


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("sysu") / "3DvideoNorm", FOLDERS)


@pytest.fixture
def release(whole: Path, tmp_path: Path) -> Path:
    """A copy, to be broken."""
    return Path(shutil.copytree(whole, tmp_path / "3DvideoNorm"))


def samples(path: Path) -> list[Sample]:
    return [required(found) for found in sysu.read(path).samples]


@pytest.mark.parametrize("form", ["folder", "folder above", "archive", "archive of the inside"])
@pytest.mark.few(1)
def test_every_number_is_where_the_file_has_it(whole: Path, tmp_path: Path, zipped, form) -> None:
    if form == "archive of the inside":
        path = Path(shutil.make_archive(str(tmp_path / "inside"), "zip", whole))
    else:
        path = {"folder": whole, "folder above": whole.parent}.get(form) or zipped(whole)
    found = samples(path)
    assert sysu.read(path).count == len(found) == 480
    expected = [(subject, action) for subject in range(1, 41) for action in range(1, 13)]
    for sample, (subject, action) in zip(found, expected, strict=True):
        written = values(subject, action)
        assert sample.name == f"s{subject:02d}_a{action:02d}"
        assert sample.label == action - 1
        assert sample.metadata == {"subject": subject, "action": action}
        assert sample.frames.shape == (written.shape[2], 60)
        assert sample.frames.dtype == np.float32
        if action in (3, 4):  # one of either version
            for t in range(written.shape[2]):
                for joint in range(20):
                    for axis in range(3):
                        expect = np.float32(written[joint, axis, t])
                        assert sample.frames[t, 3 * joint + axis] == expect


def test_subjects_by_name(tmp_path: Path) -> None:
    folders = [f"{letter}{n}" for letter in "Zab" for n in range(10, 24)][:40]
    assert folders == sorted(folders)
    found = samples(write(tmp_path, folders))
    assert len(found) == 480
    for sample in found:
        written = values(sample.metadata["subject"], sample.metadata["action"])
        np.testing.assert_array_equal(sample.frames[0, 3:6], np.float32(written[1, :, 0]))


def test_other_folders_are_left_alone_beside_3dvideonorm(release: Path) -> None:
    other = release.parent / "3Dvideo" / "2" / "video1"
    other.mkdir(parents=True)
    (other / "sklWorld.mat").write_bytes(matlab_5(values(7, 7)))
    assert len(samples(release.parent)) == 480


def test_a_sequence_that_is_missing(refused, release: Path) -> None:
    (release / "8" / "video12" / "sklWorld.mat").unlink()
    refused(sysu, release, r"3DvideoNorm has no 8/video12/sklWorld\.mat: fetch")


@pytest.mark.parametrize("count", [0, 39, 41])
@pytest.mark.few(1)
def test_other_than_forty_subjects(refused, release: Path, count: int) -> None:
    if count == 41:
        shutil.copytree(release / "2", release / "1")
    for folder in FOLDERS[count:]:
        shutil.rmtree(release / folder)
    nothing = r"has no file called like SUBJECT/video1/sklWorld\.mat \(it holds nothing\): give"
    few = rf"and the like of {count} subjects, not of 40: fetch"
    refused(sysu, release, few if count else nothing)


def test_the_same_sequence_twice(release: Path) -> None:
    shutil.copytree(release / "2" / "video1", release / "copy" / "2" / "video01")
    with pytest.raises(UserError, match=r"is the same sequence as .*: keep one of them, then elea"):
        sysu.read(release)


@pytest.mark.parametrize("folder", ["2/video0", "2/video13", "2/videoX", "2", "video1", "."])
@pytest.mark.few(2)
def test_names_that_do_not_parse(refused, release: Path, folder: str) -> None:
    (release / folder).mkdir(exist_ok=True)
    shutil.copy(release / "2/video2/sklWorld.mat", release / folder)
    if folder == "video1":  # of a subject's folder, given by itself
        refused(sysu, release / "2", r"sklWorld\.mat is not in a folder like SUBJECT/vid")
    else:
        refused(sysu, release, r"sklWorld\.mat is not in a folder like SUBJECT/video1 … v")


def with_value(value: float) -> np.ndarray:
    array = values(1, 4).copy()
    array[7, 1, 1] = value
    return array


@pytest.mark.parametrize("form", [matlab_5, matlab_73])
@pytest.mark.parametrize(
    ("array", "says"),
    [
        (with_value(np.nan), r"sklWorld\.mat frame 2 holds a coordinate that is not a number wi"),
        (with_value(-np.inf), "frame 2 holds a coordinate that is not a number within ±100 metres"),
        (with_value(100.5), "frame 2 holds a coordinate that is not a number within ±100 metres"),
        (with_value(1e300), "frame 2 holds a coordinate that is not a number within ±100 metres"),
        (values(1, 4)[:19], r"has a variable SW of shape \(19, 3, 3\), not \(20, 3, n\)"),
        (values(1, 4).transpose(2, 1, 0), r"has a variable SW of shape \(3, 3, 20\), not"),
        (values(1, 4)[:, :, :0], "has a variable SW that is empty"),
        (values(1, 4).astype(int), "has a variable SW that is not of real floating-point numbers"),
    ],
)
def test_a_broken_variable(one_sentence, form, array: np.ndarray, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        sysu.parse(SOURCE, "sklWorld.mat", form(array))
    one_sentence(caught.value, COMMAND)


@pytest.mark.parametrize("form", [matlab_5, matlab_73])
def test_another_variable(form) -> None:
    with pytest.raises(UserError, match=r"^x\.mat has no variable SW: fetch 3DvideoNorm again"):
        sysu.parse(SOURCE, "x.mat", form(values(1, 1), name="S"))


def test_a_broken_file_is_named(refused, release: Path) -> None:
    path = release / "6" / "video5" / "sklWorld.mat"
    path.write_bytes(path.read_bytes()[:-9])
    refused(sysu, release, r"6/video5/sklWorld\.mat is cut short")
    path.write_text("0.1 0.2 0.3\n" * 60)
    refused(sysu, release, r"6/video5/sklWorld\.mat is not a file of MATLAB 5 or 7.3")
    path.write_bytes(b"")
    refused(sysu, release, r"6/video5/sklWorld\.mat is not a file of MATLAB 5 or 7.3")


@pytest.mark.parametrize("form", [matlab_5, matlab_73])
@settings(deadline=None)
@given(data=st.data())
def test_damage_is_refused_in_words(damaged, one_sentence, form, data) -> None:
    content = data.draw(damaged(form(values(1, 1))))
    try:
        frames = sysu.parse(SOURCE, "x.mat", content)
    except UserError as error:
        one_sentence(error, COMMAND)
    else:
        assert frames.shape[1] == 60
        assert (np.abs(frames) <= 100).all()


def test_classes() -> None:
    assert len(set(sysu.CLASSES)) == 12
