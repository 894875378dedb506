"""SYSU 3D HOI: 40 subjects, each with 12 actions, as MATLAB files of Kinect v1 skeletons."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set
from functools import partial
from itertools import chain
from pathlib import Path

from eleatt_bench.data.release import BadSample, Release, read_each
from eleatt_bench.data.sources import matlab, nucla, sysu_splits
from eleatt_bench.data.sources.archive import Member, Source
from eleatt_bench.data.sources.coordinates import in_metres
from eleatt_bench.data.store import Frames, Sample

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
_PATH = re.compile(r"(?:.*/)?([^/]+)/video([0-9]{1,4})/sklWorld\.mat", re.IGNORECASE)


def read(path: Path, splits: Path | None = None) -> Release:
    """The sequences at ``path``: ``3DvideoNorm``, what contains it, or a zip archive of either.

    A sequence is ``<subject>/video<1..12>/sklWorld.mat``, saved by MATLAB 5 or 7.3; its variable
    ``SW`` is 20 joints × 3 × frames, in metres. Where a folder ``3DvideoNorm`` is found, files
    outside it are left alone. Frames are the 60 coordinates, x y z by joint; the label is the
    video's number minus one. Metadata: ``action``, the video's number, and ``subject``, 1 to 40,
    the rank of the subject's folder. Folders are ordered by number if all are numbers, else by
    name. With ``splits`` (`sysu_splits.read`) there is also a column for each fold of
    cross_subject.

    Raises:
        UserError: no such path, a damaged archive, the same sequence twice, not 40 subjects, or
            ``splits`` of other subjects. A sample is bad if its file is missing, holds something
            else, or lies in a folder of another name.
    """
    source = Source(path, _FOLDER, "eleatt-bench data prepare sysu --source PATH")
    folds = [] if splits is None else sysu_splits.read(splits, SUBJECTS, len(CLASSES))
    members, misplaced = _by_path(source)
    ranks = _ranks(source, members, misplaced)
    missing = [
        BadSample(
            _name(rank, action),
            source.wrong(source.path, f"has no {subject}/video{action}/sklWorld.mat"),
        )
        for subject, rank in ranks.items()
        for action in range(1, len(CLASSES) + 1)
        if (subject, action) not in members
    ]
    found = {(ranks[subject], action): file for (subject, action), file in members.items()}
    return Release(
        description=f"SYSU 3D HOI, {len(members)} sequences of {_FOLDER}"
        + (f", with {len(folds)} splits of {splits}" if folds else ""),
        class_names=CLASSES,
        layout=LAYOUT,
        count=len(misplaced) + len(missing) + len(found),
        samples=chain(
            misplaced,
            missing,
            read_each(
                partial(_sample, source, folds),
                ((_name(*key), (key, file)) for key, file in sorted(found.items())),
            ),
        ),
        left_out=source.left_out.lines(),
    )


def _name(subject: int, action: int) -> str:
    return f"s{subject:02d}_a{action:02d}"


def _by_path(source: Source) -> tuple[dict[tuple[str, int], Member], list[BadSample]]:
    """The file of each subject's folder and action, and the files in folders of other names."""
    members = source.find(_FILES, "SUBJECT/video1/sklWorld.mat")
    inside = [member for member in members if _is_inside(member)]
    for member in members if inside else ():
        if not _is_inside(member):
            source.left_out.add(member.path)
    found: dict[tuple[str, int], Member] = {}
    misplaced: list[BadSample] = []
    for member in inside or members:
        match = _PATH.fullmatch(str(member.path))
        action = int(match[2]) if match else 0
        if match is None or not 1 <= action <= len(CLASSES):
            error = source.wrong(member.where, "is not in a folder like SUBJECT/video1 … video12")
            misplaced.append(BadSample(member.shown, error))
            continue
        key = (match[1], action)
        if key in found:
            raise source.twice("sequence", member, found[key])
        found[key] = member
    return found, misplaced


def _is_inside(member: Member) -> bool:
    return _FOLDER.lower() in (part.lower() for part in member.path.parts[:-1])


def _ranks(
    source: Source, found: Iterable[tuple[str, int]], misplaced: list[BadSample]
) -> dict[str, int]:
    """The number of each subject's folder, from 1 on."""
    subjects = _in_order({subject for subject, _ in found})
    if len(subjects) != SUBJECTS:
        if misplaced:  # another folder was given, above or below the right one
            raise misplaced[0].error
        raise source.wrong(
            source.path,
            f"has SUBJECT/video1/sklWorld.mat and the like of {len(subjects)} subjects, not of "
            f"{SUBJECTS}",
        )
    return {subject: rank for rank, subject in enumerate(subjects, start=1)}


def _in_order(subjects: set[str]) -> list[str]:
    if all(re.fullmatch("[0-9]+", subject) for subject in subjects):
        return sorted(subjects, key=lambda subject: (int(subject), subject))
    return sorted(subjects)


def column(fold: int) -> str:
    """The metadata column with the sides of cross_subject that came with ``--splits``."""
    return f"cross_subject_{fold + 1}"


def _sample(
    source: Source, folds: Sequence[Set[int]], item: tuple[tuple[int, int], Member]
) -> Sample:
    (subject, action), member = item
    frames = parse(source, member.where, member.load())
    metadata = {"subject": subject, "action": action}
    metadata |= {column(fold): int(subject in tested) for fold, tested in enumerate(folds)}
    return Sample(_name(subject, action), frames, action - 1, metadata)


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
    return in_metres(source, where, frames)
