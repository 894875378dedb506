"""Samples as pictures: what Plotly is told to draw is what the frames hold."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eleatt_bench.data.sources.ntu.names import BONES
from eleatt_bench.report.site.samples import picture

bones = st.lists(
    st.tuples(st.integers(0, 9), st.integers(10, 19)), min_size=1, max_size=12, unique=True
)


def segments(trace: dict) -> list[tuple[tuple[int, int], ...]]:
    points = list(zip(trace["x"], trace["y"], strict=True))
    return [pair for pair in pairwise(points) if (None, None) not in pair]


@given(bones)
@pytest.mark.slow
def test_every_bone_is_drawn_once_in_every_frame(bones: list[tuple[int, int]]) -> None:
    random = np.random.default_rng(len(bones))
    frames = random.uniform(-1, 1, (4, 60)).astype(np.float32)
    layout = {"kind": "skeleton", "bones": [list(bone) for bone in bones]}
    drawn = picture(frames, layout, "a sample")
    assert drawn is not None
    go.Figure({"data": drawn.data, "layout": drawn.layout})  # which refuses what it does not know
    lines = [segment for trace in drawn.data for segment in segments(trace)]
    assert len(lines) == 4 * len(bones)
    poses = frames.reshape(4, 20, 3)[:, :, :2].astype(np.float64)
    low, high = poses.min(axis=(0, 1)), poses.max(axis=(0, 1))
    margin = 0.06 * (high - low).max()
    scale = 300 / (high[1] - low[1] + 2 * margin)
    width = round(scale * (high[0] - low[0] + 2 * margin))
    aside = np.array([width, 0])
    for step, pose in enumerate(poses):
        for bone in bones:
            ends = [scale * (pose[joint] - low + margin) + step * aside for joint in bone]
            assert any(
                np.abs(np.array([a, b]) - ends).max() <= 1
                for a, b in (order for line in lines for order in (line, line[::-1]))
            ), "to a pixel, for float32 rounds otherwise"


def test_a_joint_that_is_not_there_has_no_bones() -> None:
    frames = np.ones((1, 75), np.float32) * np.repeat(np.arange(1, 26), 3)
    frames[0, 60:63] = 0  # joint 20, the shoulder's middle
    drawn = picture(frames, {"kind": "skeleton", "bones": BONES[:24]}, "a sample")
    assert drawn is not None
    lines = [segment for trace in drawn.data for segment in segments(trace)]
    assert len(lines) == sum(20 not in bone for bone in BONES[:24])


def test_an_image_keeps_its_rows_and_its_tones() -> None:
    frames = np.array([[0, 8, 16], [16, 4, 0]], np.float32)
    drawn = picture(frames, {"kind": "image", "height": 2, "width": 3}, "a digit")
    assert drawn is not None
    assert drawn.data[0]["z"] == [[0, 50, 99], [99, 25, 0]]
    assert drawn.layout["yaxis"]["autorange"] == "reversed", "the first row is the upper one"
    go.Figure({"data": drawn.data, "layout": drawn.layout})


def test_features_have_no_picture() -> None:
    assert picture(np.ones((3, 5), np.float32), {"kind": "features"}, "a clip") is None
