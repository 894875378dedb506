"""Skeletons turned to be seen from one side, whatever camera filmed them."""

from __future__ import annotations

import torch
from torch import Tensor

from eleatt_bench.data.transforms.presence import joint_at
from eleatt_bench.data.transforms.rotation import rotate

JOINTS = ("hip centre", "spine", "left shoulder", "right shoulder")
"""The joints that a view is taken from, by the names that a store's layout gives them."""

_OPPOSITE = 1e-6  # squared length of the sum of two unit vectors, below which they cancel


def view_rotations(points: Tensor, frames: Tensor, joints: tuple[int, int, int, int]) -> Tensor:
    """The rotations that normalise the view, (B, R, 3, 3), by the first body in ``frames`` (B, R).

    As published with ST-GCN's successors for NTU RGB+D (the pre-normalisation of 2s-AGCN): the
    shortest rotation that turns the line from the hip centre to the spine parallel to Z, then the
    shortest that turns the line from the left shoulder, so turned, to the right one parallel to
    X. Afterwards the shoulders are parallel to X exactly and the spine to Z as nearly as it is at
    right angles to them. A line of length zero turns nothing. ``joints`` are the indices of
    `JOINTS` in a body of ``points`` (B, T, M, J, 3).
    """
    hip, spine, left, right = (joint_at(points, frames, joint) for joint in joints)
    upright = _shortest(spine - hip, axis=2)
    sideways = _shortest(rotate(right - left, upright), axis=0)
    # sideways · upright, column by column
    return rotate(upright.mT, sideways[:, :, None]).mT


def _shortest(lines: Tensor, axis: int) -> Tensor:
    """The rotations (B, R, 3, 3) by the smallest angle that turn ``lines`` (B, R, 3) to an axis.

    With unit vectors a and b, R = 1 - (a + b)(a + b)ᵀ / (1 + a·b) + 2 b aᵀ. For a = -b, where no
    rotation is the shortest, it is half a turn about X for Z and about Z for X.
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
