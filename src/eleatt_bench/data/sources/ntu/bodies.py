"""From the bodies that a Kinect v2 tracked to one or two actors, as NTU RGB+D is always used.

The steps, thresholds and the order of the arithmetic are those of the public code of the paper's
authors (``data/ntu`` of microsoft/View-Adaptive-Neural-Networks-for-Skeleton-based-Human-Action-
Recognition), even where they are rough, so that frames agree with theirs number by number. The
authors used float32 and NumPy 1, where a float32 scalar times 0.8 is float64.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from eleatt_bench.data.store import Frames

JOINTS = 25
WIDTH = 3 * JOINTS  # columns of an actor

_SHORT = 11  # frames; a body seen in no more is a mistake of the tracker
_FLAT = 0.8  # a body wider than this part of its height is furniture, or lies on it
_MOSTLY = 0.69754  # a body that is flat in this part of its frames is dropped
_MIDDLE = slice(3, 6)  # columns of the second joint, the middle of the spine


class Body(NamedTuple):
    """What one ID tracked: ``joints`` (n, 25, 3) in metres, from frame ``start`` on without gap."""

    start: int
    joints: Frames

    @property
    def last(self) -> int:
        return self.start + len(self.joints) - 1


class Recording(NamedTuple):
    """The bodies in their order of appearance; ``frames`` counts the frames with any of them."""

    frames: int
    bodies: list[Body]


class UnusableError(Exception):
    """No actor can be had from a recording; the message continues "the sample …"."""


def select(recording: Recording) -> Frames:
    """The frames (T, 150) of the sample: actor 1, then actor 2 or zeros; origin moved.

    Raises:
        UnusableError: no body is left, a body has more frames than the recording, or actor 1 has
            only zeros.
    """
    if not recording.bodies:
        raise UnusableError("has no body in any frame")
    if len(recording.bodies) == 1:  # kept as it is, however short
        columns = _one_actor(recording.frames, recording.bodies[0])
    else:
        bodies = _by_motion(_without_short(recording.bodies))
        if len(bodies) == 1:
            columns = _one_actor(recording.frames, bodies[0])
        else:
            columns = _two_actors(recording.frames, bodies)
        columns = columns[~_missing(columns)]
    return _translated(columns)


def _without_short(bodies: list[Body]) -> list[Body]:
    """Rule 1: a body seen for a moment is a mistake of the tracker."""
    kept = [body for body in bodies if len(body.joints) > _SHORT]
    if not kept:
        raise UnusableError(f"has {len(bodies)} bodies, none of them in more than {_SHORT} frames")
    return kept


def _by_motion(bodies: list[Body]) -> list[Body]:
    """Rules 2 and 3: without bodies that are too flat for a person, largest motion first.

    The last body left is never dropped, so the order of appearance matters. Of two bodies with the
    same motion the earlier one comes first.
    """
    left = len(bodies)
    moving = []
    for body in bodies:
        motion = _motion(body.joints)
        flat = _flat(body.joints) if left > 1 else np.zeros(len(body.joints), np.bool_)
        if flat.mean() >= _MOSTLY:
            left -= 1
            continue
        if flat.any():  # flat frames are mistakes of the tracker, not motion
            motion = min(motion, _motion(body.joints[~flat]))
        moving.append((motion, body))
    moving.sort(key=lambda pair: pair[0], reverse=True)
    return [body for _, body in moving]


def _motion(joints: Frames) -> float:
    """The variance of x, of y and of z over all joints and frames, added up, in float32."""
    return float(np.sum(np.var(joints.reshape(-1, 3), axis=0)))


def _flat(joints: Frames) -> npt.NDArray[np.bool_]:
    """For each frame, whether the extent of the joints in x is more than 0.8 of that in y."""
    reach = joints.max(axis=1) - joints.min(axis=1)
    flat: npt.NDArray[np.bool_] = reach[:, 0] > _FLAT * reach[:, 1].astype(np.float64)
    return flat


def _one_actor(frames: int, body: Body) -> Frames:
    columns = np.zeros((frames, WIDTH), np.float32)
    _lay(columns, body)
    return columns


def _two_actors(frames: int, bodies: list[Body]) -> Frames:
    """Give each body to the first actor who has no frames in its time, or drop it.

    Actor 2 begins with the interval [0, 0], so that its interval always begins at frame 0. One
    common frame is no overlap; in that frame the later body replaces the earlier one.
    """
    columns = np.zeros((frames, 2 * WIDTH), np.float32)
    actors = [columns[:, :WIDTH], columns[:, WIDTH:]]
    times = [(bodies[0].start, bodies[0].last), (0, 0)]
    _lay(actors[0], bodies[0])
    for body in bodies[1:]:
        for actor, (start, last) in enumerate(times):
            if min(last, body.last) - max(start, body.start) <= 0:
                _lay(actors[actor], body)
                times[actor] = (min(start, body.start), max(last, body.last))
                break
    return columns


def _lay(columns: Frames, body: Body) -> None:
    if body.last >= len(columns):
        raise UnusableError("has a body that is in one frame twice")
    columns[body.start : body.last + 1] = body.joints.reshape(-1, WIDTH)


def _missing(columns: Frames) -> npt.NDArray[np.bool_]:
    """The frames without any body: as for the authors, those whose sum is zero."""
    missing: npt.NDArray[np.bool_] = columns.sum(axis=1) == 0
    return missing


def _translated(columns: Frames) -> Frames:
    """The frames with actor 1's middle of the spine, in the actor's first frame, as the origin.

    An actor stays zero in frames where it is missing.
    """
    present = (columns[:, :WIDTH] != 0).any(axis=1)
    if not present.any():
        raise UnusableError("has nothing but zeros for coordinates of its first actor")
    moved = np.zeros((len(columns), 2 * WIDTH), np.float32)
    origin = np.tile(columns[int(present.argmax()), _MIDDLE], JOINTS)
    one = columns.shape[1] == WIDTH  # an only actor is taken to be in every frame
    for first in range(0, columns.shape[1], WIDTH):
        actor = columns[:, first : first + WIDTH]
        there = np.ones(len(actor), np.bool_) if one else ~_missing(actor)
        moved[there, first : first + WIDTH] = actor[there] - origin
    return moved
