"""Images moved, and noise: where it is, how much, and whose."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage, stats

from eleatt_bench.data.batches import SEQUENCES, Batch, Positions, SequenceDataset
from eleatt_bench.data.transforms.randomness import Draws, Purpose
from eleatt_bench.data.transforms.values import move_images


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 12), st.integers(0, 2**32 - 1))
def test_images_are_moved_as_scipy_moves_them(
    height: int, width: int, most: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    images = random.normal(size=(4, height, width)).astype(np.float32)
    words = random.integers(0, 2**32, (4, 2))
    found = move_images(torch.from_numpy(images), most, words)
    distances = np.floor(words / 2**32 * (2 * most + 1)) - most
    for image, distance, moved in zip(images, distances, found, strict=True):
        expected = ndimage.shift(image, distance, order=0, cval=0.0, prefilter=False)
        np.testing.assert_array_equal(moved, expected)


def test_all_distances_are_as_likely_as_each_other(transforms, make_store) -> None:
    dot = np.zeros((5, 5), dtype=np.float32)
    dot[2, 2] = 1
    layout = {"kind": "image", "height": 5, "width": 5}
    store = make_store([5] * 4000, name="dots", width=5, layout=layout)
    indices = np.arange(4000)
    images = torch.from_numpy(dot).expand(4000, 5, 5)
    lengths = torch.full((4000,), 5)
    batch = Batch(images, lengths, lengths, indices, 4000, 0)
    found = transforms(store, shift=2)(batch, training=True).inputs
    assert (found.flatten(1).sum(1) == 1).all()
    counts = np.bincount(found.flatten(1).argmax(1).numpy(), minlength=25)
    assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_an_image_is_moved_by_itself_while_training(transforms, digits, sequence: str) -> None:
    dataset = SequenceDataset(digits, np.arange(20), sequence)
    transform = transforms(digits, sequence=sequence, shift=2)
    batch = dataset[Positions(np.arange(20), 20, 3)]
    whole = transform(batch, training=True).inputs
    assert whole.shape == batch.inputs.shape
    words = Draws(0, 3, np.arange(20)).words(Purpose.SHIFT, 2)
    for found, seen, word in zip(whole, batch.inputs, words, strict=True):
        image, moved = (torch.from_numpy(dataset.as_image(x.numpy())) for x in (seen, found))
        assert torch.equal(moved, move_images(image[None], 2, word[None])[0])
    for position in range(20):
        alone = transform(dataset[Positions(np.array([position]), 1, 3)], training=True).inputs
        assert torch.equal(alone[0], whole[position])
    assert torch.equal(transform(batch, training=False).inputs, batch.inputs)
    nothing = dataset[Positions(np.arange(0), 20, 3)]
    assert torch.equal(transform(nothing, training=True).inputs, nothing.inputs)


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
