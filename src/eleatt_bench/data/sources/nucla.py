"""Northwestern-UCLA in its JSON release: a file per sequence, in a folder or a zip archive."""

from __future__ import annotations

import json
import re
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from eleatt_bench.data.release import Release, read_each
from eleatt_bench.data.sources.archive import Member, Source
from eleatt_bench.data.sources.coordinates import in_metres
from eleatt_bench.data.store import Frames, Sample

CLASSES = {
    1: "pick up with one hand",
    2: "pick up with two hands",
    3: "drop trash",
    4: "walk around",
    5: "sit down",
    6: "stand up",
    8: "donning",
    9: "doffing",
    11: "throw",
    12: "carry",
}
"""The class of each action number in a file name. The label is the position in this order."""

JOINTS = (  # Kinect v1
    "hip centre", "spine", "shoulder centre", "head",
    "left shoulder", "left elbow", "left wrist", "left hand",
    "right shoulder", "right elbow", "right wrist", "right hand",
    "left hip", "left knee", "left ankle", "left foot",
    "right hip", "right knee", "right ankle", "right foot",
)  # fmt: skip
BONES = (
    (0, 1), (1, 2), (2, 3),
    (2, 4), (4, 5), (5, 6), (6, 7),
    (2, 8), (8, 9), (9, 10), (10, 11),
    (0, 12), (12, 13), (13, 14), (14, 15),
    (0, 16), (16, 17), (17, 18), (18, 19),
)  # fmt: skip
LAYOUT = {
    "kind": "skeleton",
    "joints": list(JOINTS),
    "bones": [list(bone) for bone in BONES],
    "units": "metres",
    "origin": JOINTS.index("spine"),
}

ARCHIVE = "https://www.dropbox.com/s/10pcm4pksjy6mkq/all_sqe.zip?dl=1"

_FILES = re.compile(r"(?:.*/)?a[0-9]{2}_s[0-9]{2}_e[0-9]{2}_v[0-9]{2}\.json")
_NAME = re.compile(r"a([0-9]{2})_s([0-9]{2})_e([0-9]{2})_v([0-9]{2})")
_OTHER_RELEASES = {
    re.compile(r"(?:.*/)?(?:frame_.*|fileList)\.txt"): "is the publishers' raw release, a text for "
    f"each frame; what is read here is the JSON release that everybody uses, {ARCHIVE}",
}
_LARGEST = 1 << 22  # bytes; the longest published sequence has a tenth of it
_CAMERAS = (1, 2, 3)


def read(path: Path) -> Release:
    """The sequences at ``path``, ``all_sqe.zip`` or the folder it unpacks to, by name.

    A file is called ``aAA_sSS_eEE_vVV.json`` (action, subject, episode, camera) and holds
    ``skeletons``, frames × 20 × 3 in metres. What else it says of itself (``file_name``,
    ``label`` from 1 on) must agree with its name. Frames are the 60 coordinates, x y z by joint.

    Raises:
        UserError: no such path, a damaged archive, a member that would leave its folder, the same
            name twice, or no file of such a name. A sample is bad if its file holds something
            else, or is called after an action or a camera that does not exist.
    """
    source = Source(path, "all_sqe.zip", "eleatt-bench data prepare nucla --source PATH", _LARGEST)
    members = _by_name(source)
    return Release(
        description=f"Northwestern-UCLA, JSON release, {len(members)} files",
        class_names=tuple(CLASSES.values()),
        layout=LAYOUT,
        count=len(members),
        samples=read_each(partial(_sample, source), sorted(members.items())),
        left_out=source.left_out.lines(),
    )


def _by_name(source: Source) -> dict[str, Member]:
    found: dict[str, Member] = {}
    for member in source.find(_FILES, "a01_s01_e00_v01.json", _OTHER_RELEASES):
        name = member.path.stem.lower()
        if name in found:
            raise source.twice("sequence", member, found[name])
        found[name] = member
    return found


def _sample(source: Source, member: Member) -> Sample:
    name = member.path.stem.lower()
    match = _NAME.fullmatch(name)
    assert match is not None  # only such files are found
    action, subject, episode, camera = (int(number) for number in match.groups())
    if action not in CLASSES or camera not in _CAMERAS:
        raise source.wrong(
            member.where, f"names action {action}, camera {camera}, which do not exist"
        )
    content = _parse(source, member)
    label = list(CLASSES).index(action)
    for key, expected in (("file_name", name), ("label", label + 1)):
        if content.get(key, expected) != expected:
            raise source.wrong(
                member.where, f"says {key} {ascii(content[key])[:40]}, its name says {expected!r}"
            )
    metadata = {"subject": subject, "action": action, "episode": episode, "camera": camera}
    return Sample(name, _frames(source, member.where, content["skeletons"]), label, metadata)


def _parse(source: Source, member: Member) -> dict[str, Any]:
    try:
        content = json.loads(member.load())
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, or nested without end
        raise source.wrong(member.where, f"is not JSON ({error})") from error
    if not isinstance(content, dict) or "skeletons" not in content:
        raise source.wrong(member.where, "has no key 'skeletons'")
    return content


def _frames(source: Source, where: str, skeletons: Any) -> Frames:
    if skeletons == []:
        raise source.wrong(where, "has no frames")
    try:
        values = np.array(_numbers(skeletons)).reshape(len(skeletons), -1)
    except (ValueError, OverflowError) as error:  # a whole number may be beyond all floats
        what = str(error) if isinstance(error, ValueError) else _NO_NUMBERS
        raise source.wrong(where, f"holds skeletons {what}") from error
    return in_metres(source, where, values)


_NO_NUMBERS = f"that are not frames × {len(JOINTS)} × 3 numbers"


def _numbers(skeletons: Any) -> list[float]:
    """All coordinates in order, if these are lists of 20 lists of 3 numbers.

    They are checked before NumPy sees them, which would make gigabytes of a few long words.

    Raises:
        ValueError: they are something else; its text says what.
    """
    values: list[Any] = [skeletons]
    for size in (None, len(JOINTS), 3):
        if set(map(type, values)) != {list}:
            raise ValueError(_NO_NUMBERS)
        sizes = set(map(len, values))
        if size is not None and sizes != {size}:
            raise ValueError(
                f"with {min(sizes - {size}):,} in place of {size} joints or coordinates"
            )
        values = list(chain.from_iterable(values))
    if not set(map(type, values)) <= {int, float}:
        raise ValueError(_NO_NUMBERS)
    return list(map(float, values))
