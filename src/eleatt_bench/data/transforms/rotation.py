"""Rotations of skeletons: by given matrices, and by random angles about X, Y and Z."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Floats = npt.NDArray[np.float64]


_PIECE = 3 << 15
"""Numbers that a CPU turns at a time. They stay in its cache, and torch would not share out
operations on so few among threads, which wait for each other where the cores have other work."""


def rotate(points: Tensor, matrices: Tensor) -> Tensor:
    """``points`` (B, ..., 3) turned by ``matrices`` (B, ..., 3, 3), which broadcast: x' = R x.

    Element by element and not as a matrix product: that would round differently with what else is
    in the batch, and in half precision under autocast.
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

    The angles are within ± ``limits`` (of X, of Y, of Z), in degrees; ``uniform`` (B, 3), between
    -1 and 1, says where.
    """
    return rotation_matrices(np.radians(limits) * uniform)
