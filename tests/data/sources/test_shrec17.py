"""SHREC'17 Track: small releases in its format, whole and broken, and its official lists."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.release import required
from eleatt_bench.data.sources import hand, shrec17
from eleatt_bench.data.store import Sample
from eleatt_bench.data.writing import write_store

TRAIN = ["1 1 2 1 1 1 3", "14 2 10 11 14 28 1"]
TEST = ["1 2 3 4 1 2 2"]


def values(line: str) -> np.ndarray:
    """The coordinates (T, 22, 3) that the trial of a list's line is written with."""
    numbers = [int(word) for word in line.split()]
    return np.random.default_rng(numbers).normal(size=(numbers[6], 22, 3)).round(6)


def trial(top: Path, line: str) -> Path:
    """Where the trial of a list's line lies."""
    gesture, finger, subject, essai, *_ = line.split()
    folder = top / f"gesture_{gesture}/finger_{finger}/subject_{subject}/essai_{essai}"
    return folder / "skeletons_world.txt"


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return make(tmp_path, "\n")


def make(folder: Path, end: str) -> Path:
    top = folder / "HandGestureDataset_SHREC2017"
    for line in TRAIN + TEST:
        path = trial(top, line)
        path.parent.mkdir(parents=True)
        frames = values(line).reshape(-1, 66).tolist()
        text = "".join(" ".join(f"{v:.6f}" for v in frame) + end for frame in frames)
        path.write_text(text, newline="")
        (path.parent / "skeletons_image.txt").write_text("not read")
        (path.parent / "0_depth.png").write_bytes(b"not read")
    write_list(top, "train", TRAIN, end)
    write_list(top, "test", TEST, end)
    return top


def write_list(top: Path, part: str, lines: list[str], end: str = "\n") -> None:
    (top / f"{part}_gestures.txt").write_text("".join(line + end for line in lines), newline="")


def samples(path: Path) -> list[Sample]:
    return [required(found) for found in shrec17.read(path).samples]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("form", ["folder", "folder above", "archive"])
def test_every_number_is_where_the_file_has_it(tmp_path: Path, zipped, end: str, form: str) -> None:
    top = make(tmp_path, end)
    path = {"folder": top, "folder above": tmp_path}.get(form) or zipped(top)
    found = samples(path)
    lines = [TRAIN[0], TEST[0], TRAIN[1]]  # by gesture, finger, subject, essai
    assert [s.name for s in found] == ["g01_f1_s02_e01", "g01_f2_s03_e04", "g14_f2_s10_e11"]
    for sample, line in zip(found, lines, strict=True):
        written = values(line)
        assert sample.frames.shape == (len(written), 66)
        assert sample.frames.dtype == np.float32
        for t in range(len(written)):
            for joint in range(22):
                for axis in range(3):
                    expected = np.float32(f"{written[t, joint, axis]:.6f}")
                    assert sample.frames[t, 3 * joint + axis] == expected
    assert [s.label for s in found] == [0, 0, 13]
    assert [s.metadata for s in found] == [
        {"subject": 2, "finger": 1, "essai": 1, "label_14": 0, "label_28": 0, "split": 0},
        {"subject": 3, "finger": 2, "essai": 4, "label_14": 0, "label_28": 1, "split": 1},
        {"subject": 10, "finger": 2, "essai": 11, "label_14": 13, "label_28": 27, "split": 0},
    ]


def test_folder_and_archive_make_the_same_store(tmp_path: Path, release: Path, zipped) -> None:
    digests = []
    for path in (release, zipped(release)):
        read = shrec17.read(path)
        store = write_store(
            tmp_path / "store.h5",
            name="shrec17",
            samples=read.samples,
            class_names=read.class_names,
            layout=read.layout,
            source=read.description,
            total=read.count,
        )
        assert len(store.labels) == read.count == 3
        digests.append(store.content_digest)
    assert digests[0] == digests[1]


def test_a_listed_trial_that_is_missing(refused, release: Path) -> None:
    trial(release, TEST[0]).unlink()
    says = rf"test_gestures\.txt line 1 names trial g01_f2_s03_e04, which {release} does not hold"
    refused(shrec17, release, says)


def test_a_trial_in_no_list(refused, release: Path) -> None:
    write_list(release, "train", TRAIN[:1])
    refused(shrec17, release, "essai_11/skeletons_world.txt is trial g14_f2_s10_e11, which no")


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_list_that_is_missing(refused, release: Path, part: str) -> None:
    (release / f"{part}_gestures.txt").unlink()
    refused(shrec17, release, f"SHREC2017 has no {part}_gestures.txt")


