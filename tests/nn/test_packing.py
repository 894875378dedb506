"""The layouts of the input and every complaint about it."""

from __future__ import annotations

import functools
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from eleatt_bench.nn import packing
from eleatt_bench.nn.packing import valid_frames

D = 4
lengths_lists = st.lists(st.integers(1, 6), min_size=1, max_size=5)


def pad(given_input, lengths, batch_first=False):
    """For a layer in float32 on the CPU."""
    return packing.pad(
        given_input,
        lengths,
        input_size=D,
        batch_first=batch_first,
        dtype=torch.float32,
        device=torch.device("cpu"),
    )


@settings(deadline=None)
@given(lengths_lists, st.booleans())
def test_a_packed_sequence_comes_back_as_it_was(lengths, enforce_sorted):
    if enforce_sorted:
        lengths = sorted(lengths, reverse=True)
    x = torch.randn(max(lengths), len(lengths), D)
    packed = pack_padded_sequence(x, lengths, enforce_sorted=enforce_sorted)
    batch = pad(packed, None, batch_first=True)  # has no meaning for packed input
    assert batch.frames.shape == x.shape
    back = batch.as_given(batch.frames)
    assert isinstance(back, PackedSequence)
    for own, given_part in zip(back, packed, strict=True):
        assert own is given_part is None or torch.equal(own, given_part)
    state = torch.randn(2, len(lengths), 3)
    assert torch.equal(batch.give_state(batch.take_state(state)), state)
    if not enforce_sorted:
        longest_first = sorted(lengths, reverse=True)
        order = packed.sorted_indices
        assert torch.tensor(lengths)[order].tolist() == longest_first
        assert torch.equal(batch.take_state(state), state[:, order])


@settings(deadline=None)
@given(lengths_lists, st.booleans())
def test_a_padded_batch_is_cleared_behind_each_length(lengths, batch_first):
    steps = max(lengths) + 1
    x = torch.randn(steps, len(lengths), D)
    given_input = x.transpose(0, 1) if batch_first else x
    before = given_input.clone()
    batch = pad(given_input, lengths, batch_first=batch_first)
    assert torch.equal(given_input, before)  # the caller's tensor is not touched
    for n, length in enumerate(lengths):
        assert torch.equal(batch.frames[:length, n], x[:length, n])
        assert (batch.frames[length:, n] == 0).all()
    assert batch.lengths.tolist() == lengths
    assert batch.lengths.dtype == torch.int64
    assert batch.as_given(batch.frames).shape == given_input.shape


def test_lengths_that_say_nothing_are_dropped():
    """Backends are faster without them."""
    x = torch.randn(6, 3, D)
    assert pad(x, [6, 6, 6]).lengths is None
    assert pad(x, [6, 6, 5]).lengths is not None
    packed = pack_padded_sequence(x, [6, 6, 6])
    batch = pad(packed, None)
    assert batch.lengths is None
    assert torch.equal(batch.as_given(batch.frames).data, packed.data)


def test_one_sequence_without_a_batch():
    x = torch.randn(6, D)
    batch = pad(x, None, batch_first=True)
    assert batch.frames.shape == (6, 1, D)
    assert torch.equal(batch.as_given(batch.frames), x)
    assert batch.take_state(torch.zeros(2, 3)).shape == (2, 1, 3)
    assert batch.give_state(torch.zeros(2, 1, 3)).shape == (2, 3)


def test_valid_frames():
    frames = valid_frames(torch.tensor([2, 1]), 3, torch.device("cpu"))
    assert frames.squeeze(2).tolist() == [[True, True], [True, False], [False, False]]


BATCH = torch.zeros(6, 3, D)
LAYOUTS = r"\(T, B, input_size\) or \(T, input_size\)"
PACKED = pack_padded_sequence(BATCH, [6, 6, 5])


