"""Noise on what the sensor measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


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
