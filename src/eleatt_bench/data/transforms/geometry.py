"""Skeletons moved, turned and scaled: by the body in a reference frame, or at random.

Points are (B, T, M, J, 3): B sequences of T frames with M bodies of J joints, in metres as a rule.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Floats = npt.NDArray[np.float64]

_PIECE = 3 << 15
"""Numbers that a CPU rotates at a time.

They stay in its cache. And torch does not divide operations on so few among threads, which would
wait for each other if the cores are busy.
"""

JOINTS = ("hip centre", "spine", "left shoulder", "right shoulder")
"""The joints that a view is taken from, by the names that a store's layout gives them."""

_OPPOSITE = 1e-6  # two unit vectors are opposite if the squared length of their sum is below this


def present(points: Tensor, lengths: Tensor) -> Tensor:
    """Which bodies are there, (B, T, M) bool.

    The joints of a body that is not there are all zero. There are no bodies in padding.
    """
    valid = torch.arange(points.shape[1], device=points.device) < lengths[:, None]
    return (points != 0).flatten(3).any(3) & valid[:, :, None]


def reference_frames(there: Tensor, reference: str) -> Tensor:
    """The frame by whose first body each frame is normalised, (B, 1) or (B, T) int64.

    With ``reference`` "sequence" it is the same for the whole sequence: the first frame that has
    the first body. With "frame" it is the frame itself. If this frame does not have the first body,
    it is the last frame before that does, or if there is none the first frame after that does. A
    sequence without the first body gets frame 0. ``there`` (B, T, M) is what `present` gives.
    """
    first = there[:, :, 0].int().argmax(1, keepdim=True)
    if reference == "sequence":
        return first
    steps = torch.arange(there.shape[1], device=there.device)
    latest = torch.where(there[:, :, 0], steps, -1).cummax(1).values
    return torch.maximum(latest, first)


def joint_at(points: Tensor, frames: Tensor, joint: int) -> Tensor:
    """Where a joint of the first body is in ``frames`` (B, R): (B, R, 3)."""
    return points[:, :, 0, joint].gather(1, frames[:, :, None].expand(-1, -1, 3))


def move_origin(points: Tensor, there: Tensor, frames: Tensor, joint: int) -> Tensor:
    """``points`` (B, T, M, J, 3) with a joint of the first body subtracted from all of them.

    The position of that joint is read in ``frames`` (B, 1 or T). Units stay what they are. Bodies
    that are not ``there`` (B, T, M), and padding, stay zero.
    """
    origin = joint_at(points, frames, joint)[:, :, None, None]
    return (points - origin).mul_(there[:, :, :, None, None].to(points.dtype))


def rotate(points: Tensor, matrices: Tensor) -> Tensor:
    """``points`` (B, ..., 3) turned by ``matrices`` (B, ..., 3, 3), which broadcast: x' = R x.

    This is done element by element. A matrix product would round differently with the rest of the
    batch, and in half precision under autocast.
    """
    turned = torch.empty_like(points)
    on_cpu = points.device.type == "cpu"
    size = _PIECE // math.prod(points.shape[1:]) if on_cpu else len(points)
    for start in range(0, len(points), max(1, size)):
        piece = slice(start, start + max(1, size))
        x, y, z = points[piece].unbind(-1)
        for axis, row in enumerate(matrices[piece].unbind(-2)):
            of_x, of_y, of_z = row.unbind(-1)
            total = x * of_x
            total += y * of_y
            total += z * of_z
            turned[piece][..., axis] = total
    return turned


def rotation_matrices(angles: Floats) -> Floats:
    """R = Rz·Ry·Rx (B, 3, 3) of ``angles`` (B, 3) about X, Y and Z, in radians; x' = R x."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles).T, np.sin(angles).T
    rows = (
        (cy * cz, sx * sy * cz - cx * sz, cx * sy * cz + sx * sz),
        (cy * sz, sx * sy * sz + cx * cz, cx * sy * sz - sx * cz),
        (-sy, sx * cy, cx * cy),
    )
    return np.stack([np.stack(row, axis=1) for row in rows], axis=1)


def random_rotations(limits: Sequence[float], uniform: Floats) -> Floats:
    """A rotation for each sequence, (B, 3, 3): about X, then Y, then Z.

    The angles are ``limits`` (of X, of Y, of Z), in degrees, times ``uniform`` (B, 3), which is
    between -1 and 1.
    """
    return rotation_matrices(np.radians(limits) * uniform)


def view_rotations(points: Tensor, frames: Tensor, joints: tuple[int, int, int, int]) -> Tensor:
    """The rotations that normalise the view, (B, R, 3, 3), by the first body in ``frames`` (B, R).

    As published with ST-GCN's successors for NTU RGB+D (the pre-normalisation of 2s-AGCN). First
    comes the shortest rotation that turns the line from the hip centre to the spine parallel to Z.
    Then comes the shortest that turns the line from the left to the right shoulder, after the first
    rotation, parallel to X. Afterwards the shoulders are exactly parallel to X, and the spine is
    parallel to Z as far as it was at right angles to the shoulders. A line of length zero turns
    nothing. ``joints`` are the indices of `JOINTS` in a body of ``points`` (B, T, M, J, 3).
    """
    hip, spine, left, right = (joint_at(points, frames, joint) for joint in joints)
    upright = _shortest(spine - hip, axis=2)
    sideways = _shortest(rotate(right - left, upright), axis=0)
    # sideways · upright, column by column
    return rotate(upright.mT, sideways[:, :, None]).mT


def _shortest(lines: Tensor, axis: int) -> Tensor:
    """The rotations (B, R, 3, 3) by the smallest angle that turn ``lines`` (B, R, 3) to an axis.

    With unit vectors a and b, R = 1 - (a + b)(a + b)ᵀ / (1 + a·b) + 2 b aᵀ. For a = -b no rotation
    is the shortest: R is half a turn, about X if the axis is Z and about Z if it is X.
    """
    x, y, z = lines.unbind(-1)
    length = (x * x + y * y + z * z).sqrt()[:, :, None]
    target = torch.eye(3, dtype=lines.dtype, device=lines.device)[axis].expand_as(lines)
    start = torch.where(length > 0, lines / length, target)
    both = start + target
    x, y, z = both.unbind(-1)
    squared = (x * x + y * y + z * z)[:, :, None, None]  # 2 (1 + a·b)
    one = torch.eye(3, dtype=lines.dtype, device=lines.device)
    reflected = 2 * _outer(both, both) / squared.clamp(min=_OPPOSITE)
    turned = one - reflected + 2 * _outer(target, start)
    half = 2 * _outer(one[2 - axis], one[2 - axis]) - one
    return torch.where(squared > _OPPOSITE, turned, half)


def _outer(left: Tensor, right: Tensor) -> Tensor:
    return left[..., :, None] * right[..., None, :]


def random_factors(limit: float, limits: Sequence[float], uniform: Floats) -> Floats:
    """What each sequence's x, y and z are multiplied by, (B, 3).

    Each is the product of a factor in 1 ± ``limit``, which the three axes share, and one in
    1 ± ``limits`` of its own axis. ``uniform`` (B, 4), between -1 and 1, says where in these ranges
    the factors are, the shared one first.
    """
    return (1 + limit * uniform[:, :1]) * (1 + np.asarray(limits) * uniform[:, 1:])
