"""Rotation and scaling, against the same thing written down with NumPy, sample by sample."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eleatt_bench.data.batches import Batch
from eleatt_bench.data.transforms.geometry import rotation_matrices
from eleatt_bench.data.transforms.randomness import Draws, Purpose

SEQUENCES = range(8)


def textbook(x: float, y: float, z: float) -> np.ndarray:
    """Rz·Ry·Rx from its three matrices."""
    cos, sin = np.cos, np.sin
    rx = np.array([[1, 0, 0], [0, cos(x), -sin(x)], [0, sin(x), cos(x)]])
    ry = np.array([[cos(y), 0, sin(y)], [0, 1, 0], [-sin(y), 0, cos(y)]])
    rz = np.array([[cos(z), -sin(z), 0], [sin(z), cos(z), 0], [0, 0, 1]])
    return rz @ ry @ rx


def drawn(purpose: Purpose, count: int, epoch: int = 0) -> np.ndarray:
    """What the transforms of seed 0 draw for the sequences 0 to 7."""
    return Draws(0, epoch, np.arange(8)).uniform(purpose, count)


def test_rotation_matrices() -> None:
    angles = np.random.default_rng(0).uniform(-3, 3, (50, 3))
    found = rotation_matrices(angles)
    np.testing.assert_allclose(found, [textbook(*row) for row in angles], atol=1e-12)


@pytest.mark.parametrize("limits", [(35, 35, 35), (0, 180, 0), (10, 0, 5)])
def test_one_rotation_per_sequence(transforms, batch_of, points, limits: tuple) -> None:
    found = transforms(rotation=limits)(batch_of(epoch=3), training=True).inputs
    angles = np.radians(limits) * drawn(Purpose.ROTATION, 3, epoch=3)
    for index in SEQUENCES:
        expected = points(index) @ textbook(*angles[index]).T
        row = found[index, : len(expected)].view(expected.shape)
        np.testing.assert_allclose(row, expected, atol=1e-5)
        assert not found[index, len(expected) :].any()


def test_scaling(transforms, batch_of, points) -> None:
    config = {"scaling": 0.2, "axis_scaling": (0.1, 0, 0.5)}
    found = transforms(**config)(batch_of(), training=True).inputs
    uniform = drawn(Purpose.SCALING, 4)
    for index in SEQUENCES:
        whole, x, y, z = uniform[index]
        factors = (1 + 0.2 * whole) * np.array([1 + 0.1 * x, 1 + 0 * y, 1 + 0.5 * z])
        expected = points(index) * factors
        row = found[index, : len(expected)].view(expected.shape)
        np.testing.assert_allclose(row, expected, atol=1e-5)


def test_scaling_comes_before_rotation(transforms, batch_of, points) -> None:
    found = transforms(axis_scaling=(0.5, 0.5, 0.5), rotation=(90, 90, 90))(batch_of(), True)
    factors = 1 + 0.5 * drawn(Purpose.SCALING, 4)[:, 1:]
    angles = np.radians(90) * drawn(Purpose.ROTATION, 3)
    for index in SEQUENCES:
        expected = (points(index) * factors[index]) @ textbook(*angles[index]).T
        row = found.inputs[index, : len(expected)].view(expected.shape)
        np.testing.assert_allclose(row, expected, atol=1e-5)


def test_rotation_angles_fill_their_range(make_store, transforms) -> None:
    """Read back from what the transform does to the axes themselves."""
    store = make_store([1], width=9, layout={"kind": "skeleton", "joints": ["a", "b", "c"],
                                             "bones": [], "origin": 0})  # fmt: skip
    axes = torch.eye(3).flatten()[None, None].expand(4000, 1, 9).contiguous()
    ones = torch.ones(4000, dtype=torch.int64)
    batch = Batch(axes, ones, ones, np.arange(4000), 4000, 0)
    turned = transforms(store, rotation=(35, 35, 35))(batch, True)
    matrix = turned.inputs.view(4000, 3, 3).mT.double()
    y = -torch.asin(matrix[:, 2, 0])
    x = torch.atan2(matrix[:, 2, 1], matrix[:, 2, 2])
    z = torch.atan2(matrix[:, 1, 0], matrix[:, 0, 0])
    for angle in (x, y, z):
        degrees = torch.rad2deg(angle)
        assert degrees.abs().max() <= 35.001
        assert degrees.min() < -34.5
        assert degrees.max() > 34.5
        assert degrees.std() == pytest.approx(70 / 12**0.5, rel=0.03)  # uniform
    assert abs(torch.corrcoef(torch.stack([x, y, z])) - torch.eye(3)).max() < 0.05


def test_rotation_is_not_done_in_half_precision(transforms, batch_of) -> None:
    everything = transforms(rotation=(35, 35, 35), origin="sequence", view="frame")
    plain = everything(batch_of(), training=True).inputs
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = everything(batch_of(), training=True).inputs
    assert torch.equal(plain, mixed)
