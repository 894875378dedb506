"""Bones and velocities, against loops over frames in NumPy, and the network that sees them."""

from __future__ import annotations

import numpy as np
import pytest

from eleatt_bench.data.layout import bodies_per_frame, joints_per_body
from eleatt_bench.data.sources import hand, ntu, nucla

SEQUENCES = range(8)


def slow_bones(points: np.ndarray, pairs: list[list[int]]) -> np.ndarray:
    result = np.zeros((len(points), len(pairs), 3))
    for frame, bodies in enumerate(points):
        joints = bodies.reshape(-1, 3)
        for bone, (start, end) in enumerate(pairs):
            result[frame, bone] = joints[end] - joints[start]
    return result.reshape(len(points), -1)


def slow_velocities(points: np.ndarray) -> np.ndarray:
    result = np.zeros_like(points)
    for frame in range(1, len(points)):
        for body in range(points.shape[1]):
            now, before = points[frame, body], points[frame - 1, body]
            if now.any() and before.any():
                result[frame, body] = now - before
    return result.reshape(len(points), -1)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "names",
    [["bones"], ["velocities"], ["joints", "bones"], ["velocities", "joints", "bones"]],
    ids="+".join,
)
def test_streams(transforms, batch_of, skeletons, points, names: list[str], training: bool) -> None:
    streams = transforms(streams=names)
    found = streams(batch_of(), training).inputs
    assert found.shape[2] == streams.step_size(30)
    for index in SEQUENCES:
        given = points(index)
        parts = {
            "joints": given.reshape(len(given), 30),
            "bones": slow_bones(given, skeletons.layout["bones"]),
            "velocities": slow_velocities(given),
        }
        expected = np.concatenate([parts[name] for name in names], axis=1)
        np.testing.assert_allclose(found[index, : len(given)], expected, atol=1e-6)
        assert not found[index, len(given) :].any()


def test_streams_are_of_what_the_other_transforms_made(transforms, batch_of, skeletons) -> None:
    others = {"origin": "frame", "rotation": (90, 90, 90), "noise": 0.1, "resample": 5}
    joints = transforms(**others)(batch_of(), training=True)
    seen = transforms(**others, streams=["bones", "velocities"])(batch_of(), training=True).inputs
    for index in SEQUENCES:
        given = joints.inputs[index].double().numpy().reshape(5, 2, 5, 3)
        bones = slow_bones(given, skeletons.layout["bones"])
        np.testing.assert_allclose(seen[index, :, :24], bones, atol=1e-5)
        np.testing.assert_allclose(seen[index, :, 24:], slow_velocities(given), atol=1e-5)


def test_to_appear_is_not_to_move(transforms, batch_of) -> None:
    found = transforms(streams=["velocities"])(batch_of([2]), training=False).inputs
    moved = found.view(9, 2, 15).any(2)
    # body 1: ..xxx.x..   body 2: xxx....xx
    assert moved[:, 0].tolist() == [False] * 3 + [True, True] + [False] * 4
    assert moved[:, 1].tolist() == [False, True, True] + [False] * 5 + [True]


def test_steps_of_the_known_skeletons(transforms, make_store) -> None:
    for layout, bodies, joints, bones in (
        (nucla.LAYOUT, 1, 20, 19), (ntu.LAYOUT, 2, 25, 48), (hand.LAYOUT, 1, 22, 21),
    ):  # fmt: skip
        assert (bodies_per_frame(layout), joints_per_body(layout)) == (bodies, joints)
        values = 3 * len(layout["joints"])
        store = make_store([2], width=values, layout=layout)
        assert transforms(store).step_size(values) == values
        assert transforms(store, streams=["bones"]).step_size(values) == 3 * bones
        everything = transforms(store, streams=["joints", "bones", "velocities"])
        assert everything.step_size(values) == 2 * values + 3 * bones


def test_a_step_of_pixels_stays_as_wide(transforms, digits) -> None:
    assert [transforms(digits).step_size(values) for values in (1, 8)] == [1, 8]
