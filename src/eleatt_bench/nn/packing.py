"""From the layouts that torch's recurrent layers accept to the one a backend runs on, and back."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from eleatt_bench.nn.contract import BackendError
from eleatt_bench.nn.observers import recorded, underneath


@dataclass(frozen=True)
class Padded:
    """A batch in the layout of a backend, with what is needed to convert results back."""

    frames: Tensor  # (T, B, D), zero in the padding if that was asked for
    lengths: Tensor | None  # (B,), int64 on the CPU; None: every sequence has T frames
    batch_first: bool = False
    batched: bool = True
    packed: PackedSequence | None = None  # the input, if it was packed

    def as_given(self, frames: Tensor) -> Tensor | PackedSequence:
        """``frames`` (T, B, any) in the layout of the input."""
        if self.packed is not None:
            lengths = self.lengths
            if lengths is None:
                lengths = torch.full((frames.shape[1],), frames.shape[0], device="cpu")
            data, batch_sizes, _, _ = pack_padded_sequence(frames, lengths)
            return PackedSequence(
                data, batch_sizes, self.packed.sorted_indices, self.packed.unsorted_indices
            )
        if not self.batched:
            return frames.squeeze(1)
        return frames.transpose(0, 1) if self.batch_first else frames

    def take_state(self, state: Tensor) -> Tensor:
        """A state in the user's layout as (rows, B, N), in the order of ``frames``."""
        if not self.batched:
            return state.unsqueeze(1)
        if self.packed is not None and self.packed.sorted_indices is not None:
            return state.index_select(1, self.packed.sorted_indices)
        return state

    def give_state(self, state: Tensor) -> Tensor:
        """The inverse of `take_state`."""
        if not self.batched:
            return state.squeeze(1)
        if self.packed is not None and self.packed.unsorted_indices is not None:
            return state.index_select(1, self.packed.unsorted_indices)
        return state


def pad(
    input: Tensor | PackedSequence,  # noqa: A002  (torch's name for it)
    lengths: Tensor | Sequence[int] | None,
    *,
    input_size: int,
    batch_first: bool,
    dtype: torch.dtype,
    device: torch.device,
    zeroed: bool = True,
) -> Padded:
    """Bring ``input`` to the layout of a backend.

    ``input`` is (T, B, D), (B, T, D) with ``batch_first``, (T, D) for one sequence without a
    batch, or packed. With ``zeroed`` its padding becomes zero before any arithmetic: the values
    there, NaN included, change nothing, and the gradient that flows back into them is zero.

    Under autocast a floating-point ``input`` is converted to ``dtype``. Raises TypeError for a
    wrong type or dtype, ValueError for a wrong shape, another device than ``device``, or wrong
    lengths.
    """
    if isinstance(input, PackedSequence):
        if lengths is not None:
            raise ValueError("lengths must be None for a PackedSequence, which has its own")
        layout = "(frames of all sequences, input_size)"
        if recorded(input.data):
            raise BackendError(
                "a graph that is exported or traced would hold the lengths of one PackedSequence: "
                "give the padded batch and lengths="
            )
        data = _checked_frames(input.data, input_size, layout, {2}, dtype, device)
        # Without sorted_indices the batch stays in its packed order, longest first.
        frames, own = pad_packed_sequence(PackedSequence(data, input.batch_sizes))
        return Padded(frames, _needed(own, frames.shape[0]), packed=input)

    layout = "(B, T, input_size)" if batch_first else "(T, B, input_size)"
    layout += " or (T, input_size)"
    frames = _checked_frames(input, input_size, layout, {2, 3}, dtype, device)
    batched = frames.dim() == 3
    if not batched:
        if lengths is not None:
            raise ValueError("lengths need a batch, but the input is one sequence, (T, input_size)")
        frames = frames.unsqueeze(1)
    elif batch_first:
        frames = frames.transpose(0, 1)
    steps, batch = frames.shape[:2]
    if steps == 0:
        raise ValueError(f"the input must have at least one frame, got shape {_shape(input)}")
    if lengths is None:
        return Padded(frames, None, batch_first, batched)
    needed = _needed(_checked_lengths(lengths, steps, batch), steps)
    if needed is not None and zeroed:
        frames = frames.masked_fill(~valid_frames(needed, steps, frames.device), 0)
    return Padded(frames, needed, batch_first)


def valid_frames(lengths: Tensor, steps: int, device: torch.device) -> Tensor:
    """(T, B, 1), True where frame t of sequence b lies within its length.

    ``lengths`` (B,) is on the CPU, the result on ``device``.
    """
    if device.type == "cuda" and not recorded(lengths):  # the GPU has them: compare there
        own = on_device(lengths, device)[0]
        return (torch.arange(steps, device=device).unsqueeze(1) < own).unsqueeze(2)
    return (torch.arange(steps, device="cpu").unsqueeze(1) < lengths).unsqueeze(2).to(device)


