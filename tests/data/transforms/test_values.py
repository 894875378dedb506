"""Noise: where it is, how much, and whose."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from eleatt_bench.data.batches import Batch
from eleatt_bench.data.transforms.randomness import Draws, Purpose


def test_noise_on_what_is_not_zero(transforms) -> None:
    inputs = torch.zeros(2, 3000, 30)
    inputs[0, :, ::2] = 5
    sizes = torch.tensor([3000, 1])
    batch = Batch(inputs, sizes, sizes, np.array([4, 5]), 2, 0)
    added = transforms(noise=0.075)(batch, training=True).inputs - inputs
    assert not added[inputs == 0].any()
    found = added[inputs != 0].double().numpy()
    assert found.std() == pytest.approx(0.075, rel=0.02)
    assert stats.kstest(found / 0.075, "norm").pvalue > 0.01


def test_each_sequence_gets_its_own_numbers_frame_by_frame(transforms, batch_of, skeletons) -> None:
    found = transforms(noise=0.5)(batch_of(epoch=2), training=True).inputs
    generators = Draws(0, 2, np.arange(8)).generators(Purpose.NOISE)
    for index, generator in enumerate(generators):
        sequence = skeletons.sequence(index)
        noise = generator.standard_normal(sequence.shape, dtype=np.float32)
        expected = sequence + 0.5 * noise * (sequence != 0)
        np.testing.assert_allclose(found[index, : len(sequence)], expected, atol=1e-6)


def test_images_can_have_noise(transforms, batch_of, digits) -> None:
    batch = batch_of(range(30), store=digits)
    found = transforms(digits, noise=0.1)(batch, training=True).inputs
    assert torch.equal(found == 0, batch.inputs == 0)
    assert (found - batch.inputs)[batch.inputs != 0].std() == pytest.approx(0.1, rel=0.1)
