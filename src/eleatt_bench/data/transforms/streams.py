"""What else a skeleton can be seen as: bones and velocities."""

from __future__ import annotations

import torch
from torch import Tensor


def bones(points: Tensor, pairs: Tensor) -> Tensor:
    """From each bone's first joint to its second, (B, T, K, 3), in the units of ``points``.

    ``points`` are (B, T, M, J, 3); ``pairs`` (K, 2) are joints, counted through all M bodies. The
    bones of a body that is not there are zero, as its joints are.
    """
    joints = points.flatten(2, 3)
    return joints.index_select(2, pairs[:, 1]) - joints.index_select(2, pairs[:, 0])


def velocities(points: Tensor, there: Tensor) -> Tensor:
    """How far each joint of ``points`` (B, T, M, J, 3) came since the frame before, per frame.

    Zero in the first frame, and where a body is not ``there`` (B, T, M) in both frames: to appear
    is not to move.
    """
    moved = torch.zeros_like(points)
    both = (there[:, 1:] & there[:, :-1])[..., None, None].to(points.dtype)
    moved[:, 1:] = (points[:, 1:] - points[:, :-1]) * both
    return moved