def test_a_list_that_is_there_twice(release: Path) -> None:
    (release / "copy").mkdir()
    write_list(release / "copy", "train", TRAIN)
    with pytest.raises(UserError, match=r"has 2 files called train_gestures\.txt"):
        samples(release)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], "train_gestures.txt is empty"),
        ([*TRAIN, TRAIN[0]], "line 3 names trial g01_f1_s02_e01 again, after .*train.* line 1"),
        ([*TRAIN, TEST[0]], r"test_gestures\.txt line 1 names .* again, after .*train.* line 3"),
        (["1 1 2 1 2 1 3", TRAIN[1]], "line 1 gives labels 2 and 1 to gesture 1, finger 1, which"),
        (["1 1 2 1 1 15 3", TRAIN[1]], "line 1 gives labels 1 and 15 .*, which are 1 and 1"),
        (["15 1 2 1 1 1 3", TRAIN[1]], "line 1 names gesture 15, .* does not exist"),
        (["1 1 29 1 1 1 3", TRAIN[1]], "line 1 names .* subject 29, .* does not exist"),
        (["1 1 2 1 1 1", TRAIN[1]], "line 1 has 6 numbers, not 7"),
        (["1 1 2 1 1 1 x", TRAIN[1]], "line 1 holds 'x', which is not a whole number"),
        (["1 1 2 1 1 1 4", TRAIN[1]], r"essai_1/skeletons_world\.txt has 3 frames where .* says 4"),
        (["1 1 2 1 1 1 0", TRAIN[1]], "has 3 frames where .*train_gestures.txt line 1 says 0"),
    ],
)
def test_a_broken_list(refused, release: Path, lines: list[str], says: str) -> None:
    write_list(release, "train", lines)
    refused(shrec17, release, says)


def test_broken_trials(refused, release: Path) -> None:
    path = trial(release, TRAIN[0])
    whole = path.read_text()
    path.write_text(whole[: whole.index("\n") + 1])
    refused(shrec17, release, r"essai_1/skeletons_world\.txt has 1 frames where .* says 3")
    path.write_text(whole[:-20])
    refused(shrec17, release, r"essai_1/skeletons_world\.txt line 3 has 6[45] numbers, not 66")
    path.write_text(whole.replace(".", ",", 1))
    refused(shrec17, release, "skeletons_world.txt line 1 holds '.*,.*', which is not a num")
    (release / "skeletons_world.txt").write_text(whole)
    refused(shrec17, release, "SHREC2017/skeletons_world.txt is not in a folder like gesture")


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no file called like gesture_1/.*: give HandGesture"):
        shrec17.read(tmp_path)
    with pytest.raises(UserError, match="nowhere does not exist: give HandGesture"):
        shrec17.read(tmp_path / "nowhere")


def test_classes() -> None:
    assert len(set(shrec17.CLASSES_14)) == 14
    assert len(set(hand.classes_28(shrec17.CLASSES_14))) == 28


@pytest.fixture(scope="module")
def with_official_lists(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive with the official lists, and as many frames of nothing as these say."""
    lists = [published / "shrec17" / name for name in shrec17.LISTS]
    if not all(path.exists() for path in lists):
        pytest.skip(f"no official lists in {published / 'shrec17'}")
    archive = tmp_path_factory.mktemp("shrec17") / "SHREC2017.zip"
    frame = b"0 " * 65 + b"0\n"
    with zipfile.ZipFile(archive, "w") as file:
        for path in lists:
            file.write(path, path.name)
            for line in path.read_text().splitlines():
                file.writestr(str(trial(Path("top"), line)), frame * int(line.split()[6]))
    return archive


@pytest.mark.slow
def test_the_official_lists(with_official_lists: Path) -> None:
    read = shrec17.read(with_official_lists)
    assert read.count == 2800
    found = list(read.samples)
    columns = {key: np.array([s.metadata[key] for s in found]) for key in found[0].metadata}
    assert np.bincount(columns["split"]).tolist() == [1960, 840]
    train, test = (set(columns["subject"][columns["split"] == part]) for part in (0, 1))
    assert train | test == set(range(1, 29))
    assert not train & test
    for part in (0, 1):
        counts = np.bincount(columns["label_28"][columns["split"] == part], minlength=28)
        assert counts.min() > 0
    lengths = [len(sample.frames) for sample in found]
    assert (min(lengths), max(lengths)) == (7, 171)
