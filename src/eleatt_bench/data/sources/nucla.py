"""Northwestern-UCLA in its JSON release: a file per sequence, in a folder or a zip archive."""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from eleatt_bench.data.release import Release
from eleatt_bench.data.store import Frames, Sample
from eleatt_bench.errors import UserError

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
"""Action number in the file name: class. The label is the position in this order."""

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

_NAME = re.compile(r"a(\d{2})_s(\d{2})_e(\d{2})_v(\d{2})")
_CAMERAS = (1, 2, 3)
_FAR = 100  # metres; a Kinect sees a few
_PREPARE = "eleatt-bench data prepare nucla --source PATH"


def read(source: Path) -> Release:
    """The sequences in ``source``, ``all_sqe.zip`` or the folder it unpacks to, by name.

    A file is called ``aAA_sSS_eEE_vVV.json`` (action, subject, episode, camera) and holds
    ``skeletons``, frames × 20 × 3 in metres. What else it says of itself (``file_name``,
    ``label`` from 1 on) must agree with its name. Frames are the 60 coordinates, x y z by joint.

    Raises:
        UserError: no such path, a damaged archive, a member that would leave its folder, or no
            file of such a name. Reading the samples: a file that holds something else.
    """
    if not source.exists():
        raise UserError(f"{source} does not exist: give all_sqe.zip or its folder to {_PREPARE}")
    files = _in_folder(source) if source.is_dir() else _in_archive(source)
    if not files:
        raise UserError(
            f"{source} has no file called like a01_s01_e00_v01.json: give all_sqe.zip or its "
            f"folder to {_PREPARE}"
        )
    return Release(
        description=f"Northwestern-UCLA, JSON release, {len(files)} files",
        class_names=tuple(CLASSES.values()),
        layout=LAYOUT,
        count=len(files),
        samples=(_sample(where, load) for where, load in files),
    )


_Files = list[tuple[str, Callable[[], bytes]]]
"""What to call each file in a message, and how to read it; in the order of the file names."""


def _in_folder(folder: Path) -> _Files:
    paths = [path for path in folder.rglob("*.json") if _NAME.fullmatch(path.stem)]
    return [(str(p), p.read_bytes) for p in sorted(paths, key=lambda p: (p.name, p))]


def _in_archive(path: Path) -> _Files:
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise UserError(
            f"{path} is cut short or not a zip archive ({error}): fetch it again, then {_PREPARE}"
        ) from error
    members = [(PurePosixPath(name), name) for name in archive.namelist()]
    for member, name in members:
        if member.is_absolute() or ".." in member.parts:
            raise UserError(
                f"{path} has a member {name!r} that would leave its folder: the archive is not to "
                f"be trusted, fetch it again, then {_PREPARE}"
            )
    chosen = [(m.name, n) for m, n in members if m.suffix == ".json" and _NAME.fullmatch(m.stem)]
    return [(f"{path}/{name}", partial(archive.read, name)) for _, name in sorted(chosen)]


def _sample(where: str, load: Callable[[], bytes]) -> Sample:
    name = PurePosixPath(where).stem
    match = _NAME.fullmatch(name)
    assert match is not None  # only such files are chosen
    action, subject, episode, camera = (int(number) for number in match.groups())
    if action not in CLASSES or camera not in _CAMERAS:
        raise _wrong(where, f"names action {action}, camera {camera}, which do not exist")
    content = _parse(where, load)
    label = list(CLASSES).index(action)
    for key, expected in (("file_name", name), ("label", label + 1)):
        if content.get(key, expected) != expected:
            raise _wrong(where, f"says {key} {content[key]!r}, its name says {expected!r}")
    metadata = {"subject": subject, "action": action, "episode": episode, "camera": camera}
    return Sample(name, _frames(where, content["skeletons"]), label, metadata)


def _parse(where: str, load: Callable[[], bytes]) -> dict[str, Any]:
    try:
        content = json.loads(load())
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise _wrong(where, f"cannot be unpacked ({error})") from error
    except OSError as error:
        raise UserError(f"{where} cannot be read ({error.strerror})") from error
    except ValueError as error:  # not JSON, or not UTF-8
        raise _wrong(where, f"is not JSON ({error})") from error
    if not isinstance(content, dict) or "skeletons" not in content:
        raise _wrong(where, "has no key 'skeletons'")
    return content


def _frames(where: str, skeletons: Any) -> Frames:
    if skeletons == []:
        raise _wrong(where, "has no frames")
    try:
        values = np.asarray(skeletons, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise _wrong(where, "holds skeletons that are not frames × 20 × 3 numbers") from error
    if values.ndim != 3 or values.shape[1:] != (len(JOINTS), 3):
        raise _wrong(where, f"holds skeletons of shape {values.shape}, not (frames, 20, 3)")
    if not np.isfinite(values).all() or np.abs(values).max() > _FAR:
        raise _wrong(where, f"holds a coordinate that is not a number within ±{_FAR} metres")
    return values.reshape(len(values), -1).astype(np.float32)


def _wrong(where: str, what: str) -> UserError:
    return UserError(f"{where} {what}: fetch all_sqe.zip again, then {_PREPARE}")
