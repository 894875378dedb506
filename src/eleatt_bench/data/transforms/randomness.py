"""Random numbers of a sample, the same in whatever batch, process or device it is.

They are a function of (seed, epoch, sample, purpose) and of nothing else. No state is kept, so a
sample draws the same numbers in any order and any batch, and again when an epoch is resumed. The
function is Philox (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC
2011), which encrypts a counter. It is made for this use, passes BigCrush for consecutive counters
and keys, and has published test vectors. It takes ten rounds of two multiplications, so a batch is
drawn at once.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt

from eleatt_bench.data.store import Integers

Words = npt.NDArray[np.uint64]  # of 32 bits each


class Purpose(IntEnum):
    """What random numbers are for; no two purposes share any. A new value here changes all runs."""

    ROTATION = 0
    SCALING = 1
    TIME_WARP = 2
    RESAMPLE = 3
    NOISE = 4
    DROPOUT = 5
    SHIFT = 6


class Draws:
    """The numbers of the samples at ``indices`` (B,) of a store, in one epoch of one run."""

    def __init__(self, seed: int, epoch: int, indices: Integers) -> None:
        self.indices = indices.astype(np.uint64)
        # A key of 64 bits, also for a seed that has more.
        self._key = np.random.SeedSequence([seed, epoch]).generate_state(2)

    def words(self, purpose: Purpose, count: int) -> Integers:
        """``count`` integers for each sample, (B, count), uniform in 0 … 2**32 - 1."""
        blocks = -(-count // 4)  # Philox gives four at a time
        shape = (len(self.indices), blocks)
        counter = (
            np.broadcast_to(np.arange(blocks, dtype=np.uint64), shape),
            np.full(shape, purpose, dtype=np.uint64),
            np.broadcast_to(self.indices[:, None] & _LOW, shape),
            np.broadcast_to(self.indices[:, None] >> _HALF, shape),
        )
        words = philox(counter, (int(self._key[0]), int(self._key[1])))
        four = np.stack(words, axis=2).reshape(len(self.indices), 4 * blocks)
        return four[:, :count].astype(np.int64)

    def uniform(self, purpose: Purpose, count: int) -> npt.NDArray[np.float64]:
        """``count`` numbers for each sample, (B, count), uniform between -1 and 1."""
        return (self.words(purpose, count) + 0.5) / 2**31 - 1

    def generators(self, purpose: Purpose) -> list[np.random.Generator]:
        """A generator for each sample, for when samples need different amounts of numbers."""
        key = np.array([self._key[0], self._key[1]], dtype=np.uint64)
        return [
            np.random.Generator(np.random.Philox(key=key, counter=[0, purpose, index, 0]))
            for index in self.indices.tolist()
        ]


_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_STEPS = (0x9E3779B9, 0xBB67AE85)  # added to the key from round to round
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


def philox(
    counter: tuple[Words, Words, Words, Words], key: tuple[int, int]
) -> tuple[Words, Words, Words, Words]:
    """Philox4x32-10: four words for every ``counter`` of four words (arrays of one shape)."""
    a, b, c, d = counter
    for step in range(10):
        first, second = (
            np.uint64((word + step * added) & 0xFFFFFFFF)
            for word, added in zip(key, _STEPS, strict=True)
        )
        left, right = _MULTIPLIERS[0] * a, _MULTIPLIERS[1] * c
        a, b, c, d = (
            (right >> _HALF) ^ b ^ first,
            right & _LOW,
            (left >> _HALF) ^ d ^ second,
            left & _LOW,
        )
    return a, b, c, d
