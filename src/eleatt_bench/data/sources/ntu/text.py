"""One ``.skeleton`` file of NTU RGB+D: text, read whole and strictly."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

import numpy as np

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.sources.archive import Source
from eleatt_bench.data.sources.coordinates import FAR
from eleatt_bench.data.sources.ntu.bodies import JOINTS, Body, Recording
from eleatt_bench.data.sources.ntu.decimals import Bytes, Positions, decimals
from eleatt_bench.data.store import Frames

_BODY_FIELDS, _JOINT_FIELDS = 10, 12
_BODY_LINES = 2 + JOINTS  # its own, the number of joints, the joints
LARGEST = 1 << 24  # bytes; no published file comes near this limit or the next two
_MOST_LINES, _MOST_FIELDS = 1 << 18, 1 << 20
_PLAIN = bytes(range(ord("0"), ord("9") + 1)) + b"+-.eE \t\r\n"
# Pixels and orientations that the camera could not tell are words in the published files.
_UNKNOWN = re.compile(rb"[+-]?(?:nan|inf|infinity|1\.#[a-z]+[0-9]*)", re.IGNORECASE)


def parse(source: Source, where: str, content: bytes) -> Recording:
    """The bodies of the file ``content``, which a message calls ``where``.

    The file has the number of frames, and for each frame the number of bodies. Each body has a line
    of 10 fields, the ID first, a line with the number 25, and 25 lines of 12 fields, x y z in
    metres first. Frames without a body do not count. Lines end in LF or CRLF. Fields that are not
    used are counted and must look like numbers, nothing more.

    Raises:
        UserError: anything else.
    """
    if len(content) > LARGEST:
        raise source.wrong(where, f"is too large for a recording ({len(content):,} bytes)")
    newlines = np.count_nonzero(np.frombuffer(content, np.uint8) == ord("\n"))
    if newlines > _MOST_LINES:
        raise source.wrong(where, f"has {newlines:,} lines, too many to be one")
    if not content.strip():
        raise source.wrong(where, "is empty")
    lines = _Lines.of(source, where, content)
    lines.check_characters()
    frames, blocks, ids = _walk(lines)
    if not blocks:
        return Recording(frames, [])
    joints = _joints(lines, blocks)
    found: dict[bytes, list[int]] = {}
    for index, body in enumerate(ids):
        found.setdefault(body, []).append(index)
    bodies = [Body(blocks[indices[0]].frame, joints[indices]) for indices in found.values()]
    return Recording(frames, bodies)


class _Block(NamedTuple):
    """One body in one frame: its lines begin at ``line``, or should."""

    line: int
    frame: int  # among those with bodies, from 0
    number: int  # of the frame among all, from 1


@dataclass(frozen=True)
class _Lines:
    """The fields of all lines of a file; lines count from 0."""

    source: Source
    where: str
    content: bytes
    characters: Bytes
    newlines: Positions
    starts: Positions  # of the fields
    ends: Positions
    first: Positions  # the first field of each line, and the number of all fields
    counts: list[int]  # fields of each line

    @classmethod
    def of(cls, source: Source, where: str, content: bytes) -> _Lines:
        characters = np.frombuffer(content, np.uint8)
        between = characters <= ord(" ")
        changes = between[1:] != between[:-1]
        if np.count_nonzero(changes) > 2 * _MOST_FIELDS:
            raise source.wrong(where, f"has more than {_MOST_FIELDS:,} fields")
        edges = np.flatnonzero(changes) + 1
        if not between[0]:
            edges = np.concatenate(([0], edges))
        if not between[-1]:
            edges = np.concatenate((edges, [len(characters)]))
        starts, ends = edges[0::2], edges[1::2]
        newlines = np.flatnonzero(characters == ord("\n"))
        first = np.concatenate(([0], np.searchsorted(starts, newlines), [len(starts)]))
        counts = np.diff(first).tolist()
        return cls(source, where, content, characters, newlines, starts, ends, first, counts)

    def field(self, line: int) -> bytes:
        """The first field of ``line``."""
        index = self.first[line]
        return self.content[self.starts[index] : self.ends[index]]

    def wrong(self, line: int, what: str) -> UserError:
        return self.source.wrong(f"{self.where} line {line + 1}", what)

    def check_characters(self) -> None:
        """Refuse a file that holds anything except numbers and the words for unknown ones."""
        if not self.content.translate(None, _PLAIN):
            return  # to look closer at each file of a release would take too long
        strange = np.flatnonzero(~np.isin(self.characters, np.frombuffer(_PLAIN, np.uint8)))
        begun, ended = (np.searchsorted(s, strange, side="right") for s in (self.starts, self.ends))
        between = begun == ended
        if between.any():
            line = int(np.searchsorted(self.newlines, strange[between.argmax()]))
            raise self.wrong(line, "holds a control character")
        indices = np.unique(begun) - 1
        spans = zip(self.starts[indices].tolist(), self.ends[indices].tolist(), strict=True)
        words = [self.content[start:end] for start, end in spans]
        wrong = {word for word in set(words) if not _UNKNOWN.fullmatch(word)}
        if wrong:
            first = next(number for number, word in enumerate(words) if word in wrong)
            line = int(np.searchsorted(self.newlines, self.starts[indices[first]]))
            raise self.wrong(line, f"holds {_shown(words[first])}, which is not a number")

    def whole_number(self, line: int, what: str) -> int:
        """The whole number that stands alone on ``line``; ``what`` is what it counts."""
        count = self.counts[line] if line < len(self.counts) else 0
        if count == 0:
            raise self.missing(line, what)
        if count != 1:
            raise self.wrong(line, f"has {count} fields, not {what} alone")
        field = self.field(line)
        if not field.isdigit() or len(field) > 9:
            raise self.wrong(line, f"holds {_shown(field)}, not {what}")
        return int(field)

    def missing(self, line: int, what: str) -> UserError:
        if any(self.counts[line:]):
            return self.wrong(line, f"is empty, not {what}")
        used = max(index for index, count in enumerate(self.counts) if count) + 1
        return self.source.wrong(self.where, f"is cut short: after line {used}, {what} is missing")


def _walk(lines: _Lines) -> tuple[int, list[_Block], list[bytes]]:
    """The number of frames with a body, all bodies in them, and the IDs of these bodies."""
    total = lines.whole_number(0, "the number of frames")
    line, frames, blocks = 1, 0, list[_Block]()
    stopped: UserError | None = None
    try:
        for number in range(1, total + 1):
            bodies = lines.whole_number(line, f"the number of bodies in frame {number} of {total}")
            line += 1
            for _ in range(bodies):
                blocks.append(_Block(line, frames, number))
                line += _BODY_LINES
                if line > len(lines.counts):
                    break
            frames += bodies > 0
        if any(lines.counts[line:]):
            raise lines.wrong(line, f"comes after the last of {total} frames")
    except UserError as error:  # if a body before that line is wrong, that is the cause
        stopped = error
    ids = _ids(lines, np.array([block.line for block in blocks], np.intp))
    if ids is None:
        for block in blocks:
            _check(lines, block.line, f"frame {block.number} of {total}")
        raise AssertionError("every body is sound")
    if stopped is not None:
        raise stopped
    return frames, blocks, ids


_COUNTS = [_BODY_FIELDS, 1] + JOINTS * [_JOINT_FIELDS]
_SAID = np.frombuffer(b"%d" % JOINTS, np.uint8)


def _ids(lines: _Lines, begun: Positions) -> list[bytes] | None:
    """The IDs of the bodies that begin at these lines; None if `_check` would refuse one of them.

    All are looked at together: one by one takes a sixth of the time of reading a file.
    """
    if len(begun) and begun[-1] + _BODY_LINES > len(lines.counts):
        return None
    counts = np.diff(lines.first)
    if (counts[begun[:, None] + np.arange(_BODY_LINES)] != _COUNTS).any():
        return None
    said, body = lines.first[begun + 1], lines.first[begun]
    if (lines.ends[said] - lines.starts[said] != len(_SAID)).any():
        return None
    if (lines.characters[lines.starts[said][:, None] + np.arange(len(_SAID))] != _SAID).any():
        return None
    spans = zip(lines.starts[body].tolist(), lines.ends[body].tolist(), strict=True)
    ids = [lines.content[start:end] for start, end in spans]
    return ids if all(map(bytes.isdigit, set(ids))) else None


def _check(lines: _Lines, line: int, of: str) -> None:
    """Refuse a body that begins at ``line`` unless its lines are as they should be."""
    counts = lines.counts[line : line + _BODY_LINES]
    if counts != _COUNTS:
        _refuse(lines, line, counts, of)
    if lines.field(line + 1) != b"%d" % JOINTS:
        raise lines.wrong(line + 1, f"does not say that a body of {of} has {JOINTS} joints")
    body = lines.field(line)
    if not body.isdigit():
        raise lines.wrong(line, f"holds {_shown(body)}, not the ID of a body in {of}")


def _refuse(lines: _Lines, line: int, counts: list[int], of: str) -> NoReturn:
    names = ["a body", "the number of joints", *(f"joint {k}" for k in range(1, JOINTS + 1))]
    for index, (name, expected) in enumerate(zip(names, _COUNTS, strict=True)):
        count = counts[index] if index < len(counts) else 0
        if count == 0:
            raise lines.missing(line + index, f"{name} in {of}")
        if count != expected:
            raise lines.wrong(
                line + index, f"has {count} fields, not the {expected} of {name} in {of}"
            )
    raise AssertionError("the counts are as expected")


def _joints(lines: _Lines, blocks: list[_Block]) -> Frames:
    """The coordinates (blocks, 25, 3) in float32, by way of float64 as NumPy reads text."""
    rows = np.array([block.line for block in blocks])[:, None] + np.arange(2, _BODY_LINES)
    fields = (lines.first[rows][..., None] + np.arange(3)).ravel()
    values = decimals(lines.characters, lines.starts[fields], lines.ends[fields])
    far = ~(np.abs(values) <= FAR)  # NaN is not ≤ either
    if far.any():
        index = int(far.argmax())
        field = fields[index]
        token = lines.content[lines.starts[field] : lines.ends[field]]
        raise lines.wrong(
            int(rows.flat[index // 3]),
            f"holds {_shown(token)} for a coordinate, not a number within ±{FAR} metres",
        )
    return values.astype(np.float32).reshape(len(blocks), JOINTS, 3)


def _shown(field: bytes) -> str:
    return ascii(field[:20].decode("latin-1"))
