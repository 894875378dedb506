"""SHREC'17 Track: 2,800 hand gestures, 1,960 to train and 840 to test, by its official lists."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import NamedTuple

from eleatt_bench.data.release import Release
from eleatt_bench.data.sources import hand
from eleatt_bench.data.sources.archive import Member, Source
from eleatt_bench.data.sources.hand import Trial
from eleatt_bench.data.store import Sample

CLASSES_14 = hand.GESTURES

LISTS = ("train_gestures.txt", "test_gestures.txt")  # by split
_COLUMNS = ("gesture", "finger", "subject", "essai", "label14", "label28", "length")
_FILES = re.compile(r"(?:.*/)?(?:skeletons_world|train_gestures|test_gestures)\.txt")
_SUBJECTS = 28


class _Line(NamedTuple):
    where: str
    split: int
    length: int


def read(path: Path) -> Release:
    """The trials at ``path``, ``HandGestureDataset_SHREC2017`` as a folder or a zip archive.

    The two lists decide: every trial they name must be there, once, with as many frames as they
    say, and every trial that is there must be in one of them. Frames are the 66 coordinates, x y z
    by joint, in metres. The label is the gesture (14 classes); the metadata has ``label_14`` and
    ``label_28`` (from 0 on), ``split`` (0 train, 1 test), ``subject``, ``finger`` (1 one finger,
    2 whole hand) and ``essai``, the trial's number.

    Raises:
        UserError: no such path, a damaged archive, a list that is missing or damaged, or a trial
            that is there twice. A sample is bad if its file is missing, is in no list, lies in a
            folder of another name, or holds something else.
    """
    command = "eleatt-bench data prepare shrec17 --source PATH"
    source = Source(path, "HandGestureDataset_SHREC2017", command, hand.LARGEST)
    members = source.find(_FILES, "gesture_1/finger_1/subject_1/essai_1/skeletons_world.txt")
    listed = _listed(source, members)
    skeletons = [member for member in members if member.path.name.lower() not in LISTS]
    return hand.release(
        source,
        skeletons,
        _SUBJECTS,
        {key: line.where for key, line in listed.items()},
        partial(_sample, source, listed),
        CLASSES_14,
        "SHREC'17 Track, {count} trials of its official lists",
    )


def _listed(source: Source, members: list[Member]) -> dict[Trial, _Line]:
    listed: dict[Trial, _Line] = {}
    for split, name in enumerate(LISTS):
        member = hand.only(source, members, name)
        for where, numbers in hand.rows(source, member, _COLUMNS):
            *key, label_14, label_28, length = numbers
            trial = hand.trial(source, where, key, _SUBJECTS)
            if (label_14, label_28) != (trial.label_14 + 1, trial.label_28 + 1):
                raise source.wrong(
                    where,
                    f"gives labels {label_14} and {label_28} to gesture {trial.gesture}, finger "
                    f"{trial.finger}, which are {trial.label_14 + 1} and {trial.label_28 + 1}",
                )
            if trial in listed:
                raise source.wrong(
                    where, f"names trial {trial.name} again, after {listed[trial].where}"
                )
            listed[trial] = _Line(where, split, length)
    return listed


def _sample(source: Source, listed: dict[Trial, _Line], item: tuple[Trial, Member]) -> Sample:
    trial, member = item
    frames = hand.parse(source, member.where, source.text(member))
    line = listed[trial]
    if len(frames) != line.length:
        raise source.wrong(
            member.where, f"has {len(frames)} frames where {line.where} says {line.length}"
        )
    metadata = {**trial.metadata, "split": line.split}
    return Sample(trial.name, frames, trial.label_14, metadata)