_in_graphs: list[tuple[Tensor, Tensor]] = []  # kept for good: a replayed CUDA graph reads them


@functools.lru_cache(maxsize=8)
def _on_device(lengths: tuple[int, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    with torch.inference_mode(False):  # they are kept, and a later caller may record gradients
        own = torch.tensor(lengths, dtype=torch.int64, device="cpu")
        order = torch.argsort(own, descending=True, stable=True)
        return own.to(device), order.to(device)


def on_device(lengths: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Copies on ``device`` of ``lengths`` (B,) and of the sequences' indices, longest first.

    ``lengths`` is on the CPU. The copies for the last few batches are kept, by value, and must not
    be written to. So all layers and directions and the backward pass of a batch share one copy, and
    the CUDA graph of a step that has run before needs none.
    """
    both = _on_device(tuple(lengths.tolist()), device)
    if device.type == "cuda" and torch.cuda.is_current_stream_capturing():
        _in_graphs.append(both)
    return both


def under_autocast(device: torch.device) -> bool:
    """Whether autocast is on for ``device``; torch has none for some, such as meta."""
    kind = device.type
    return torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)


def in_dtype(tensor: Tensor, name: str, dtype: torch.dtype, device: torch.device) -> Tensor:
    """``tensor``, which must have the parameters' device and dtype; autocast converts the dtype."""
    if tensor.layout != torch.strided:
        raise TypeError(f"{name} must be dense, got {tensor.layout}")
    if tensor.device != device:
        raise ValueError(f"{name} must be on {device} like the parameters, got {tensor.device}")
    if tensor.dtype == dtype:
        return tensor
    if not tensor.is_floating_point() or not under_autocast(device):
        raise TypeError(f"{name} must be {dtype} like the parameters, got {tensor.dtype}")
    return tensor.to(dtype)


def _checked_lengths(lengths: Tensor | Sequence[int], steps: int, batch: int) -> Tensor:
    """``lengths`` as int64 on the CPU, if they fit (T, B); a graph being recorded has no values.

    It is a copy: if the user changes ``lengths`` later, a backward pass must not see that.
    """
    given = lengths if isinstance(lengths, Tensor) else _as_tensor(lengths)
    if given.is_floating_point() or given.is_complex() or given.dtype == torch.bool:
        raise TypeError(f"lengths must be integers, got {given.dtype}")
    if given.shape != (batch,):
        raise ValueError(
            f"lengths must have shape ({batch},), one per sequence, got {_shape(given)}"
        )
    if given.is_meta:
        raise ValueError("lengths must have values, but they are on the device meta")
    own = given.detach().to("cpu", torch.int64, copy=True)
    values = underneath(own)
    if recorded(values):
        return own
    wrong = ((values < 1) | (values > steps)).nonzero()
    if len(wrong):
        index = tuple(wrong[0].tolist())
        raise ValueError(
            f"lengths must be 1 to {steps}, the number of frames in the input; "
            f"lengths[{', '.join(map(str, index))}] is {int(values[index])}"
        )
    return own


def _as_tensor(lengths: Sequence[int]) -> Tensor:
    try:
        tensor = torch.tensor(lengths, device="cpu")
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"lengths must be integers, one per sequence, got {lengths!r}") from error
    return tensor if tensor.numel() else tensor.long()  # an empty list has become a float tensor


def _needed(lengths: Tensor, steps: int) -> Tensor | None:
    """``lengths``, or None if every sequence has ``steps`` frames, as in an empty batch."""
    return None if not recorded(lengths) and bool((lengths == steps).all()) else lengths


def _checked_frames(
    frames: Tensor,
    input_size: int,
    layout: str,
    dims: set[int],
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor:
    """``frames`` in ``dtype``, if they have one of ``dims`` dimensions, the last ``input_size``."""
    if not isinstance(frames, Tensor):
        raise TypeError(f"input must be a Tensor or a PackedSequence, got {type(frames).__name__}")
    if not frames.is_floating_point():
        raise TypeError(
            f"input must be {dtype} like the parameters, of shape {layout} with "
            f"input_size={input_size}, got {frames.dtype} of shape {_shape(frames)}"
        )
    if frames.dim() not in dims or frames.shape[-1] != input_size:
        raise ValueError(
            f"input must have shape {layout} with input_size={input_size}, got {_shape(frames)}"
        )
    return in_dtype(frames, "input", dtype, device)


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)
