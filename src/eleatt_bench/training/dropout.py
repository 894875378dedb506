"""Dropout whose masks belong to samples: the same in any batch, on any device and any process.

Whether an element is dropped is a function of (seed, epoch, sample, layer, frame, element) and of
nothing else. A sample's key comes from Philox (`eleatt_bench.data.transforms.randomness`); from
there on words of 64 bits follow by the finalizer of SplitMix64 (Steele, Lea, Flood: "Fast
splittable pseudorandom number generators", OOPSLA 2014), once for the key of a frame and once for
each four elements of it: additions, multiplications, shifts and exclusive ors of integers, which
are the same everywhere. Padding is never drawn for.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eleatt_bench.data.batches import Batch
from eleatt_bench.data.transforms.randomness import Draws, Purpose

_LEVELS = 1 << 16
_PER_WORD = 4  # elements, 16 bits each
_MOST_FRAMES = 1 << 32
# As int64, whose sums and products wrap as those of unsigned integers do.
_GOLDEN, _FIRST, _SECOND = (
    number - (1 << 64) for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


class SampleDropout(nn.Module):
    """Drop elements with the probability ``p``, rounded to 1 / 65,536, and scale the others.

    `draw_for` says, before each step of training, which samples the frames are of, and `forget`
    ends that. Of frames that nobody has named elements are dropped as torch's own dropout does it.
    """

    def __init__(self, p: float, seed: int) -> None:
        super().__init__()
        self.p = p
        self._level, self._seed = round(p * _LEVELS), seed
        self._keys: Tensor | None = None
        self._lengths = torch.empty(0, dtype=torch.int64)

    def draw_for(self, batch: Batch) -> None:
        """Draw for the samples of ``batch``, whose frames come next, on their device."""
        words = Draws(self._seed, batch.epoch, batch.indices).words(Purpose.DROPOUT, 2)
        keys = (words[:, 0] << 32) + words[:, 1]
        self._keys = torch.from_numpy(keys).to(batch.inputs.device)
        self._lengths = batch.lengths

    def forget(self) -> None:
        """No longer draw for the samples that `draw_for` was told."""
        self._keys = None

    def forward(self, frames: Tensor, layer: int) -> Tensor:
        """``frames`` (T, B, N) of ``layer`` with elements dropped, and zero in the padding."""
        if not self.training or self._level == 0:
            return frames
        if self._keys is None:
            return F.dropout(frames, self.p)
        steps = torch.arange(len(frames), device=frames.device)
        step, row = (steps[:, None] < self._lengths).nonzero(as_tuple=True)
        kept = torch.zeros_like(frames)
        chosen = self._kept(self._keys[row], step, frames.shape[2], layer)
        kept[step, row] = chosen.to(frames.dtype)
        return frames * kept.mul_(_LEVELS / (_LEVELS - self._level))

    def of_last(self, last: Tensor, layer: int) -> Tensor:
        """As `forward` of the last valid frames (B, N) alone."""
        if not self.training or self._level == 0:
            return last
        if self._keys is None:
            return F.dropout(last, self.p)
        kept = self._kept(self._keys, self._lengths - 1, last.shape[1], layer)
        return last * kept.to(last.dtype).mul_(_LEVELS / (_LEVELS - self._level))

    def _kept(self, keys: Tensor, step: Tensor, count: int, layer: int) -> Tensor:
        """Which of ``count`` elements are kept, (F, count), of the frames ``step`` of ``keys``."""
        keys = _mixed(keys + _GOLDEN * (layer * _MOST_FRAMES + step + 1))
        places = torch.arange(1, -(-count // _PER_WORD) + 1, device=keys.device) * _GOLDEN
        words = _mixed(keys[:, None] + places)
        if not len(words):  # the strides of what is empty may be such that torch cannot view it
            return words.new_empty((0, count), dtype=torch.bool)
        return words.view(torch.int16)[:, :count] >= self._level - _LEVELS // 2


def _mixed(words: Tensor) -> Tensor:
    """SplitMix64's finalizer of int64 ``words``, in their place."""
    for shift, factor in ((30, _FIRST), (27, _SECOND)):
        words = words.bitwise_xor_(_right(words, shift)).mul_(factor)
    return words.bitwise_xor_(_right(words, 31))


def _right(words: Tensor, shift: int) -> Tensor:
    """A logical shift: int64's own repeats the sign."""
    return (words >> shift).bitwise_and_((1 << (64 - shift)) - 1)
