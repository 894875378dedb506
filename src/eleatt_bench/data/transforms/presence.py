"""Which bodies are there in which frames, and by which frame a sequence is normalised.

Points are (B, T, M, J, 3): sequences, steps, bodies, joints of a body, x y z.
"""

from __future__ import annotations

import torch
from torch import Tensor


def present(points: Tensor, lengths: Tensor) -> Tensor:
    """Which bodies are there, (B, T, M) bool.

    Where a body is not, all its joints are zero; in padding there is none.
    """
    valid = torch.arange(points.shape[1], device=points.device) < lengths[:, None]
    return (points != 0).flatten(3).any(3) & valid[:, :, None]


def reference_frames(there: Tensor, reference: str) -> Tensor:
    """The frame whose first body a frame is normalised by, (B, 1) or (B, T) int64.

    With ``reference`` "sequence" it is one for the whole sequence: the first frame that has the
    first body. With "frame" it is the frame itself; where that lacks the first body, the last one
    before it that has it, and before all of those the first that has it. A sequence without the
    first body gets frame 0. ``there`` (B, T, M) is what `present` gives.
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
