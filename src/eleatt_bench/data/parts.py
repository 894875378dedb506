"""Data sets that are a part of another one's store: columns of its frames, chosen when it is read.

``ntu_v1`` is NTU RGB+D as a Kinect v1 would have seen it, so that the networks for N-UCLA and SYSU
3D HOI can begin with weights that were learnt from it: of actor 1 the 20 joints that both cameras
have, in the order of those data sets. Kinect v1's shoulder centre is Kinect v2's joint 21, between
the shoulders. Frames without actor 1 stay, all zero, as they are in ``ntu``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from eleatt_bench.data.sources import ntu, nucla
from eleatt_bench.data.store import PART_OF, Integers, SequenceStore


class Part(NamedTuple):
    """What remains of each frame."""

    layout: dict[str, Any]
    columns: Integers


def columns(joints: Sequence[str], whole: Mapping[str, Any]) -> Integers:
    """Where x, y, z of each of ``joints`` stand in a frame; of two bodies, of the first."""
    first = [3 * whole["joints"].index(joint) for joint in joints]
    return (np.array(first)[:, None] + np.arange(3)).ravel()


PARTS = {"ntu_v1": Part(nucla.LAYOUT, columns(nucla.JOINTS, ntu.LAYOUT))}


def part(whole: SequenceStore, name: str) -> SequenceStore:
    """The part ``name`` of the store ``whole``: the same file, nothing is copied."""
    assert whole.name == PART_OF[name]
    chosen = PARTS[name]
    return replace(whole, name=name, layout=chosen.layout, columns=chosen.columns)
