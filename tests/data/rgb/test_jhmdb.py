"""JHMDB: small releases in its form, whole and broken, and its official lists."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.protocols import PROTOCOLS
from eleatt_bench.data.rgb import jhmdb
from eleatt_bench.data.rgb.jhmdb import CLASSES

COMMAND = "eleatt-bench data features jhmdb --source VIDEOS --splits PATH --backbone resnet50"
PARTS = {"walk_a_0": (1, 2, 1), "walk_(b)!_1": (2, 1, 1), "run_a_0": (1, 1, 2)}
ACTIONS = {name: name.split("_")[0] for name in PARTS}


@pytest.fixture
def release(tmp_path: Path) -> tuple[Path, Path]:
    return make(tmp_path)


def make(folder: Path, end: str = "\n") -> tuple[Path, Path]:
    videos, splits = folder / "ReCompress_Videos", folder / "splits"
    splits.mkdir()
    for action in CLASSES:
        for split in (1, 2, 3):
            named = [name for name in PARTS if ACTIONS[name] == action]
            lines = [f"{name}.avi {PARTS[name][split - 1]}{end}" for name in named]
            (splits / f"{action}_test_split{split}.txt").write_text("".join(lines), newline="")
    for name, action in ACTIONS.items():
        path = videos / action / f"{name}.avi"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"the video {name}")
    (videos / "walk" / "._walk_a_0.avi").touch()  # a system's own file
    (videos / "walk" / "notes.txt").touch()
    return videos, splits


def refused(release: tuple[Path, Path], says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        jhmdb.clips(*release)
    sentence(caught.value)


def sentence(error: UserError) -> None:
    text = str(error)
    assert text.endswith((f", then {COMMAND}", f"to {COMMAND}")), text
    assert text.isprintable(), text
    assert ". " not in text, text


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("zips", [False, True])
def test_the_lists_say_everything(tmp_path: Path, zipped, end: str, zips: bool) -> None:
    videos, splits = make(tmp_path, end)
    found = jhmdb.clips(*((zipped(videos), zipped(splits)) if zips else (videos, splits)))
    assert found.class_names == CLASSES
    assert found.description == "JHMDB, 3 clips"
    assert [clip.name for clip in found.clips] == sorted(PARTS)
    for clip in found.clips:
        assert CLASSES[clip.label] == ACTIONS[clip.name]
        assert tuple(part + 1 for part in clip.metadata.values()) == PARTS[clip.name]
        assert list(clip.metadata) == ["split_1", "split_2", "split_3"]
        assert clip.load() == f"the video {clip.name}".encode()


def test_clips_need_not_lie_in_folders_of_actions(release) -> None:
    videos, splits = release
    for path in videos.glob("*/[!.]*.avi"):
        path.rename(videos / path.name)
    assert [clip.name for clip in jhmdb.clips(videos, splits).clips] == sorted(PARTS)


def test_a_listed_clip_that_is_missing(release) -> None:
    (release[0] / "run" / "run_a_0.avi").unlink()
    refused(release, r"ReCompress_Videos has no run_a_0.avi, an action 'run' by its list: fetch")


def test_a_clip_in_no_list(release) -> None:
    (release[0] / "walk" / "walk_c_7.avi").touch()
    refused(release, r"walk/walk_c_7\.avi is in none of the lists of .*splits: fetch JHMDB_video")


def test_a_clip_that_is_there_twice(release) -> None:
    (release[0] / "run_a_0.avi").touch()
    refused(release, r"run_a_0\.avi is the same clip as .*run_a_0\.avi: keep one of them, then")


def test_a_clip_in_the_folder_of_another_action(release) -> None:
    (release[0] / "run" / "run_a_0.avi").rename(release[0] / "walk" / "run_a_0.avi")
    refused(release, r"walk/run_a_0\.avi is listed as an action 'run': fetch")


def test_no_videos(release, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(
        (tmp_path / "empty", release[1]), r"empty has no file called like brush_hair/NAME\.avi \(it"
    )
    refused((tmp_path / "nowhere", release[1]), "nowhere does not exist: give JHMDB_video.zip")
    refused((release[0], tmp_path / "nowhere"), "nowhere does not exist: give splits.zip of JHMDB")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", r"walk_test_split2\.txt does not name walk_a_0\.avi, which split 1 has"),
        ("walk_a_0.avi 2\n", r"does not name walk_\(b\)!_1\.avi, which split 1 has"),
        ("walk_a_0.avi\n", r"walk_test_split2\.txt line 1 is not like 'NAME\.avi 1' or 'NAME"),
        ("walk_a_0.avi 1\nwalk_(b)!_1.avi 0\n", "split2.txt line 2 is not like 'NAME.avi 1'"),
        ("walk_a_0.mp4 1\n", "line 1 is not like"),
        ("\n\nwalk_a_0.avi 1 2\n", "line 3 is not like"),
        ("walk_\x1b[2J.avi 1\n", "line 1 is not like"),
        ("walk_a_0.avi 1\nwalk_a_0.avi 1\n", r"line 2 names walk_a_0\.avi again"),
        ("walk_ä.avi 1\n", r"split2\.txt is no text at byte 5"),
        ("walk_a_0.avi 1\nwalk_(b)!_1.avi 2\nnew.avi 1\n", "split1.txt does not name new.avi, whi"),
        ("walk_a_0.avi 1\nwalk_(b)!_1.avi 2\nrun_a_0.avi 1\n", "1.txt does not name run_a_0.avi,"),
    ],
)
def test_a_broken_list(release, text: str, says: str) -> None:
    (release[1] / "walk_test_split2.txt").write_text(text, encoding="utf-8")
    refused(release, says)


def test_lists_that_do_not_belong_together(release) -> None:
    splits = release[1]
    lists = {k: splits / f"run_test_split{k}.txt" for k in (1, 2, 3)}
    before = {k: path.read_text() for k, path in lists.items()}
    for k, path in lists.items():
        path.write_text(before[k] + "walk_a_0.avi 1\n")
    refused(release, r"splits lists walk_a_0\.avi as 'run' and as 'walk'")
    for k, path in lists.items():
        path.write_text(before[k])
    (splits / "cartwheel_test_split1.txt").touch()  # as HMDB51 has it
    refused(release, r"cartwheel_test_split1\.txt is not one of JHMDB's 21 actions and 3 splits")
    (splits / "cartwheel_test_split1.txt").rename(splits / "run_test_split4.txt")
    refused(release, r"run_test_split4\.txt is not one of JHMDB's 21 actions and 3 splits")
    (splits / "run_test_split4.txt").unlink()
    (splits / "more").mkdir()
    (splits / "more" / "run_test_split1.txt").touch()
    refused(
        release,
        r"run_test_split1\.txt is the same list as .*run_test_split1\.txt: keep one of them",
    )
    (splits / "more" / "run_test_split1.txt").unlink()
    lists[3].unlink()
    refused(release, r"splits has no run_test_split3\.txt: fetch splits\.zip of JHMDB again")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_refused_in_words(tmp_path: Path, damaged, data) -> None:
    videos, splits = tmp_path / "ReCompress_Videos", tmp_path / "splits"
    if not splits.exists():
        make(tmp_path)
    path = splits / "walk_test_split2.txt"
    whole = path.read_bytes()
    path.write_bytes(data.draw(damaged(whole)))
    try:
        found = jhmdb.clips(videos, splits)
    except UserError as error:
        sentence(error)
    else:
        assert [clip.name for clip in found.clips] == sorted(PARTS)
    finally:
        path.write_bytes(whole)


def test_the_official_lists(published: Path, tmp_path: Path) -> None:
    splits = published / "jhmdb" / "splits.zip"
    if not splits.exists():
        pytest.skip(f"{splits} is not there")
    videos = tmp_path / "JHMDB_video.zip"
    names = set()
    with zipfile.ZipFile(splits) as lists, zipfile.ZipFile(videos, "w") as archive:
        for member in lists.namelist():
            names |= {line.split()[0] for line in lists.read(member).decode().splitlines()}
        for name in names:
            archive.writestr(f"ReCompress_Videos/{name}", b"")
    clips = jhmdb.clips(videos, splits).clips
    assert len(clips) == len(names) == 928
    columns = {key: np.array([c.metadata[key] for c in clips]) for key in clips[0].metadata}
    labels = np.array([clip.label for clip in clips])
    protocol = PROTOCOLS["jhmdb"]["split"]
    sizes = []
    for fold in range(protocol.folds):
        test = protocol.test(columns, fold)
        sizes.append((int((~test).sum()), int(test.sum())))
        assert set(labels[test]) == set(labels[~test]) == set(range(21))
    assert sizes == [(660, 268), (658, 270), (663, 265)]