@pytest.mark.parametrize(
    ("given_input", "lengths", "error", "message"),
    [
        ([[1.0]], None, TypeError, "input must be a Tensor or a PackedSequence, got list"),
        (
            BATCH.long(),
            None,
            TypeError,
            rf"like the parameters, of shape {LAYOUTS} .*, got torch.int64 of shape \(6, 3, 4\)",
        ),
        (
            BATCH.double(),
            None,
            TypeError,
            "input must be torch.float32 like the parameters, got torch.float64",
        ),
        (BATCH.to_sparse(), None, TypeError, "input must be dense, got torch.sparse_coo"),
        (BATCH.to("meta"), None, ValueError, "input must be on cpu like the parameters, got meta"),
        (
            torch.zeros(D),
            None,
            ValueError,
            rf"input must have shape {LAYOUTS} with input_size=4, got \(4,\)",
        ),
        (torch.zeros(1, 6, 3, D), None, ValueError, r"got \(1, 6, 3, 4\)"),
        (torch.zeros(6, 3, 5), None, ValueError, r"with input_size=4, got \(6, 3, 5\)"),
        (torch.zeros(0, 3, D), None, ValueError, r"at least one frame, got shape \(0, 3, 4\)"),
        (
            pack_padded_sequence(torch.zeros(6, 3, 5), [6, 6, 5]),
            None,
            ValueError,
            r"with input_size=4, got \(17, 5\)",
        ),
        (
            PackedSequence(PACKED.data.int(), PACKED.batch_sizes),
            None,
            TypeError,
            r"got torch.int32 of shape \(17, 4\)",
        ),
        (PACKED, [6, 6, 5], ValueError, "lengths must be None for a PackedSequence"),
        (torch.zeros(6, D), [6], ValueError, "lengths need a batch, but the input is one sequence"),
        (BATCH, [6.0, 6.0, 5.0], TypeError, "lengths must be integers, got torch.float32"),
        (
            BATCH,
            torch.ones(3, dtype=torch.bool),
            TypeError,
            "lengths must be integers, got torch.bool",
        ),
        (BATCH, [6, float("nan"), 5], TypeError, "lengths must be integers, got torch.float32"),
        (BATCH, [True] * 3, TypeError, "lengths must be integers, got torch.bool"),
        (BATCH, ["6", "6", "5"], TypeError, r"integers, one per sequence, got \['6', '6', '5'\]"),
        (BATCH, [6, None, 5], TypeError, r"integers, one per sequence, got \[6, None, 5\]"),
        (BATCH, [[6], [6, 5]], TypeError, r"integers, one per sequence, got \[\[6\], \[6, 5\]\]"),
        (BATCH, [6, 2**70, 5], TypeError, "integers, one per sequence, got"),
        (
            BATCH,
            torch.ones(3, dtype=torch.int64, device="meta"),
            ValueError,
            "lengths must have values, but they are on the device meta",
        ),
        (BATCH, [6, 6], ValueError, r"lengths must have shape \(3,\), .* got \(2,\)"),
        (BATCH, [], ValueError, r"lengths must have shape \(3,\), .* got \(0,\)"),
        (BATCH, 6, ValueError, r"lengths must have shape \(3,\), .* got \(\)"),
        (BATCH, [[6, 6, 5]], ValueError, r"lengths must have shape \(3,\), .* got \(1, 3\)"),
        (BATCH, [6, 0, 5], ValueError, r"lengths must be 1 to 6, .* lengths\[1\] is 0"),
        (BATCH, [6, 6, 7], ValueError, r"lengths must be 1 to 6, .* lengths\[2\] is 7"),
        (BATCH, [-1, 6, 7], ValueError, r"lengths must be 1 to 6, .* lengths\[0\] is -1"),
    ],
)
def test_every_wrong_input_is_named(given_input, lengths, error, message):
    with pytest.raises(error, match=message):
        pad(given_input, lengths)


def test_the_expected_shape_follows_batch_first():
    with pytest.raises(ValueError, match=r"input must have shape \(B, T, input_size\) or"):
        pad(torch.zeros(3, 6, 5), None, batch_first=True)


def test_lengths_are_a_copy():
    lengths = torch.tensor([6, 2, 5])
    batch = pad(BATCH, lengths)
    lengths.fill_(1)
    assert batch.lengths.tolist() == [6, 2, 5]


def test_lengths_may_come_from_numpy_and_be_read_only():
    lengths = np.array([6, 2, 5], dtype=np.uint16)
    lengths.flags.writeable = False
    assert pad(BATCH, lengths).lengths.tolist() == [6, 2, 5]


def test_what_is_made_here_is_on_the_cpu_whatever_the_default_device():
    x = torch.randn(6, 3, D)
    packed = pack_padded_sequence(x, [6, 6, 6])
    with torch.device("meta"):
        batch = pad(x, [6, 2, 5])
        assert batch.lengths.tolist() == [6, 2, 5]
        assert batch.frames.count_nonzero() == 13 * D
        batch = pad(packed, None)
        assert torch.equal(batch.as_given(batch.frames).data, packed.data)


def test_under_autocast_the_input_is_converted():
    with torch.autocast("cpu", torch.bfloat16):
        assert pad(BATCH.bfloat16(), None).frames.dtype == torch.float32
        with pytest.raises(TypeError, match=r"got torch\.int64"):
            pad(BATCH.long(), None)


def test_lengths_are_copied_once_per_batch_and_never_stale() -> None:
    """In inference mode first, which must not spoil them for whoever records gradients."""
    device = torch.device("cpu")
    with torch.inference_mode():
        first = packing.on_device(torch.tensor([2, 5, 3]), device)
    own = torch.tensor([2, 5, 3])
    assert all(a is b for a, b in zip(packing.on_device(own, device), first, strict=True))
    assert not first[0].is_inference()
    assert first[1].tolist() == [1, 2, 0]
    own[0] = 4
    lengths, order = packing.on_device(own, device)
    assert (lengths.tolist(), order.tolist()) == ([4, 5, 3], [1, 0, 2])


def test_lengths_that_a_cuda_graph_reads_are_never_given_up(monkeypatch) -> None:
    """The graph holds their address and no reference, and other batches come."""
    capturing = True
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: capturing)
    monkeypatch.setattr(packing, "_in_graphs", [])
    there = functools.lru_cache(maxsize=8)(lambda lengths, _: (torch.tensor(lengths),) * 2)
    monkeypatch.setattr(packing, "_on_device", there)

    def copied(length: int) -> weakref.ref[torch.Tensor]:
        return weakref.ref(packing.on_device(torch.tensor([length]), torch.device("cuda"))[0])

    recorded = copied(1)
    capturing = False
    others = [copied(length) for length in range(2, 20)]
    assert recorded() is not None
    assert others[0]() is None
