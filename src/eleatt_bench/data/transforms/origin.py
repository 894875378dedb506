"""The origin of the coordinates, moved to a joint."""

from __future__ import annotations

from torch import Tensor

from eleatt_bench.data.transforms.presence import joint_at


def move_origin(points: Tensor, there: Tensor, frames: Tensor, joint: int) -> Tensor:
    """``points`` (B, T, M, J, 3) with a joint of the first body subtracted from all of them.

    Where that joint is, is read in ``frames`` (B, 1 or T); units stay what they are. Bodies that
    are not ``there`` (B, T, M), and padding, stay zero.
    """
    origin = joint_at(points, frames, joint)[:, :, None, None]
    return (points - origin).mul_(there[:, :, :, None, None].to(points.dtype))
