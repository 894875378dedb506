"""Transforms of whole batches, on the device where the batch is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eleatt_bench.data.batches import Batch, pixel_order
from eleatt_bench.data.layout import bodies_per_frame, joints_per_body, step_size
from eleatt_bench.data.store import SequenceStore
from eleatt_bench.data.transforms.geometry import (
    JOINTS,
    move_origin,
    present,
    random_factors,
    random_rotations,
    reference_frames,
    rotate,
    view_rotations,
)
from eleatt_bench.data.transforms.randomness import Draws, Purpose
from eleatt_bench.data.transforms.refusals import check
from eleatt_bench.data.transforms.time import KNOTS, resample, warp
from eleatt_bench.data.transforms.values import add_noise, bones, move_images, velocities


class Transforms:
    """The transforms that the section ``data.transforms`` of a run turns on, in this order.

    1. ``origin``: coordinates relative to the layout's origin joint in the sequence's first frame
       ("sequence") or in each frame ("frame");
    2. ``view``: shoulders along X and spine along Z, in the first frame or in each;
    3. ``shift``, while training: images moved by up to this many pixels along each axis, with any
       setting of ``sequence``;
    4. ``time_warp``, while training: a pace that varies by up to this fraction of itself;
    5. ``resample``: this many frames of each sequence, one from each of equal segments: its middle
       one, or while training a random one;
    6. ``scaling`` and ``axis_scaling``, while training: by up to these fractions, as a whole and
       along each axis;
    7. ``rotation``, while training: about X, then Y, then Z, by up to these angles in degrees;
    8. ``noise``, while training: of this standard deviation, on what is not zero;
    9. ``streams``: joints, bones and velocities side by side.

    So normalisation sees the published frames, and streams are made from the result of all others.
    Random numbers follow from (``seed``, epoch, index in the store). Every number of the result is
    computed from its own sequence alone, in the same way in any batch. Padding stays zero.

    Raises:
        UserError: a transform that the frames of ``store`` do not allow.
    """

    def __init__(self, data: Mapping[str, Any], store: SequenceStore, seed: int) -> None:
        config = data["transforms"]
        check(config, store)
        self._config, self._seed, self._layout = config, seed, store.layout
        self._pixels = data["sequence"] != "frames"
        self._permuted = data["sequence"] == "permuted_pixels"
        axes = [config[name] for name in ("rotation", "axis_scaling")]
        self._rotation, self._axis_scaling = ([limit[axis] for axis in "xyz"] for limit in axes)
        self._skeleton = store.layout["kind"] == "skeleton"
        if config["view"]:
            first, second, third, fourth = map(store.layout["joints"].index, JOINTS)
            self._view = (first, second, third, fourth)

    def step_size(self, values: int) -> int:
        """The number of values of a step after the transforms, if it was ``values`` before."""
        streams = self._config["streams"]
        return values if streams == ["joints"] else step_size(self._layout, streams)

    def steps(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The steps that the network reads, and their number in each sequence.

        A network that reads pixels gets those of images (B, height, width) in its order, as
        (B, height · width, 1); any other gets ``frames`` and ``lengths``.
        """
        if not self._pixels:
            return frames, lengths
        pixels = frames.flatten(1)
        if self._permuted:
            pixels = pixels[:, pixel_order(self._layout)]
        return pixels.unsqueeze(2), torch.full_like(lengths, pixels.shape[1])

    def __call__(self, batch: Batch, training: bool) -> Batch:
        """A copy of ``batch`` with transformed ``inputs`` (B, T, D) and ``lengths``."""
        draws = Draws(self._seed, batch.epoch, batch.indices) if training else None
        inputs = self._normalised(batch.inputs, batch.lengths)
        if draws is not None:
            inputs = self._moved(inputs, draws)
        inputs, lengths = self._in_time(inputs, batch.lengths, draws)
        if draws is not None:
            inputs = self._augmented(inputs, lengths, draws)
        return batch._replace(inputs=self._streams(inputs, lengths), lengths=lengths)

    def _points(self, inputs: Tensor) -> Tensor:
        """``inputs`` (B, T, D) as (B, T, M, J, 3), a view."""
        joints = joints_per_body(self._layout)
        return inputs.view(*inputs.shape[:2], bodies_per_frame(self._layout), joints, 3)

    def _normalised(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        origin, view = self._config["origin"], self._config["view"]
        if not origin and not view:
            return inputs
        points = self._points(inputs)
        there = present(points, lengths)
        if origin:
            frames = reference_frames(there, origin)
            points = move_origin(points, there, frames, self._layout["origin"])
        if view:
            turns = view_rotations(points, reference_frames(there, view), self._view)
            points = rotate(points, turns[:, :, None, None])
        return points.flatten(2)

    def _moved(self, inputs: Tensor, draws: Draws) -> Tensor:
        most = self._config["shift"]
        if not most or not len(inputs):
            return inputs
        pixels = inputs.flatten(1)
        order = pixel_order(self._layout) if self._permuted else np.arange(pixels.shape[1])
        images = pixels[:, np.argsort(order)]
        images = images.view(len(inputs), self._layout["height"], self._layout["width"])
        moved = move_images(images, most, draws.words(Purpose.SHIFT, 2)).flatten(1)
        return moved[:, order].view_as(inputs)

    def _in_time(
        self, inputs: Tensor, lengths: Tensor, draws: Draws | None
    ) -> tuple[Tensor, Tensor]:
        fraction, count = self._config["time_warp"], self._config["resample"]
        if fraction and draws is not None:
            if self._skeleton:
                there = present(self._points(inputs), lengths)
            else:  # one "body", in every frame
                there = torch.ones_like(inputs[:, :, :1], dtype=torch.bool)
            paces = 1 + fraction * draws.uniform(Purpose.TIME_WARP, KNOTS)
            inputs = warp(inputs, lengths, there, paces)
        if count is None:
            return inputs, lengths
        words = None if draws is None else draws.words(Purpose.RESAMPLE, count)
        return resample(inputs, lengths, count, words)

    def _augmented(self, inputs: Tensor, lengths: Tensor, draws: Draws) -> Tensor:
        scaling, noise = self._config["scaling"], self._config["noise"]
        maps = np.eye(3)  # or (B, 3, 3)
        if scaling or any(self._axis_scaling):
            uniform = draws.uniform(Purpose.SCALING, 4)
            maps = maps * random_factors(scaling, self._axis_scaling, uniform)[:, :, None]
        if any(self._rotation):
            turns = random_rotations(self._rotation, draws.uniform(Purpose.ROTATION, 3))
            maps = turns @ maps
        if maps.ndim == 3:
            own = torch.from_numpy(maps).to(inputs.dtype).to(inputs.device)
            inputs = rotate(self._points(inputs), own[:, None, None, None]).flatten(2)
        if noise:
            generators = draws.generators(Purpose.NOISE)
            inputs = add_noise(inputs, lengths, noise, generators)
        return inputs

    def _streams(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        names = self._config["streams"]
        if names == ["joints"]:
            return inputs
        points, found = self._points(inputs), []
        for name in names:
            if name == "joints":
                found.append(inputs)
            elif name == "bones":
                pairs = torch.tensor(self._layout["bones"], device=inputs.device)
                found.append(bones(points, pairs).flatten(2))
            else:
                found.append(velocities(points, present(points, lengths)).flatten(2))
        return torch.cat(found, dim=2)
