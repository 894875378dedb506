"""What SHREC'17 Track and DHG-14/28 share: 22 joints, folders named by trial, and lists of trials.

Both were recorded with an Intel RealSense camera by the same laboratory. A trial lies in the
folder ``gesture_G/finger_F/subject_S/essai_E`` and is a text file with a line per frame: x, y, z of
each joint in metres.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import NamedTuple

import numpy as np

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.release import BadSample, Release, read_each
from eleatt_bench.data.sources.archive import Member, Source
from eleatt_bench.data.sources.coordinates import in_metres
from eleatt_bench.data.store import Frames, Sample

JOINTS = (
    "wrist", "palm",
    "thumb base", "thumb first joint", "thumb second joint", "thumb tip",
    "index base", "index first joint", "index second joint", "index tip",
    "middle base", "middle first joint", "middle second joint", "middle tip",
    "ring base", "ring first joint", "ring second joint", "ring tip",
    "little base", "little first joint", "little second joint", "little tip",
)  # fmt: skip
BONES = (
    (0, 1),
    (0, 2), (2, 3), (3, 4), (4, 5),
    (1, 6), (6, 7), (7, 8), (8, 9),
    (1, 10), (10, 11), (11, 12), (12, 13),
    (1, 14), (14, 15), (15, 16), (16, 17),
    (1, 18), (18, 19), (19, 20), (20, 21),
)  # fmt: skip
LAYOUT = {
    "kind": "skeleton",
    "joints": list(JOINTS),
    "bones": [list(bone) for bone in BONES],
    "units": "metres",
    "origin": JOINTS.index("palm"),
}
GESTURES = (
    "grab", "tap", "expand", "pinch", "rotation clockwise", "rotation counter-clockwise",
    "swipe right", "swipe left", "swipe up", "swipe down", "swipe X", "swipe +", "swipe V", "shake",
)  # fmt: skip
"""In the order of SHREC'17's numbers, 1 to 14."""
FINGERS = ("one finger", "whole hand")

LARGEST = 1 << 24  # bytes of a file
_FOLDER = re.compile(
    r"(?:.*/)?gesture_([0-9]{1,4})/finger_([0-9]{1,4})/subject_([0-9]{1,4})/essai_([0-9]{1,4})/[^/]+",
    re.IGNORECASE,
)
_NATURAL = re.compile(rb"[0-9]{1,9}")
_LARGEST_LIST = 1 << 20  # bytes; the published lists have a tenth of it
_MOST_FRAMES = 10_000  # of a trial; the longest published one has less than a thousand


class Trial(NamedTuple):
    """One performance of one gesture; numbers count from 1. Finger 1: one finger, 2: whole hand."""

    gesture: int
    finger: int
    subject: int
    essai: int

    @property
    def name(self) -> str:
        return f"g{self.gesture:02d}_f{self.finger}_s{self.subject:02d}_e{self.essai:02d}"

    @property
    def label_14(self) -> int:
        """The gesture, from 0 on."""
        return self.gesture - 1

    @property
    def label_28(self) -> int:
        """The gesture and the way of making it, from 0 on, as in SHREC'17's lists."""
        return 2 * (self.gesture - 1) + self.finger - 1

    @property
    def metadata(self) -> dict[str, int]:
        return {
            "subject": self.subject,
            "finger": self.finger,
            "essai": self.essai,
            "label_14": self.label_14,
            "label_28": self.label_28,
        }


def classes_28(gestures: Iterable[str]) -> tuple[str, ...]:
    """The names of the 28 classes, by `Trial.label_28`."""
    return tuple(f"{gesture}, {finger}" for gesture in gestures for finger in FINGERS)


def trial(source: Source, where: str, numbers: Iterable[int], subjects: int) -> Trial:
    """The trial of these four ``numbers``; a UserError if there is none with so many subjects."""
    found = Trial(*numbers)
    sizes = (len(GESTURES), len(FINGERS), subjects)
    if found.essai < 1 or any(not 1 <= n <= size for n, size in zip(found, sizes, strict=False)):
        raise source.wrong(
            where,
            f"names gesture {found.gesture}, finger {found.finger}, subject {found.subject}, essai "
            f"{found.essai}, which does not exist",
        )
    return found


def files(
    source: Source, members: Iterable[Member], subjects: int
) -> tuple[dict[Trial, Member], list[BadSample]]:
    """The skeleton file of each trial, by the folders that it lies in, and the misplaced files."""
    found: dict[Trial, Member] = {}
    misplaced: list[BadSample] = []
    for member in members:
        try:
            key = _trial_of(source, member, subjects)
        except UserError as error:
            misplaced.append(BadSample(member.shown, error))
            continue
        if key in found:
            raise source.twice("trial", member, found[key])
        found[key] = member
    return found, misplaced


def _trial_of(source: Source, member: Member, subjects: int) -> Trial:
    match = _FOLDER.fullmatch(str(member.path))
    if match is None:
        raise source.wrong(
            member.where, "is not in a folder like gesture_1/finger_1/subject_1/essai_1"
        )
    return trial(source, member.where, map(int, match.groups()), subjects)


def only(source: Source, members: Iterable[Member], name: str) -> Member:
    """The one member called ``name``."""
    found = [member for member in members if member.path.name.lower() == name]
    if not found:
        raise source.wrong(source.path, f"has no {name}")
    if len(found) > 1:
        raise UserError(
            f"{source.path} has {len(found)} files called {name} (the first two are "
            f"{found[0].where} and {found[1].where}): keep one of them, then {source.command}"
        )
    return found[0]


def rows(source: Source, member: Member, columns: tuple[str, ...]) -> list[tuple[str, list[int]]]:
    """The lines of a list: what to call the line in a message, and a whole number per column."""
    content = source.text(member)
    if len(content) > _LARGEST_LIST:
        raise source.wrong(member.where, f"is too large for a list ({len(content):,} bytes)")
    lines = content.rstrip().split(b"\n")
    if lines == [b""]:
        raise source.wrong(member.where, "is empty")
    read = []
    for number, line in enumerate(lines, start=1):
        where, fields = f"{member.where} line {number}", line.split()
        for field in fields:
            if not _NATURAL.fullmatch(field):
                raise source.wrong(where, f"holds {_shown(field)}, which is not a whole number")
        if len(fields) != len(columns):
            raise source.wrong(
                where, f"has {len(fields)} numbers, not {len(columns)} ({' '.join(columns)})"
            )
        read.append((where, [int(field) for field in fields]))
    return read


def release(
    source: Source,
    skeletons: Iterable[Member],
    subjects: int,
    listed: Mapping[Trial, str],
    sample: Callable[[tuple[Trial, Member]], Sample],
    class_names: tuple[str, ...],
    description: str,
) -> Release:
    """The release of the trials in the files ``skeletons``; ``listed`` names the line of each.

    ``description`` has a place for the number of trials, ``{count}``. A trial is a bad sample if it
    is listed but not there, there but not listed, or in a folder of another name.
    """
    found, misplaced = files(source, skeletons, subjects)
    bad = misplaced + unmatched(source, listed, found)
    both = [(key.name, (key, found[key])) for key in sorted(found.keys() & listed.keys())]
    return Release(
        description=description.format(count=len(found)),
        class_names=class_names,
        layout=LAYOUT,
        count=len(bad) + len(both),
        samples=chain(bad, read_each(sample, both)),
        left_out=source.left_out.lines(),
    )


def unmatched(
    source: Source, listed: Mapping[Trial, str], found: Mapping[Trial, Member]
) -> list[BadSample]:
    """The trials that have a line in the lists and no file, and those with a file and no line.

    ``listed`` says for each trial on which line it stands.
    """
    missing = [
        BadSample(
            key.name,
            source.wrong(where, f"names trial {key.name}, which {source.path} does not hold"),
        )
        for key, where in listed.items()
        if key not in found
    ]
    unlisted = [
        BadSample(
            key.name,
            source.wrong(
                member.where, f"is trial {key.name}, which no list of {source.path} names"
            ),
        )
        for key, member in found.items()
        if key not in listed
    ]
    return missing + unlisted


def parse(source: Source, where: str, content: bytes) -> Frames:
    """The frames (T, 66) of a skeleton file: a line per frame, 66 numbers, LF or CRLF.

    Raises:
        UserError: nothing in it, a line with more or fewer numbers, something that is not a
            number, or one that is not within ±100 metres.
    """
    count = content.count(b"\n")
    if count > _MOST_FRAMES:
        raise source.wrong(where, f"has {count:,} lines, more than frames of a gesture")
    lines = [line.split() for line in content.rstrip().split(b"\n")]
    if lines == [[]]:
        raise source.wrong(where, "is empty")
    width = 3 * len(JOINTS)
    values = np.empty((len(lines), width))
    for index, fields in enumerate(lines):
        if len(fields) != width:
            raise source.wrong(
                f"{where} line {index + 1}",
                f"has {len(fields)} numbers, not {width} (x, y, z of {len(JOINTS)} joints)",
            )
        try:
            values[index] = _numbers(fields)
        except ValueError as error:
            raise source.wrong(f"{where} line {index + 1}", f"holds {error}") from error
    return in_metres(source, where, values, unit="line")


def _numbers(fields: list[bytes]) -> list[float]:
    try:
        if b"_" not in b" ".join(fields):  # Python takes 1_000 for a number
            return list(map(float, fields))
    except ValueError:
        pass
    culprit = next(field for field in fields if not _is_number(field))
    raise ValueError(f"{_shown(culprit)}, which is not a number")


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return b"_" not in field


def _shown(field: bytes) -> str:
    return repr(field[:20].decode("ascii", "replace"))
