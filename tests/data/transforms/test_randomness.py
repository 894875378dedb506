"""Draws: the published test vectors, statistics, and that nothing but the key matters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from eleatt_bench.data.transforms.randomness import Draws, Purpose, philox

FULL = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("counter", "key", "published"),  # Random123's kat_vectors, philox4x32 with 10 rounds
    [
        ((0, 0, 0, 0), (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((FULL, FULL, FULL, FULL), (FULL, FULL), "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_the_published_vectors(
    counter: tuple[int, ...], key: tuple[int, int], published: str
) -> None:
    a, b, c, d = (np.array([word], dtype=np.uint64) for word in counter)
    found = philox((a, b, c, d), key)
    assert " ".join(f"{int(word[0]):08x}" for word in found) == published


def slow_philox(counter: list[int], key: list[int]) -> list[int]:
    """The paper's rounds on Python's integers."""
    for _ in range(10):
        left, right = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [
            (right >> 32) ^ counter[1] ^ key[0], right & FULL,
            (left >> 32) ^ counter[3] ^ key[1], left & FULL,
        ]  # fmt: skip
        key = [(key[0] + 0x9E3779B9) & FULL, (key[1] + 0xBB67AE85) & FULL]
    return counter


@given(
    st.integers(0, 2**70), st.integers(0, 10**6), st.integers(0, 2**40), st.sampled_from(Purpose),
    st.integers(0, 20),
)  # fmt: skip
def test_words_are_philox_of_the_key(
    seed: int, epoch: int, sample: int, purpose: Purpose, number: int
) -> None:
    words = Draws(seed, epoch, np.array([sample, 3])).words(purpose, 21)
    assert words.shape == (2, 21)
    key = [int(word) for word in np.random.SeedSequence([seed, epoch]).generate_state(2)]
    counter = [number // 4, int(purpose), sample & FULL, sample >> 32]
    assert words[0, number] == slow_philox(counter, key)[number % 4]


@given(st.lists(st.integers(0, 50_000), min_size=1, max_size=40), st.integers(1, 9), st.data())
def test_a_sample_draws_the_same_in_any_company(
    samples: list[int], count: int, data: st.DataObject
) -> None:
    together = Draws(7, 3, np.array(samples)).uniform(Purpose.ROTATION, count)
    at = data.draw(st.integers(0, len(samples) - 1))
    alone = Draws(7, 3, np.array(samples[at : at + 1])).uniform(Purpose.ROTATION, count)
    assert np.array_equal(together[at], alone[0])


def test_every_part_of_the_key_matters() -> None:
    indices = np.arange(500)
    first = Draws(0, 0, indices).words(Purpose.ROTATION, 4)
    others = [
        Draws(1, 0, indices).words(Purpose.ROTATION, 4),
        Draws(0, 1, indices).words(Purpose.ROTATION, 4),
        Draws(0, 0, indices + 500).words(Purpose.ROTATION, 4),
        Draws(0, 0, indices).words(Purpose.SCALING, 4),
    ]
    everything = np.concatenate([first, *others])
    assert len(np.unique(everything)) > everything.size - 5  # of 2**32


@pytest.mark.parametrize("purpose", Purpose)
def test_draws_are_uniform_and_independent_of_their_neighbours(purpose: Purpose) -> None:
    """Over neighbouring samples, epochs and seeds; fixed keys, so this passes always or never."""
    values = np.stack(
        [
            [Draws(seed, epoch, np.arange(1000)).uniform(purpose, 6) for epoch in range(8)]
            for seed in range(4)
        ]
    )  # seeds, epochs, samples, numbers
    assert -1 < values.min() < -0.9999
    assert 0.9999 < values.max() < 1
    assert stats.kstest(values.ravel(), stats.uniform(-1, 2).cdf).pvalue > 0.01
    bits = (((values + 1) * 2**31).astype(np.int64)[..., None] >> np.arange(32)) & 1
    ones = bits.sum(axis=(0, 1, 2, 3))  # of each bit
    assert stats.chi2.sf((((ones - values.size / 2) ** 2) / (values.size / 4)).sum(), 32) > 0.01
    for axis in range(4):
        a = np.moveaxis(values, axis, 0)
        assert stats.pearsonr(a[:-1].ravel(), a[1:].ravel()).pvalue > 0.001
        pairs = np.histogram2d(a[:-1].ravel(), a[1:].ravel(), bins=16, range=[[-1, 1]] * 2)[0]
        assert stats.chisquare(pairs.ravel()).pvalue > 0.001


def test_purposes_are_independent_of_each_other() -> None:
    draws = Draws(0, 0, np.arange(20_000))
    found = np.stack([draws.uniform(purpose, 1)[:, 0] for purpose in Purpose])
    correlation = np.corrcoef(found) - np.eye(len(Purpose))
    assert abs(correlation).max() < 4 / 20_000**0.5


def test_the_numbers_are_the_same_on_every_machine() -> None:
    draws = Draws(1, 2, np.array([5, 6]))
    assert draws.words(Purpose.ROTATION, 3).tolist() == [
        [3271858638, 747092199, 3131163727],
        [3833459649, 1723443324, 450919674],
    ]
    first = {purpose.name: draws.words(purpose, 1)[0, 0] for purpose in Purpose}
    assert first == {
        "ROTATION": 3271858638, "SCALING": 3367546703, "TIME_WARP": 3050209337,
        "RESAMPLE": 604074496, "NOISE": 3164319236, "DROPOUT": 2418124559, "SHIFT": 3908555791,
    }  # fmt: skip


def test_a_generator_for_each_sample() -> None:
    """Equal for equal keys, and as different as two generators for others."""
    draws = Draws(0, 0, np.arange(200))
    values = np.stack([g.standard_normal(200) for g in draws.generators(Purpose.NOISE)])
    again = Draws(0, 0, np.array([7])).generators(Purpose.NOISE)[0].standard_normal(200)
    assert np.array_equal(values[7], again)
    assert stats.kstest(values.ravel(), "norm").pvalue > 0.01
    correlation = np.corrcoef(values) - np.eye(200)
    assert abs(correlation).max() < 5.5 / 200**0.5
    other = Draws(0, 1, np.array([7])).generators(Purpose.NOISE)[0].standard_normal(200)
    assert abs(np.corrcoef(values[7], other)[0, 1]) < 0.3
