"""The videos of NTU RGB+D: which there are by their names, and which names are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.rgb import ntu_rgb
from eleatt_bench.data.sources import ntu

COMMAND = "eleatt-bench data features ntu_rgb --source VIDEOS --backbone resnet50"
NAMES = ["S001C001P001R001A001", "S017C003P020R002A060", "S005C002P018R001A032"]


@pytest.fixture
def release(tmp_path: Path) -> Path:
    top = tmp_path / "nturgb+d_rgb"
    top.mkdir()
    for name in NAMES:
        (top / f"{name}_rgb.avi").write_text(name)
    return top


def refused(path: Path, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        ntu_rgb.clips(path)
    text = str(caught.value)
    assert text.endswith(COMMAND), text
    assert ". " not in text, text


@pytest.mark.parametrize("zips", [False, True])
def test_a_name_says_everything(release: Path, zipped, zips: bool) -> None:
    found = ntu_rgb.clips(zipped(release) if zips else release)
    assert found.description == "NTU RGB+D, 3 videos"
    assert len(found.class_names) == 60
    assert [clip.name for clip in found.clips] == sorted(NAMES)
    assert [clip.label for clip in found.clips] == [0, 31, 59]
    assert [clip.metadata for clip in found.clips] == [
        {"subject": 1, "camera": 1, "setup": 1, "replication": 1},
        {"subject": 18, "camera": 2, "setup": 5, "replication": 1},
        {"subject": 20, "camera": 3, "setup": 17, "replication": 2},
    ]
    assert [clip.load().decode() for clip in found.clips] == sorted(NAMES)


def test_the_samples_are_those_that_have_skeletons(release: Path) -> None:
    for name in [*sorted(ntu.missing()), "S018C001P008R001A061", "S001C001P001R001A061"]:
        (release / f"{name}_rgb.avi").touch()
    found = ntu_rgb.clips(release)
    assert [clip.name for clip in found.clips] == sorted(NAMES)
    said = "NTU RGB+D, 3 videos; 302 listed as missing skeletons left out; 235 of other setups or"
    assert found.description.startswith(said)


@pytest.mark.parametrize(
    "name",
    [
        "S001C001P001R001A001.avi",
        "S001C001P001R001A001_depth.avi",
        "S001C004P001R001A001_rgb.avi",
        "S001C001P001R001A001_rgb_rgb.avi",
        "x.avi",
    ],
)
def test_a_name_that_no_clip_has(release: Path, name: str) -> None:
    (release / name).touch()
    refused(release, rf"{name} is not called like S001C001P001R001A001_rgb\.avi: fetch")


def test_nothing_of_this_data_set(release: Path, tmp_path: Path) -> None:
    for path in release.iterdir():
        path.unlink()
    refused(
        release, r"has no file called like S001C001P001R001A001_rgb\.avi \(it holds nothing\): give"
    )
    (release / "S018C001P008R001A061_rgb.avi").touch()
    refused(release, "has 1 videos, but none that NTU RGB.D has and keeps")
    refused(tmp_path / "nowhere", "nowhere does not exist")


def test_a_clip_that_is_there_twice(release: Path) -> None:
    (release / "copy").mkdir()
    (release / "copy" / f"{NAMES[0]}_rgb.avi").touch()
    refused(release, "is the same clip as .*: keep one of them, then eleatt-bench data features")
