"""DHG-14/28: small releases in its format, whole and broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.release import required
from eleatt_bench.data.sources import dhg, hand
from eleatt_bench.data.store import Sample

FRAMES = 6  # of every recording
LINES = ["1 1 2 1 1 3", "1 2 20 5 0 5", "14 1 3 2 5 5"]


def values(line: str) -> np.ndarray:
    """The coordinates (T, 22, 3) that the whole recording of a list's line is written with."""
    seed = [int(word) for word in line.split()[:4]]
    return np.random.default_rng(seed).normal(size=(FRAMES, 22, 3)).round(6)


def trial(top: Path, line: str) -> Path:
    """Where the recording of a list's line lies."""
    gesture, finger, subject, essai, *_ = line.split()
    folder = top / f"gesture_{gesture}/finger_{finger}/subject_{subject}/essai_{essai}"
    return folder / "skeleton_world.txt"


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return make(tmp_path, "\n")


def make(folder: Path, end: str) -> Path:
    top = folder / "DHG2016"
    for line in LINES:
        path = trial(top, line)
        path.parent.mkdir(parents=True)
        frames = values(line).reshape(-1, 66).tolist()
        text = "".join(" ".join(f"{v:.6f}" for v in frame) + end for frame in frames)
        path.write_text(text, newline="")
        (path.parent / "general_information.txt").write_text("not read")
    write_list(top, LINES, end)
    return top


def write_list(top: Path, lines: list[str], end: str = "\n") -> None:
    (top / dhg.LIST).write_text("".join(line + end for line in lines), newline="")


def samples(path: Path) -> list[Sample]:
    return [required(found) for found in dhg.read(path).samples]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("form", ["folder", "folder above", "archive"])
def test_every_number_is_where_the_file_has_it(tmp_path: Path, zipped, end: str, form: str) -> None:
    top = make(tmp_path, end)
    path = {"folder": top, "folder above": tmp_path}.get(form) or zipped(top)
    found = samples(path)
    assert dhg.read(path).count == 3
    assert [s.name for s in found] == ["g01_f1_s02_e01", "g01_f2_s20_e05", "g14_f1_s03_e02"]
    for sample, line in zip(found, LINES, strict=True):
        written = values(line)
        first, last = (int(word) for word in line.split()[4:])
        row = 0
        for t in range(FRAMES):
            if not first <= t <= last:
                continue
            for joint in range(22):
                for axis in range(3):
                    expected = np.float32(f"{written[t, joint, axis]:.6f}")
                    assert sample.frames[row, 3 * joint + axis] == expected
            row += 1
        assert sample.frames.shape == (row, 66)
    assert [len(s.frames) for s in found] == [3, 6, 1]
    assert [s.label for s in found] == [0, 0, 13]
    assert [s.metadata for s in found] == [
        {"subject": 2, "finger": 1, "essai": 1, "label_14": 0, "label_28": 0},
        {"subject": 20, "finger": 2, "essai": 5, "label_14": 0, "label_28": 1},
        {"subject": 3, "finger": 1, "essai": 2, "label_14": 13, "label_28": 26},
    ]


def test_a_listed_trial_that_is_missing(refused, release: Path) -> None:
    trial(release, LINES[1]).unlink()
    says = rf"sequences\.txt line 2 names trial g01_f2_s20_e05, which {release} does not hold"
    refused(dhg, release, says)


def test_a_list_that_is_missing(refused, release: Path) -> None:
    (release / dhg.LIST).unlink()
    refused(dhg, release, f"DHG2016 has no {dhg.LIST}")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], "sequences.txt is empty"),
        (LINES[:2], r"essai_2/skeleton_world\.txt is trial g14_f1_s03_e02, which no list"),
        ([*LINES, LINES[1]], "line 4 names trial g01_f2_s20_e05 again, after .* line 2"),
        (["1 1 2 1 1 6", *LINES[1:]], r"has 6 frames where .* line 1 cuts 1 to 6, counted from 0"),
        (["1 1 2 1 4 3", *LINES[1:]], "line 1 cuts frames 4 to 3, which are none"),
        (["1 1 21 1 1 3", *LINES[1:]], "line 1 names .* subject 21, .* does not exist"),
        (["1 1 2 1 1", *LINES[1:]], "line 1 has 5 numbers, not 6"),
        (["1 1 2 1 1 -1", *LINES[1:]], "line 1 holds '-1', which is not a whole number"),
        (["1 1 2 1 1 end", *LINES[1:]], "line 1 holds 'end', which is not a whole number"),
    ],
)
def test_a_broken_list(refused, release: Path, lines: list[str], says: str) -> None:
    write_list(release, lines)
    refused(dhg, release, says)


def test_broken_trials(refused, release: Path) -> None:
    path = trial(release, LINES[1])
    whole = path.read_text()
    path.write_text(whole[: whole.rstrip().rindex("\n")])
    refused(dhg, release, r"skeleton_world\.txt has 5 frames where .* line 2 cuts 0 to 5")
    path.write_text(whole[:-20])
    refused(dhg, release, r"skeleton_world\.txt line 6 has 6[45] numbers, not 66")
    path.write_text(whole.replace(whole.split()[70], "NaN"))
    refused(dhg, release, r"skeleton_world\.txt line 2 holds a coordinate that is not")
    path.write_text("")
    refused(dhg, release, r"skeleton_world\.txt is empty")


def test_the_same_trial_twice(release: Path) -> None:
    copy = trial(release / "copy", LINES[0])
    copy.parent.mkdir(parents=True)
    copy.write_text("")
    with pytest.raises(UserError, match=r"is the same trial as .*: keep one of them, then eleatt"):
        dhg.read(release)


def test_classes() -> None:
    assert len(set(dhg.CLASSES_14)) == 14
    assert len(set(hand.classes_28(dhg.CLASSES_14))) == 28
