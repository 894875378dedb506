"""The time axis: sequences at another pace, and sequences of equally many frames."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from eleatt_bench.data.store import Integers

KNOTS = 5
"""The number of moments, evenly spaced from first to last frame, for which a pace is drawn."""


def warp(inputs: Tensor, lengths: Tensor, there: Tensor, paces: npt.NDArray[np.float64]) -> Tensor:
    """Every sequence of ``inputs`` (B, T, D) played at a changing pace; lengths stay.

    ``paces`` (B, KNOTS) > 0 are frames per step, times a factor that lets the last step fall on the
    last frame. Between the knots the pace changes linearly, so that positions move smoothly and
    always forward. Between two frames the values of a body that is ``there`` (B, T, M) in both are
    interpolated linearly; those of other bodies are taken from the nearer frame. Padding stays
    zero.
    """
    positions = _positions(lengths, inputs.shape[1], paces).to(inputs.dtype)
    last = lengths[:, None] - 1
    before = torch.minimum(positions.long(), last)
    after = torch.minimum(before + 1, last)
    shape = (*there.shape, inputs.shape[2] // there.shape[2])
    left, right = (take(inputs, at).view(shape) for at in (before, after))
    weight = (positions - before)[:, :, None, None]
    both = (take(there, before) & take(there, after))[..., None]
    nearer = torch.where(weight < 0.5, left, right)
    warped = torch.where(both, left + weight * (right - left), nearer).flatten(2)
    valid = torch.arange(inputs.shape[1], device=inputs.device) < lengths[:, None]
    return warped.mul_(valid[:, :, None].to(inputs.dtype))


def _positions(lengths: Tensor, steps: int, paces: npt.NDArray[np.float64]) -> Tensor:
    """The position of each step in frames, (B, T): 0 for the first, the last frame for the last."""
    pieces = KNOTS - 1
    passed = np.cumsum((paces[:, :-1] + paces[:, 1:]) / 2, axis=1)
    passed = np.concatenate([np.zeros_like(passed[:, :1]), passed], axis=1)  # at the knots
    way, pace = (
        torch.from_numpy(values / passed[:, -1:]).float().to(lengths.device)
        for values in (passed, paces)
    )
    last = (lengths[:, None] - 1).float()
    elapsed = torch.arange(steps, device=lengths.device) * pieces / last.clamp(min=1)
    elapsed = elapsed.clamp(max=pieces)  # padding stays at the last frame
    piece = elapsed.long().clamp(max=pieces - 1)
    since = elapsed - piece
    start, end = pace.gather(1, piece), pace.gather(1, piece + 1)
    return last * (way.gather(1, piece) + since * (start + (end - start) * since / 2))


def resample(
    inputs: Tensor, lengths: Tensor, count: int, words: Integers | None
) -> tuple[Tensor, Tensor]:
    """``count`` frames of every sequence of ``inputs`` (B, T, D), and the new lengths.

    A sequence is cut into ``count`` segments as equal as whole frames allow, and each gives one
    frame: its middle one, or with ``words`` (B, count), integers below 2**32, a random one. A
    sequence shorter than ``count`` has frames that are taken more than once.
    """
    edges = torch.arange(count + 1, device=lengths.device) * lengths[:, None]
    edges = torch.div(edges, count, rounding_mode="floor")
    size = (edges[:, 1:] - edges[:, :-1]).clamp(min=1)
    if words is None:
        within = torch.div(size, 2, rounding_mode="floor")
    else:  # word / 2**32 of the segment
        within = (torch.from_numpy(words).to(lengths.device) * size) >> 32
    return take(inputs, edges[:, :-1] + within), torch.full_like(lengths, count)


def take(inputs: Tensor, frames: Tensor) -> Tensor:
    """The ``frames`` (B, S) of ``inputs`` (B, T, ...), in this order: (B, S, ...)."""
    first = torch.arange(len(inputs), device=inputs.device)[:, None] * inputs.shape[1]
    rows = inputs.flatten(0, 1).index_select(0, (first + frames).flatten())
    return rows.view(*frames.shape, *inputs.shape[2:])
