"""DHG-14/28: 2,800 hand gestures of 20 subjects, each cut to the frames of the gesture itself."""

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

# Public readers agree on the gestures' numbers, except 12 and 13: V and + for some, + and V for
# others.
CLASSES_14 = (*hand.GESTURES[:11], "swipe + or V (12)", "swipe + or V (13)", hand.GESTURES[13])

LIST = "informations_troncage_sequences.txt"
_COLUMNS = ("gesture", "finger", "subject", "essai", "first-frame", "last-frame")
_FILES = re.compile(r"(?:.*/)?(?:skeleton_world|informations_troncage_sequences)\.txt")
_SUBJECTS = 20


class _Cut(NamedTuple):
    """Frames ``first`` to ``last``, counted from 0, both included."""

    where: str
    first: int
    last: int


def read(path: Path) -> Release:
    """The trials at ``path``, ``DHG2016`` as a folder or a zip archive.

    ``informations_troncage_sequences.txt`` says where in each recording the gesture is. It counts
    frames from 0, and the last one belongs to the gesture. Nearly all public readers have it so;
    one of them refuses a range beyond the recording, which shows that there is none. Every trial in
    the list must be there, once, and the list must have every trial that is there. Frames are the
    66 coordinates, x y z by joint, in metres. The label is the gesture (14 classes); the
    metadata has ``label_14`` and ``label_28`` (from 0 on), ``subject``, ``finger`` (1 one finger,
    2 whole hand) and ``essai``, the trial's number.

    Raises:
        UserError: no such path, a damaged archive, the list is missing or damaged, or a trial that
            is there twice. A sample is bad if its file is missing, is not in the list, lies in a
            folder of another name, or holds something else.
    """
    command = "eleatt-bench data prepare dhg --source PATH"
    source = Source(path, "DHG2016", command, hand.LARGEST)
    members = source.find(_FILES, "gesture_1/finger_1/subject_1/essai_1/skeleton_world.txt")
    listed = _listed(source, hand.only(source, members, LIST))
    skeletons = [member for member in members if member.path.name.lower() != LIST]
    return hand.release(
        source,
        skeletons,
        _SUBJECTS,
        {key: cut.where for key, cut in listed.items()},
        partial(_sample, source, listed),
        CLASSES_14,
        f"DHG-14/28, {{count}} trials, cut by {LIST}",
    )


def _listed(source: Source, member: Member) -> dict[Trial, _Cut]:
    listed: dict[Trial, _Cut] = {}
    for where, numbers in hand.rows(source, member, _COLUMNS):
        *key, first, last = numbers
        trial = hand.trial(source, where, key, _SUBJECTS)
        if first > last:
            raise source.wrong(where, f"cuts frames {first} to {last}, which are none")
        if trial in listed:
            raise source.wrong(
                where, f"names trial {trial.name} again, after {listed[trial].where}"
            )
        listed[trial] = _Cut(where, first, last)
    return listed


def _sample(source: Source, listed: dict[Trial, _Cut], item: tuple[Trial, Member]) -> Sample:
    trial, member = item
    frames = hand.parse(source, member.where, source.text(member))
    cut = listed[trial]
    if cut.last >= len(frames):
        raise source.wrong(
            member.where,
            f"has {len(frames)} frames where {cut.where} cuts {cut.first} to {cut.last}, "
            "counted from 0",
        )
    return Sample(trial.name, frames[cut.first : cut.last + 1], trial.label_14, trial.metadata)
