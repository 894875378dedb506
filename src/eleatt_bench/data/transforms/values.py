"""Other values in the same frames: images moved, noise, bones and velocities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from eleatt_bench.data.store import Integers


def move_images(images: Tensor, most: int, words: Integers) -> Tensor:
    """``images`` (B, height, width), each moved by whole pixels down and right; zeros come in.

    Both distances are in -``most`` … ``most``, all equally likely; ``words`` (B, 2), integers below
    2**32, choose them.
    """
    distances = torch.from_numpy((words * (2 * most + 1) >> 32) - most).to(images.device)
    moved = images
    for axis, distance in zip((1, 2), distances.unbind(1), strict=True):
        size = images.shape[axis]
        source = torch.arange(size, device=images.device) - distance[:, None]
        there = (source >= 0) & (source < size)
        shape = [len(images), 1, 1]
        shape[axis] = size
        index = source.clamp(0, size - 1).view(shape).expand_as(images)
        moved = moved.gather(axis, index) * there.view(shape).to(images.dtype)
    return moved


def add_noise(
    inputs: Tensor, lengths: Tensor, deviation: float, generators: Sequence[np.random.Generator]
) -> Tensor:
    """``inputs`` (B, T, D) with Gaussian noise of standard ``deviation`` on what is not zero.

    The noise is in the units of ``inputs``; zeros (padding, absent bodies) stay. Each sequence
    has a generator of its own, which gives its numbers frame by frame.
    """
    # A generator for each sequence took 94 ms for 256 sequences of 20 to 300 × 150 values, hashing
    # a counter for each value 138 ms; torch's generators (69 ms) have only 32 bits of seed.
    noise = np.zeros(inputs.shape, dtype=np.float32)
    for row, length, generator in zip(noise, lengths.tolist(), generators, strict=True):
        generator.standard_normal(out=row[:length], dtype=np.float32)
    added = torch.from_numpy(noise).to(inputs.dtype).to(inputs.device)
    return inputs + deviation * added * (inputs != 0)


def bones(points: Tensor, pairs: Tensor) -> Tensor:
    """The vector from each bone's first joint to its second, (B, T, K, 3), in units of ``points``.

    ``points`` are (B, T, M, J, 3); ``pairs`` (K, 2) are joints, counted through all M bodies. The
    bones of a body that is not there are zero, as its joints are.
    """
    joints = points.flatten(2, 3)
    return joints.index_select(2, pairs[:, 1]) - joints.index_select(2, pairs[:, 0])


def velocities(points: Tensor, there: Tensor) -> Tensor:
    """How far each joint of ``points`` (B, T, M, J, 3) moved since the frame before.

    Zero in the first frame, and where a body is not ``there`` (B, T, M) in both frames: to appear
    is not to move.
    """
    moved = torch.zeros_like(points)
    both = (there[:, 1:] & there[:, :-1])[..., None, None].to(points.dtype)
    moved[:, 1:] = (points[:, 1:] - points[:, :-1]) * both
    return moved
