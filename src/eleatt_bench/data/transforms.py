"""Transforms of whole batches, on the device where the batch is."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from eleatt_bench.data.module import Batch
from eleatt_bench.data.store import SequenceStore
from eleatt_bench.errors import UserError


class Transforms:
    """Origin, rotation and noise, in this order; padding stays zero.

    ``origin`` subtracts the layout's origin joint of the first frame from every joint of all
    frames, in training and in testing. While training only, ``rotation`` turns every sequence
    about X, then Y, then Z, by angles uniform in ± ``rotation`` degrees, and ``noise`` is the
    standard deviation of what is added to non-zero inputs. Torch's global generator is used.

    Raises:
        UserError: origin or rotation of what is no skeleton, or the origin of a store whose
            frames have been moved there already.
    """

    def __init__(
        self, origin: bool, rotation: float, noise: float, *, store: SequenceStore
    ) -> None:
        skeleton = store.layout["kind"] == "skeleton"
        for name, wanted in (("origin", origin), ("rotation", rotation > 0)):
            if wanted and not skeleton:
                raise UserError(
                    f"data.transforms.{name} is for skeletons; {store.name} holds "
                    f"{store.layout['kind']}s: leave it out"
                )
        if origin and store.origin_applied:
            raise UserError(
                f"{store.path} already has its origin moved: set data.transforms.origin=false"
            )
        self._origin: int | None = store.layout["origin"] if origin else None
        self._rotation, self._noise = math.radians(rotation), noise

    def __call__(self, batch: Batch, training: bool) -> Batch:
        """``batch`` with its ``inputs`` (B, T, D) transformed; the original stays as it is."""
        inputs = batch.inputs
        if self._origin is not None:
            inputs = _move_origin(inputs, batch.lengths, self._origin)
        if training and self._rotation:
            inputs = _rotate(inputs, self._rotation)
        if training and self._noise:
            inputs = inputs + self._noise * torch.randn_like(inputs) * (inputs != 0)
        return batch._replace(inputs=inputs)


def _move_origin(inputs: Tensor, lengths: Tensor, joint: int) -> Tensor:
    B, T, D = inputs.shape
    joints = inputs.view(B, T, D // 3, 3)
    moved = (joints - joints[:, :1, joint : joint + 1]).view(B, T, D)
    valid = torch.arange(T, device=inputs.device) < lengths[:, None]
    return moved * valid[:, :, None]


def _rotate(inputs: Tensor, limit: float) -> Tensor:
    """Every sequence by a rotation of its own, with angles uniform in ± ``limit`` radians."""
    B, T, D = inputs.shape
    angles = (2 * torch.rand(B, 3, device=inputs.device, dtype=inputs.dtype) - 1) * limit
    with torch.autocast(inputs.device.type, enabled=False):  # not in half precision
        points = inputs.view(B, T * (D // 3), 3)
        return (points @ rotation_matrices(angles).mT).view(B, T, D)


def rotation_matrices(angles: Tensor) -> Tensor:
    """R = Rz·Ry·Rx (B, 3, 3) of ``angles`` (B, 3) about X, Y and Z, in radians; x' = R x."""
    (cx, cy, cz), (sx, sy, sz) = angles.cos().unbind(1), angles.sin().unbind(1)
    rows = (
        (cy * cz, sx * sy * cz - cx * sz, cx * sy * cz + sx * sz),
        (cy * sz, sx * sy * sz + cx * cz, cx * sy * sz - sx * cz),
        (-sy, sx * cy, cx * cy),
    )
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)
