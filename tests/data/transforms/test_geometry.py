"""Origin and view, against loops over frames in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from eleatt_bench.data.transforms.geometry import view_rotations

SEQUENCES = range(8)


def reference(points: np.ndarray, frame: int, kind: str) -> int:
    """The frame that ``frame`` is normalised by: slowly, in the words of the docstring."""
    having = [t for t in range(len(points)) if points[t, 0].any()]
    if not having:
        return 0
    before = [t for t in having if t <= frame]
    return having[0] if kind == "sequence" or not before else before[-1]


def moved(points: np.ndarray, kind: str) -> np.ndarray:
    """``points`` (T, 2, 5, 3) with the first body's spine as the origin."""
    result = np.zeros_like(points)
    for frame, bodies in enumerate(points):
        spine = points[reference(points, frame, kind), 0, 1]
        for number, body in enumerate(bodies):
            if body.any():
                result[frame, number] = body - spine
    return result


def published_rotation(line: np.ndarray, target: list[int]) -> np.ndarray:
    """2s-AGCN's way: about the cross product, by the angle between; by SciPy."""
    axis = np.cross(line, target)
    if not line.any() or not axis.any():
        return np.eye(3)
    angle = np.arccos(line @ target / np.linalg.norm(line))
    return Rotation.from_rotvec(axis / np.linalg.norm(axis) * angle).as_matrix()


def viewed(points: np.ndarray, kind: str) -> np.ndarray:
    result = np.zeros_like(points)
    for frame, bodies in enumerate(points):
        hip, spine, left, right = points[reference(points, frame, kind), 0, :4]
        upright = published_rotation(spine - hip, [0, 0, 1])
        sideways = published_rotation(upright @ (right - left), [1, 0, 0])
        result[frame] = bodies @ (sideways @ upright).T
    return result


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", ["sequence", "frame"])
def test_origin(transforms, batch_of, points, kind: str, training: bool) -> None:
    batch = batch_of()
    before = batch.inputs.clone()
    found = transforms(origin=kind)(batch, training)
    for index in SEQUENCES:
        expected = moved(points(index), kind)
        row = found.inputs[index, : len(expected)].view(expected.shape)
        np.testing.assert_allclose(row, expected, atol=1e-6)
        assert not row[torch.from_numpy(~expected.any((2, 3)))].any(), "an absent body moved"
        assert not found.inputs[index, len(expected) :].any()
    assert torch.equal(batch.inputs, before)


@pytest.mark.parametrize("kind", ["sequence", "frame"])
@pytest.mark.parametrize("origin", [None, "sequence", "frame"])
def test_view(transforms, batch_of, points, kind: str, origin: str | None) -> None:
    found = transforms(view=kind, origin=origin)(batch_of(), training=False)
    for index in SEQUENCES:
        given = points(index) if origin is None else moved(points(index), origin)
        # The origin leaves the frames that have the first body as they are.
        there = points(index).any((2, 3))
        expected = viewed(given, kind) * there[:, :, None, None]
        row = found.inputs[index, : len(expected)].view(expected.shape)
        np.testing.assert_allclose(row, expected, atol=2e-5)
        assert not row[torch.from_numpy(~there)].any()
        assert not found.inputs[index, len(expected) :].any()


def test_a_view_has_its_lines_along_the_axes(transforms, batch_of) -> None:
    found = transforms(view="sequence")(batch_of([0]), training=False)
    left, right = found.inputs.view(7, 2, 5, 3)[0, 0, 2:4].double()
    shoulders = right - left
    assert shoulders[0] > 0
    assert shoulders[1:].abs().max() < 1e-5
    # With the spine at right angles to the shoulders, both are parallel to their axes.
    matrix = lines([0.1, 0.9, -0.2], [0.9, -0.1, 0])
    np.testing.assert_allclose(matrix @ [0.1, 0.9, -0.2], [0, 0, 0.86**0.5], atol=1e-6)
    np.testing.assert_allclose(matrix @ [0.9, -0.1, 0], [0.82**0.5, 0, 0], atol=1e-6)


def test_a_rotation_keeps_distances_and_hands(transforms, batch_of, points) -> None:
    found = transforms(view="frame")(batch_of([0]), training=False).inputs.view(7, 2, 5, 3)
    for before, after in zip(points(0), found.double().numpy(), strict=True):
        flat, turned = before.reshape(10, 3), after.reshape(10, 3)
        np.testing.assert_allclose(flat @ flat.T, turned @ turned.T, atol=1e-5)
        np.testing.assert_allclose(
            np.linalg.det(flat[:3]), np.linalg.det(turned[:3]), rtol=1e-4, atol=1e-5
        )


def lines(spine: list[float], shoulders: list[float]) -> np.ndarray:
    """The rotation for a skeleton with these two lines."""
    joints = torch.zeros(1, 1, 1, 4, 3)
    joints[0, 0, 0, 1] = torch.tensor(spine)
    joints[0, 0, 0, 3] = torch.tensor(shoulders)
    frames = torch.zeros(1, 1, dtype=torch.int64)
    rotation = view_rotations(joints, frames, (0, 1, 2, 3))
    assert rotation.shape == (1, 1, 3, 3)
    return rotation[0, 0].double().numpy()


@pytest.mark.parametrize(
    ("spine", "shoulders"),
    [
        ([0, 0, 2], [3, 0, 0]),  # there already
        ([0, 0, -2], [3, 0, 0]),  # head down: half a turn
        ([0, 0, 2], [-3, 0, 0]),  # seen from behind
        ([0, 0, -1], [-1, 0, 0]),
        ([0, 1, 0], [1, 0, 0]),  # as a Kinect has it
        ([1e-4, 0, -1], [1, 0, 1e-4]),
    ],
)
def test_also_in_the_worst_positions_a_view_is_a_rotation(
    spine: list[float], shoulders: list[float]
) -> None:
    found = lines(spine, shoulders)
    np.testing.assert_allclose(found @ found.T, np.eye(3), atol=1e-3)
    assert np.linalg.det(found) == pytest.approx(1, abs=1e-3)
    turned = found @ np.array(shoulders)
    assert turned[0] == pytest.approx(np.linalg.norm(shoulders), abs=1e-3)
    assert (found @ np.array(spine))[2] == pytest.approx(np.linalg.norm(spine), abs=1e-3)


def test_a_line_of_length_zero_turns_nothing() -> None:
    np.testing.assert_array_equal(lines([0, 0, 0], [0, 0, 0]), np.eye(3))
    np.testing.assert_allclose(lines([0, 0, 0], [0, 2, 0]) @ [0, 2, 0], [2, 0, 0], atol=1e-6)


def test_the_real_skeletons_stand_upright_and_face_one_way(
    real_nucla, transforms, batch_of
) -> None:
    indices = range(0, 1484, 50)
    batch = batch_of(indices, store=real_nucla)
    found = transforms(real_nucla, origin="sequence", view="sequence")(batch, training=False)
    first = found.inputs[:, 0].view(-1, 20, 3)
    names = real_nucla.layout["joints"]
    shoulders = first[:, names.index("right shoulder")] - first[:, names.index("left shoulder")]
    assert shoulders[:, 1:].abs().max() < 1e-5
    assert (shoulders[:, 0] > 0.05).all()
    head, foot = (first[:, names.index(name), 2] for name in ("head", "left foot"))
    assert (head > foot).float().mean() > 0.9
