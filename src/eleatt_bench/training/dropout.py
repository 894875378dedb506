"""Dropout whose masks belong to samples: the same in any batch, on any device and any process.

Whether an element is dropped is a function of (seed, epoch, sample, layer, frame, element) and of
nothing else. Philox (`eleatt_bench.data.transforms.randomness`) gives each sample a key. From it
the finalizer of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators",
OOPSLA 2014) makes words of 64 bits: one as the key of each frame, and from that one for every four
elements of the frame. It only adds, multiplies, shifts and xors integers, which is the same
everywhere. Nothing is drawn for padding.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eleatt_bench.config.checks import DROPOUT_LEVELS
from eleatt_bench.data.batches import Batch
from eleatt_bench.data.transforms.randomness import Draws, Purpose

_PER_WORD = 4  # elements, 16 bits each
_MOST_FRAMES = 1 << 32
# As int64, whose sums and products wrap as those of unsigned integers do.
_GOLDEN, _FIRST, _SECOND = (
    number - (1 << 64) for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


class SampleDropout(nn.Module):
    """Drop elements with the probability ``p``, rounded to 1 / 65,536, and scale the others.

    `draw_for` says, before each step of training, which samples the frames belong to, and `forget`
    ends that. Elements of other frames are dropped by torch's own dropout.
    """

    def __init__(self, p: float, seed: int) -> None:
        super().__init__()
        self.p = p
        self._level, self._seed = round(p * DROPOUT_LEVELS), seed
        self._keys: Tensor | None = None
        self._lengths = torch.empty(0, dtype=torch.int64)

    def draw_for(self, batch: Batch) -> None:
        """Draw for the samples of ``batch``, whose frames come next, on the inputs' device."""
        words = Draws(self._seed, batch.epoch, batch.indices).words(Purpose.DROPOUT, 2)
        keys = (words[:, 0] << 32) + words[:, 1]
        self._keys = torch.from_numpy(keys).to(batch.inputs.device)
        self._lengths = batch.lengths

    def forget(self) -> None:
        """Stop drawing for the samples of the last `draw_for`."""
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
        return frames * kept.mul_(DROPOUT_LEVELS / (DROPOUT_LEVELS - self._level))

    def of_last(self, last: Tensor, layer: int) -> Tensor:
        """As `forward`, for the last valid frames (B, N) alone."""
        if not self.training or self._level == 0:
            return last
        if self._keys is None:
            return F.dropout(last, self.p)
        kept = self._kept(self._keys, self._lengths - 1, last.shape[1], layer)
        return last * kept.to(last.dtype).mul_(DROPOUT_LEVELS / (DROPOUT_LEVELS - self._level))

    def _kept(self, keys: Tensor, step: Tensor, count: int, layer: int) -> Tensor:
        """Which elements are kept (F, count), for F frames: sample ``keys`` (F,), ``step`` (F,)."""
        keys = _mixed(keys + _GOLDEN * (layer * _MOST_FRAMES + step + 1))
        places = torch.arange(1, -(-count // _PER_WORD) + 1, device=keys.device) * _GOLDEN
        words = _mixed(keys[:, None] + places)
        if not len(words):  # torch cannot view an empty tensor with unusual strides
            return words.new_empty((0, count), dtype=torch.bool)
        return words.view(torch.int16)[:, :count] >= self._level - DROPOUT_LEVELS // 2


def _mixed(words: Tensor) -> Tensor:
    """SplitMix64's finalizer of int64 ``words``, in place."""
    for shift, factor in ((30, _FIRST), (27, _SECOND)):
        words = words.bitwise_xor_(_right(words, shift)).mul_(factor)
    return words.bitwise_xor_(_right(words, 31))


def _right(words: Tensor, shift: int) -> Tensor:
    """``words`` shifted right logically; the shift of int64 itself repeats the sign."""
    return (words >> shift).bitwise_and_((1 << (64 - shift)) - 1)
