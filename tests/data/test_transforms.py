"""Transforms, against the same thing written down with NumPy, sample by sample."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eleatt_bench.data.module import Batch, Positions, SequenceDataset
from eleatt_bench.data.store import SequenceStore
from eleatt_bench.data.transforms import Transforms, rotation_matrices
from eleatt_bench.errors import UserError

LENGTHS = [3, 1, 5, 2]


@pytest.fixture(scope="module")
def store(make_store) -> SequenceStore:
    return make_store(LENGTHS)  # 2 joints, the origin is joint 1


@pytest.fixture
def batch(store: SequenceStore) -> Batch:
    return SequenceDataset(store, np.arange(4))[Positions(np.arange(4), 4)]


def padding(batch: Batch) -> torch.Tensor:
    return torch.arange(batch.inputs.shape[1]) >= batch.lengths[:, None]


def numpy_rotation(x: float, y: float, z: float) -> np.ndarray:
    """Rz·Ry·Rx from the three matrices of the textbook."""
    cos, sin = np.cos, np.sin
    rx = np.array([[1, 0, 0], [0, cos(x), -sin(x)], [0, sin(x), cos(x)]])
    ry = np.array([[cos(y), 0, sin(y)], [0, 1, 0], [-sin(y), 0, cos(y)]])
    rz = np.array([[cos(z), -sin(z), 0], [sin(z), cos(z), 0], [0, 0, 1]])
    return rz @ ry @ rx


@pytest.mark.parametrize("training", [True, False])
def test_origin(store: SequenceStore, batch: Batch, training: bool) -> None:
    before = batch.inputs.clone()
    moved = Transforms(True, 0, 0, store=store)(batch, training).inputs
    for index, length in enumerate(LENGTHS):
        joints = store.sequence(index).reshape(length, 2, 3)
        expected = (joints - joints[0, 1]).reshape(length, 6)
        np.testing.assert_allclose(moved[index, :length], expected, atol=1e-6)
    assert (moved[padding(batch)] == 0).all()
    assert (moved[:, 0, 3:] == 0).all()
    assert torch.equal(batch.inputs, before)


def test_rotation_matrices() -> None:
    angles = np.random.default_rng(0).uniform(-3, 3, (50, 3))
    found = rotation_matrices(torch.from_numpy(angles))
    np.testing.assert_allclose(found, [numpy_rotation(*row) for row in angles], atol=1e-12)


def test_one_rotation_per_sequence(store: SequenceStore, batch: Batch) -> None:
    torch.manual_seed(3)
    turned = Transforms(False, 35, 0, store=store)(batch, training=True).inputs
    torch.manual_seed(3)
    angles = np.radians(35) * (2 * torch.rand(4, 3).double().numpy() - 1)
    for index, length in enumerate(LENGTHS):
        joints = store.sequence(index).reshape(length, 2, 3)
        expected = joints @ numpy_rotation(*angles[index]).T
        np.testing.assert_allclose(turned[index, :length], expected.reshape(length, 6), atol=1e-5)
    assert (turned[padding(batch)] == 0).all()


def test_rotation_angles_fill_their_range(make_store) -> None:
    """Read back from what the transform does to the axes themselves."""
    store = make_store([1])
    axes = torch.eye(3).flatten()[None, None].expand(4000, 1, 9)
    sizes = torch.ones(4000, dtype=torch.int64)
    torch.manual_seed(0)
    turned = Transforms(False, 35, 0, store=store)(Batch(axes, sizes, sizes, sizes, 4000), True)
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


def test_rotation_is_not_done_in_half_precision(store: SequenceStore, batch: Batch) -> None:
    transforms = Transforms(False, 35, 0, store=store)
    torch.manual_seed(3)
    plain = transforms(batch, training=True).inputs
    torch.manual_seed(3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = transforms(batch, training=True).inputs
    assert torch.equal(plain, mixed)


def test_noise_on_non_zero_inputs(store: SequenceStore) -> None:
    inputs = torch.zeros(2, 3000, 6)
    inputs[0, :, ::2] = 5
    sizes = torch.tensor([3000, 1])
    torch.manual_seed(0)
    noisy = Transforms(False, 0, 0.075, store=store)(Batch(inputs, sizes, sizes, sizes, 2), True)
    added = noisy.inputs - inputs
    assert (added[inputs == 0] == 0).all()
    assert added[inputs != 0].std() == pytest.approx(0.075, rel=0.05)
    assert abs(added[inputs != 0].mean()) < 0.005


def test_everything_in_its_order(store: SequenceStore, batch: Batch) -> None:
    torch.manual_seed(1)
    result = Transforms(True, 20, 0.1, store=store)(batch, training=True)
    torch.manual_seed(1)
    step = Transforms(True, 0, 0, store=store)(batch, training=True)
    step = Transforms(False, 20, 0, store=store)(step, training=True)
    step = Transforms(False, 0, 0.1, store=store)(step, training=True)
    assert torch.equal(result.inputs, step.inputs)
    assert (result.inputs[padding(batch)] == 0).all()
    assert result._replace(inputs=None) == batch._replace(inputs=None)


def test_testing_is_not_disturbed(store: SequenceStore, batch: Batch) -> None:
    state = torch.random.get_rng_state()
    result = Transforms(False, 20, 0.1, store=store)(batch, training=False)
    assert torch.equal(result.inputs, batch.inputs)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_an_empty_share(store: SequenceStore) -> None:
    empty = SequenceDataset(store, np.arange(4))[Positions(np.arange(0), 1)]
    assert Transforms(True, 20, 0.1, store=store)(empty, True).inputs.shape == (0, 1, 6)


def test_refused(make_store, digits: SequenceStore) -> None:
    with pytest.raises(UserError, match=r"already has its origin moved.*origin=false"):
        Transforms(True, 0, 0, store=make_store(origin_applied=True))
    with pytest.raises(UserError, match=r"transforms.origin is for skeletons; digits holds images"):
        Transforms(True, 0, 0, store=digits)
    with pytest.raises(UserError, match=r"transforms\.rotation is for skeletons"):
        Transforms(False, 1, 0, store=digits)
    Transforms(False, 0, 0.1, store=digits)
