"""SYSU 3D HOI: 40 subjects, each with 12 actions, as MATLAB files of Kinect v1 skeletons."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from eleatt_bench.data.release import Release
from eleatt_bench.data.sources import matlab, nucla
from eleatt_bench.data.sources.archive import Member, Source
from eleatt_bench.data.store import Frames, Sample
from eleatt_bench.errors import UserError

CLASSES = (
    "drinking", "pouring", "calling phone", "playing phone", "wearing backpacks",
    "packing backpacks", "sitting chair", "moving chair", "taking out wallet",
    "taking from wallet", "mopping", "sweeping",
)  # fmt: skip
"""In the order of the videos' numbers, 1 to 12."""
LAYOUT = nucla.LAYOUT  # the same camera: 20 joints in the same order, metres, origin at the spine
SUBJECTS = 40

_FOLDER = "3DvideoNorm"
_FILES = re.compile(r"(?:.*/)?sklWorld\.mat")
_PATH = re.compile(r"(?:.*/)?([^/]+)/video([0-9]{1,4})/sklWorld\.mat")
_FAR = 100  # metres; a Kinect sees a few


def read(path: Path) -> Release:
    """The sequences at ``path``: ``3DvideoNorm``, what contains it, or a zip archive of either.

    A sequence is ``<subject>/video<1..12>/sklWorld.mat``, saved by MATLAB 5 or 7.3; its variable
    ``SW`` is 20 joints × 3 × frames, in metres. Where a folder ``3DvideoNorm`` is found, files
    outside it are left alone. Frames are the 60 coordinates, x y z by joint; the label is the
    video's number less one. Metadata: ``action``, the video's number, and ``subject``, 1 to 40, the
    rank of the subject's folder among the 40: by number if all are numbers, else by name.

    Raises:
        UserError: no such path, a damaged archive, or not 12 videos of each of 40 subjects.
            Reading the samples: a file that holds something else.
    """
    source = Source(path, _FOLDER, "eleatt-bench data prepare sysu --source PATH")
    members = _chosen(source)
    return Release(
        description=f"SYSU 3D HOI, {len(members)} sequences of {_FOLDER}",
        class_names=CLASSES,
        layout=LAYOUT,
        count=len(members),
        samples=_samples(source, members),
    )


def _chosen(source: Source) -> dict[tuple[int, int], Member]:
    """The file of each (subject, action)."""
    members = source.find(_FILES)
    inside = [member for member in members if _FOLDER in member.path.parts[:-1]]
    found: dict[tuple[str, int], Member] = {}
    for member in inside or members:
        match = _PATH.fullmatch(str(member.path))
        action = int(match[2]) if match else 0
        if match is None or not 1 <= action <= len(CLASSES):
            raise source.wrong(member.where, "is not in a folder like SUBJECT/video1 … video12")
        key = (match[1], action)
        if key in found:
            raise UserError(
                f"{member.where} is the same sequence as {found[key].where}: keep one of them, "
                f"then {source.command}"
            )
        found[key] = member
    subjects = _in_order({subject for subject, _ in found})
    if len(subjects) != SUBJECTS:
        raise source.wrong(
            source.path,
            f"has SUBJECT/video1/sklWorld.mat and the like of {len(subjects)} subjects, not of "
            f"{SUBJECTS}",
        )
    for subject in subjects:
        for action in range(1, len(CLASSES) + 1):
            if (subject, action) not in found:
                raise source.wrong(source.path, f"has no {subject}/video{action}/sklWorld.mat")
    ranks = {subject: rank for rank, subject in enumerate(subjects, start=1)}
    return {(ranks[subject], action): member for (subject, action), member in found.items()}


def _in_order(subjects: set[str]) -> list[str]:
    if all(re.fullmatch("[0-9]+", subject) for subject in subjects):
        return sorted(subjects, key=lambda subject: (int(subject), subject))
    return sorted(subjects)


def _samples(source: Source, members: dict[tuple[int, int], Member]) -> Iterator[Sample]:
    for (subject, action), member in sorted(members.items()):
        frames = parse(source, member.where, member.load())
        metadata = {"subject": subject, "action": action}
        yield Sample(f"s{subject:02d}_a{action:02d}", frames, action - 1, metadata)


def parse(source: Source, where: str, content: bytes) -> Frames:
    """The frames (T, 60) in a MATLAB file.

    Raises:
        UserError: not such a file, no variable SW, one that is not 20 × 3 × frames floating-point
            numbers, or a value that is not within ±100 metres.
    """
    try:
        values = matlab.array(content, "SW", axes=(len(nucla.JOINTS), 3))
    except ValueError as error:
        raise source.wrong(where, str(error)) from error
    frames = values.transpose(2, 0, 1).reshape(values.shape[2], -1)
    bad = ~(np.abs(frames) <= _FAR).all(axis=1)  # NaN is not ≤ either
    if bad.any():
        raise source.wrong(
            f"{where} frame {int(bad.argmax()) + 1}",
            f"holds a coordinate that is not a number within ±{_FAR} metres",
        )
    return frames.astype(np.float32)
