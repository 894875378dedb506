"""JHMDB: 928 clips of 21 actions, and the 63 text lists that split them in three ways."""

from __future__ import annotations

import re
from pathlib import Path

from eleatt_bench.data.rgb.clips import LARGEST, Clip, ClipSet, videos
from eleatt_bench.data.sources.archive import Member, Source

COMMAND = "eleatt-bench data features jhmdb --source VIDEOS --splits PATH --backbone resnet50"
CLASSES = (
    "brush_hair", "catch", "clap", "climb_stairs", "golf", "jump", "kick_ball", "pick", "pour",
    "pullup", "push", "run", "shoot_ball", "shoot_bow", "shoot_gun", "sit", "stand",
    "swing_baseball", "throw", "walk", "wave",
)  # fmt: skip
SPLITS = (1, 2, 3)

_LISTS = re.compile(r"(?:.*/)?[^/]+_test_split[^/]*\.txt")
_LIST = re.compile(r"(.+)_test_split([0-9]+)\.txt")
_LARGEST_LIST = 1 << 20  # bytes; the published lists have a thousandth of it
_PARTS = {"1": 0, "2": 1}  # train, test

_Listed = dict[str, dict[int, int]]  # clip: split: part


def clips(path: Path, splits: Path) -> ClipSet:
    """The clips at ``path`` as the official lists at ``splits`` divide them; both may be archives.

    A list is called ``<action>_test_split<1|2|3>.txt`` and has a line for every clip of that
    action, ``NAME.avi 1`` to train on it and ``NAME.avi 2`` to test. Every clip in the lists must
    lie below ``path``, once, and no other clip may. The label is the action; the metadata has
    ``split_1``, ``split_2`` and ``split_3`` (0 train, 1 test).

    Raises:
        UserError: no such path, a damaged archive, a list that is missing or damaged, a clip that
            is missing, there twice, in no list, or in the folder of another action.
    """
    source = Source(path, "JHMDB_video.zip", COMMAND, LARGEST)
    lists = Source(splits, "splits.zip of JHMDB", COMMAND, _LARGEST_LIST)
    listed = _all_listed(lists)
    found = videos(source, "brush_hair/NAME.avi")
    by_name = {name: action for action, names in listed.items() for name in names}
    for name, member in found.items():
        if name not in by_name:
            raise source.wrong(member.where, f"is in none of the lists of {splits}")
        if member.path.parent.name.lower() in set(CLASSES) - {by_name[name]}:
            raise source.wrong(member.where, f"is listed as an action {by_name[name]!r}")
    chosen = []
    for name in sorted(by_name):
        action = by_name[name]
        if name not in found:
            raise source.wrong(source.path, f"has no {name}.avi, an action {action!r} by its list")
        parts = {f"split_{split}": part for split, part in sorted(listed[action][name].items())}
        member = found[name]
        chosen.append(Clip(name, member.where, member.load, CLASSES.index(action), parts))
    description = f"JHMDB, {len(chosen)} clips"
    return ClipSet(description, CLASSES, tuple(chosen), source.left_out.lines())


def _all_listed(source: Source) -> dict[str, _Listed]:
    """What the lists of each action say of each clip."""
    found: dict[tuple[str, int], Member] = {}
    for member in source.find(_LISTS, "brush_hair_test_split1.txt"):
        match = _LIST.fullmatch(member.path.name.lower())
        key = (match[1], int(match[2])) if match else ("", 0)
        if key[0] not in CLASSES or key[1] not in SPLITS:
            raise source.wrong(member.where, "is not one of JHMDB's 21 actions and 3 splits")
        if key in found:
            raise source.twice("list", member, found[key])
        found[key] = member
    owners: dict[str, str] = {}
    listed = {}
    for action in CLASSES:
        listed[action] = _of_action(source, action, found)
        for name in listed[action]:
            if name in owners:
                raise source.wrong(
                    source.path, f"lists {name}.avi as {owners[name]!r} and as {action!r}"
                )
            owners[name] = action
    return listed


def _of_action(source: Source, action: str, found: dict[tuple[str, int], Member]) -> _Listed:
    """The clips of ``action`` and their part of each split; every split has all of them."""
    listed: _Listed = {}
    for split in SPLITS:
        if (action, split) not in found:
            raise source.wrong(source.path, f"has no {action}_test_split{split}.txt")
        for name, part in _lines(source, found[action, split]).items():
            listed.setdefault(name, {})[split] = part
    for name, parts in listed.items():
        for split in SPLITS:
            if split not in parts:
                raise source.wrong(
                    found[action, split].where,
                    f"does not name {name}.avi, which split {min(parts)} has",
                )
    return listed


def _lines(source: Source, member: Member) -> dict[str, int]:
    listed: dict[str, int] = {}
    try:
        lines = source.text(member).decode("ascii").splitlines()
    except UnicodeDecodeError as error:
        raise source.wrong(member.where, f"is no text at byte {error.start}") from error
    for number, line in enumerate(lines, start=1):
        where, words = f"{member.where} line {number}", line.split()
        if not words:
            continue
        fits = len(words) == 2 and words[0].endswith(".avi") and words[0].isprintable()
        if not fits or words[1] not in _PARTS:
            raise source.wrong(where, "is not like 'NAME.avi 1' or 'NAME.avi 2'")
        name = words[0].removesuffix(".avi")
        if name in listed:
            raise source.wrong(where, f"names {words[0]} again")
        listed[name] = _PARTS[words[1]]
    return listed
