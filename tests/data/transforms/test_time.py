"""Time warping and resampling, against loops over frames in NumPy."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from eleatt_bench.data.transforms.randomness import Draws, Purpose
from eleatt_bench.data.transforms.time import KNOTS, _positions, resample, warp

SEQUENCES = range(8)


def positions(length: int, paces: np.ndarray) -> np.ndarray:
    """The frame at each step: the integral of the pace, by a fine sum."""
    fine = np.linspace(0, 1, 100_001)
    pace = np.interp(fine, np.linspace(0, 1, KNOTS), paces)
    area = np.concatenate([[0], np.cumsum((pace[1:] + pace[:-1]) / 2)])
    return (length - 1) * np.interp(np.linspace(0, 1, length), fine, area / area[-1])


@pytest.mark.parametrize("length", [1, 2, 5, 60])
def test_positions_are_the_integral_of_the_pace(length: int) -> None:
    paces = 1 + 0.8 * np.random.default_rng(length).uniform(-1, 1, (3, KNOTS))
    found = _positions(torch.full((3,), length), length + 4, paces)
    for row in range(3):
        expected = positions(length, paces[row])
        np.testing.assert_allclose(found[row, :length], expected, atol=2e-5 * length)


@given(st.integers(2, 300), st.integers(0, 10**6), st.floats(0, 0.99))
@settings(deadline=None)
def test_time_goes_forward_from_the_first_to_the_last_frame(
    length: int, seed: int, fraction: float
) -> None:
    paces = 1 + fraction * Draws(seed, 0, np.arange(4)).uniform(Purpose.TIME_WARP, KNOTS)
    found = _positions(torch.full((4,), length), length, paces).double()
    assert (found[:, 0] == 0).all()
    assert (found[:, -1] - (length - 1)).abs().max() < 1e-4 * length
    assert (found.diff(dim=1) > 0).all()
    if fraction == 0:
        assert (found - torch.arange(length)).abs().max() < 1e-4 * length


def test_warping(transforms, batch_of, points) -> None:
    found = transforms(time_warp=0.6)(batch_of(epoch=1), training=True)
    assert torch.equal(found.lengths, batch_of().lengths)
    paces = 1 + 0.6 * Draws(0, 1, np.arange(8)).uniform(Purpose.TIME_WARP, KNOTS)
    for index in SEQUENCES:
        given = points(index)
        expected = np.zeros_like(given)
        for step, at in enumerate(positions(len(given), paces[index])):
            left = min(int(at + 1e-6), len(given) - 1)
            right = min(left + 1, len(given) - 1)
            for body in range(2):
                a, b = given[left, body], given[right, body]
                near = a if at - left < 0.5 else b
                expected[step, body] = a + (at - left) * (b - a) if a.any() and b.any() else near
        row = found.inputs[index, : len(given)].view(expected.shape)
        np.testing.assert_allclose(row, expected, atol=1e-4)
        assert not found.inputs[index, len(given) :].any()


def test_an_even_pace_changes_nothing(batch_of) -> None:
    batch = batch_of()
    there = torch.ones(8, batch.inputs.shape[1], 1, dtype=torch.bool)
    warped = warp(batch.inputs, batch.lengths, there, np.ones((8, KNOTS)))
    torch.testing.assert_close(warped, batch.inputs, atol=1e-5, rtol=1e-5)


def test_what_is_no_skeleton_is_interpolated_throughout(transforms, batch_of, digits) -> None:
    batch = batch_of(range(20), store=digits)
    found = transforms(digits, time_warp=0.5)(batch, training=True).inputs
    paces = 1 + 0.5 * Draws(0, 0, np.arange(20)).uniform(Purpose.TIME_WARP, KNOTS)
    for index in range(20):
        at = positions(8, paces[index])
        for pixel in range(8):
            expected = np.interp(at, np.arange(8), batch.inputs[index, :, pixel])
            np.testing.assert_allclose(found[index, :, pixel], expected, atol=1e-3)


def edge(segment: int, count: int, length: int) -> int:
    return int(Fraction(segment * length, count))  # rounded down


@pytest.mark.parametrize("count", [1, 3, 7, 20])
def test_the_middle_of_each_segment_when_testing(transforms, batch_of, points, count: int) -> None:
    found = transforms(resample=count)(batch_of(), training=False)
    assert found.inputs.shape == (8, count, 30)
    assert found.lengths.tolist() == [count] * 8
    for index in SEQUENCES:
        length = len(points(index))
        for segment in range(count):
            start, end = edge(segment, count, length), edge(segment + 1, count, length)
            frame = (start + max(end, start + 1)) // 2
            expected = points(index)[frame].ravel()
            np.testing.assert_array_equal(found.inputs[index, segment].double(), expected)


def test_as_many_frames_as_there_are_changes_nothing(transforms, batch_of) -> None:
    batch = batch_of([0])
    for training in (True, False):
        assert torch.equal(transforms(resample=7)(batch, training).inputs, batch.inputs)


@given(st.integers(1, 90), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_training_frames_lie_in_their_segments(length: int, count: int, word: int) -> None:
    sequence = torch.arange(length).view(1, length, 1)
    words = np.full((1, count), word)
    found, lengths = resample(sequence, torch.tensor([length]), count, words)
    assert lengths.tolist() == [count]
    for segment, frame in enumerate(found.flatten().tolist()):
        start, end = edge(segment, count, length), edge(segment + 1, count, length)
        assert start <= frame < max(end, start + 1)
        assert frame == start + word * max(end - start, 1) // 2**32


def test_every_frame_of_a_segment_is_as_likely() -> None:
    sequence = torch.arange(12).view(1, 12, 1).expand(20_000, 12, 1)
    words = Draws(0, 0, np.arange(20_000)).words(Purpose.RESAMPLE, 3)
    found, _ = resample(sequence, torch.full((20_000,), 12), 3, words)
    for segment in range(3):
        counts = np.bincount(found[:, segment, 0], minlength=12)
        assert counts.nonzero()[0].tolist() == list(range(4 * segment, 4 * segment + 4))
        assert stats.chisquare(counts[4 * segment : 4 * segment + 4]).pvalue > 0.01
