"""What the numbers of a frame are; for skeletons: bodies, joints, bones and streams.

A skeleton's frame is x, y, z of each joint, of one body after the other. The joints of every body
have the same names in the same order; the first body's come first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

KINDS = {"skeleton": "skeletons", "image": "images", "features": "features"}
"""What a store holds, in words, by the ``kind`` of its layout."""


def is_features(layout: Mapping[str, Any]) -> bool:
    """Whether a frame is what a network made of a picture."""
    return layout.get("kind") == "features"


def joints_per_body(layout: Mapping[str, Any]) -> int:
    """The number of joints of one body."""
    return len(dict.fromkeys(layout["joints"]))


def bodies_per_frame(layout: Mapping[str, Any]) -> int:
    """The number of bodies that a frame has room for."""
    return len(layout["joints"]) // joints_per_body(layout)


def step_size(layout: Mapping[str, Any], streams: Sequence[str]) -> int:
    """The number of values of a step that is made of ``streams``: joints, bones, velocities."""
    vectors = {
        "joints": len(layout["joints"]),
        "bones": len(layout["bones"]),
        "velocities": len(layout["joints"]),
    }
    return 3 * sum(vectors[stream] for stream in streams)


def vector_names(layout: Mapping[str, Any], streams: Sequence[str]) -> list[str]:
    """What each x, y, z of a step that is made of ``streams`` belongs to, in their order."""
    size, joints = joints_per_body(layout), []
    for position, name in enumerate(layout["joints"]):
        joints.append(name if position < size else f"{name} ({position // size + 1})")
    names = {
        "joints": joints,
        "bones": [f"{joints[a]} – {joints[b]}" for a, b in layout["bones"]],
        "velocities": [f"{name}, velocity" for name in joints],
    }
    return [name for stream in streams for name in names[stream]]
