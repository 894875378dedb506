"""The typed schema of ``data.transforms``; `eleatt_bench.data.transforms` says what each does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from eleatt_bench.common.errors import UserError

Reference = Enum("Reference", ["sequence", "frame"])
Stream = Enum("Stream", ["joints", "bones", "velocities"])


@dataclass
class AxesConfig:
    x: float = 0.0  # sideways: of the sensor, or along the shoulders where `view` is set
    y: float = 0.0  # upwards; where `view` is set, forwards
    z: float = 0.0  # towards the sensor; where `view` is set, along the spine


@dataclass
class TransformsConfig:
    """Transforms in the order in which they are applied; random ones are for training alone."""

    origin: Reference | None = None  # moves the middle joint of the first frame, or of each, to 0
    # turns the shoulders along X and the spine along Z, by the first frame, or by each for itself
    view: Reference | None = None
    shift: int = 0  # shifts an image by up to ± so many pixels along each axis
    time_warp: float = 0.0  # varies the pace by up to this fraction of it
    resample: int | None = None  # number of frames that every sequence gets
    scaling: float = 0.0  # scales the whole skeleton by up to this fraction
    # stretches by up to this fraction along each axis
    axis_scaling: AxesConfig = field(default_factory=AxesConfig)
    # rotates by up to ± so many degrees about each axis
    rotation: AxesConfig = field(default_factory=AxesConfig)
    noise: float = 0.0  # standard deviation of the noise on values that are not zero
    # what the network sees, side by side
    streams: list[Stream] = field(default_factory=lambda: [Stream.joints])


FRACTIONS = ("time_warp", "scaling", "axis_scaling.x", "axis_scaling.y", "axis_scaling.z")
_LONGEST = 1 << 16


def check_transforms(data: Mapping[str, Any]) -> None:
    """Refuse transforms in the section ``data``, as plain values, that make no sense.

    Raises:
        UserError: a fraction of 1 or more, too many frames, no streams or one stream twice.
    """
    transforms = data["transforms"]
    for name in FRACTIONS:
        section, _, axis = name.partition(".")
        value = transforms[section][axis] if axis else transforms[section]
        if not 0 <= value < 1:
            raise UserError(f"data.transforms.{name} is {value}; it must lie in [0, 1)")
    resample, streams = transforms["resample"], transforms["streams"]
    if resample is not None and resample > _LONGEST:
        raise UserError(f"data.transforms.resample is {resample}; it must be at most {_LONGEST}")
    if not streams or len(set(streams)) < len(streams):
        choices = ", ".join(stream.name for stream in Stream)
        raise UserError(
            f"data.transforms.streams is [{','.join(streams)}]; name each of {choices} that the "
            "network is to see, once"
        )
