"""What `Stack.forward` promises whatever the cell: lengths, layouts, state and attention."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from eleatt_bench.nn.layers import EleAttGRU, EleAttLSTM, EleAttRNN

pytestmark = pytest.mark.usefixtures("backend")

CELLS = {"rnn": EleAttRNN, "lstm": EleAttLSTM, "gru": EleAttGRU}
D, N = 4, 3
TIGHT = {"rtol": 0, "atol": 1e-12}

kinds = st.sampled_from(list(CELLS))
gates = st.sampled_from([None, "sigmoid", "softmax"])
lengths_lists = st.lists(st.integers(1, 6), min_size=1, max_size=5)
properties = settings(max_examples=25, deadline=None)


def make(kind, gate="sigmoid", layers=2, bidirectional=True, **options):
    """A layer in float64 whose weights are large enough for every term to matter."""
    torch.manual_seed(0)
    layer = CELLS[kind](
        D, N, layers, bidirectional=bidirectional, gate=gate, dtype=torch.float64, **options
    )
    for parameter in layer.parameters():
        torch.nn.init.uniform_(parameter, -1, 1)
    return layer


def flat(result):
    """Every tensor in what forward returns, in order."""
    if isinstance(result, torch.Tensor):
        return [result]
    if isinstance(result, PackedSequence):
        return [result.data]
    return [tensor for part in result if part is not None for tensor in flat(part)]


def as_tuple(state):
    return state if isinstance(state, tuple) else (state,)


def random_input(lengths, steps=None):
    return torch.randn(steps or max(lengths), len(lengths), D, dtype=torch.float64)


class TestLengths:
    @properties
    @given(kinds, gates, lengths_lists, st.sampled_from([float("nan"), float("inf"), 1e300, -7.0]))
    def test_padding_never_matters(self, kind, gate, lengths, content):
        """Values and gradients, to the last bit; the gradient into the padding is zero."""
        layer = make(kind, gate)
        x = random_input(lengths, max(lengths) + 1)
        padding = torch.arange(len(x)).unsqueeze(1) >= torch.tensor(lengths)
        results = []
        for filling in (0.0, content):
            filled = x.clone()
            filled[padding] = filling
            filled.requires_grad_()
            tensors = flat(layer(filled, lengths=lengths, return_attention=True))
            total = sum(tensor.square().sum() for tensor in tensors)
            grads = torch.autograd.grad(total, [filled, *layer.parameters()])
            assert (grads[0][padding] == 0).all()
            assert (grads[0][~padding] != 0).any()
            results.append([*tensors, *grads])
        for zeros, other in zip(*results, strict=True):
            assert torch.equal(zeros, other)
            assert torch.isfinite(other).all()

    @properties
    @given(kinds, gates, lengths_lists)
    def test_outputs_and_responses_are_zero_in_the_padding(self, kind, gate, lengths):
        layer = make(kind, gate)
        x = random_input(lengths, max(lengths) + 2)
        padding = torch.arange(len(x)).unsqueeze(1) >= torch.tensor(lengths)
        output, _, attention = layer(x, lengths=lengths, return_attention=True)
        for frames in [output, *(a for a in attention if a is not None)]:
            assert (frames[padding] == 0).all()
            assert (frames[~padding] != 0).all()

    @properties
    @given(kinds, gates, lengths_lists)
    def test_more_padding_changes_nothing(self, kind, gate, lengths):
        layer = make(kind, gate)
        x = random_input(lengths, max(lengths) + 3)
        wide = layer(x, lengths=lengths)
        tight = layer(x[: max(lengths)], lengths=lengths)
        torch.testing.assert_close(wide[0][: max(lengths)], tight[0], **TIGHT)
        torch.testing.assert_close(wide[1], tight[1], **TIGHT)

    @properties
    @given(kinds, gates, lengths_lists, st.randoms(use_true_random=False))
    def test_the_order_of_the_batch_does_not_matter(self, kind, gate, lengths, random):
        layer = make(kind, gate)
        order = random.sample(range(len(lengths)), len(lengths))
        x, given_lengths = random_input(lengths), torch.tensor(lengths)
        output, state = layer(x, lengths=given_lengths)
        permuted, permuted_state = layer(x[:, order], lengths=given_lengths[order])
        torch.testing.assert_close(permuted, output[:, order], **TIGHT)
        for own, other in zip(as_tuple(permuted_state), as_tuple(state), strict=True):
            torch.testing.assert_close(own, other[:, order], **TIGHT)

    @properties
    @given(kinds, gates, lengths_lists)
    def test_a_batch_is_its_sequences_one_by_one(self, kind, gate, lengths):
        """Packed, padded with lengths, and each sequence alone: one result, one gradient."""
        layer = make(kind, gate)
        x = random_input(lengths)
        packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
        output, state, attention = layer(packed, return_attention=True)
        padded = [pad_packed_sequence(a)[0] for a in (output, *attention) if a is not None]
        own, own_state, own_attention = layer(x, lengths=lengths, return_attention=True)
        own_frames = [a for a in (own, *own_attention) if a is not None]
        torch.testing.assert_close(padded, own_frames, **TIGHT)
        torch.testing.assert_close(state, own_state, **TIGHT)
        for n, length in enumerate(lengths):
            alone, alone_state, alone_attention = layer(x[:length, n], return_attention=True)
            frames = [a for a in (alone, *alone_attention) if a is not None]
            torch.testing.assert_close([a[:length, n] for a in padded], frames, **TIGHT)
            for h, expected in zip(as_tuple(state), as_tuple(alone_state), strict=True):
                torch.testing.assert_close(h[:, n], expected, **TIGHT)

    def test_lengths_may_be_a_list_a_tuple_or_a_tensor_of_any_integers(self):
        layer, lengths = make("gru"), [2, 5, 1]
        x = random_input(lengths)
        expected = layer(x, lengths=lengths)[0]
        for form in (
            tuple(lengths),
            torch.tensor(lengths, dtype=torch.uint8),
            torch.tensor([2, 5, 1]),
        ):
            assert torch.equal(layer(x, lengths=form)[0], expected)

    @pytest.mark.gpu
    @pytest.mark.parametrize("kind", CELLS)
    def test_lengths_and_input_on_the_gpu(self, kind):
        layer, lengths = make(kind), [2, 5, 1]
        x = random_input(lengths)
        expected = layer(x, lengths=lengths)[0]
        layer.cuda()
        for given_lengths in (lengths, torch.tensor(lengths), torch.tensor(lengths).cuda()):
            torch.testing.assert_close(
                layer(x.cuda(), lengths=given_lengths)[0].cpu(), expected, **TIGHT
            )
        packed = pack_padded_sequence(x, lengths, enforce_sorted=False).to("cuda")
        torch.testing.assert_close(
            pad_packed_sequence(layer(packed)[0])[0].cpu(), expected, **TIGHT
        )


class TestState:
    @properties
    @given(kinds, gates, st.integers(2, 7), st.data())
    def test_a_sequence_in_two_parts_is_the_whole(self, kind, gate, steps, data):
        layer = make(kind, gate, bidirectional=False)
        cut = data.draw(st.integers(1, steps - 1))
        x = torch.randn(steps, 2, D, dtype=torch.float64)
        whole, final = layer(x)
        first, state = layer(x[:cut])
        second, state = layer(x[cut:], state)
        torch.testing.assert_close(torch.cat([first, second]), whole, **TIGHT)
        torch.testing.assert_close(state, final, **TIGHT)

    @pytest.mark.parametrize("kind", CELLS)
    def test_no_state_is_a_state_of_zeros(self, kind):
        layer, x = make(kind), torch.randn(5, 2, D, dtype=torch.float64)
        zeros = torch.zeros(4, 2, N, dtype=torch.float64)
        given_zeros = layer(x, (zeros, zeros) if kind == "lstm" else zeros)
        assert all(map(torch.equal, flat(layer(x)), flat(given_zeros)))

    @pytest.mark.parametrize("kind", CELLS)
    def test_the_state_is_ordered_layer_by_layer_forward_then_backward(self, kind):
        lengths = [5, 2]
        layer, x = make(kind), random_input([5, 2])
        output, state = layer(x, lengths=lengths)
        h = as_tuple(state)[0]
        last = torch.stack([output[4, 0], output[1, 1]])
        assert torch.equal(h[2], last[:, :N])  # layer 1 forward, at each last valid frame
        assert torch.equal(h[3], output[0, :, N:])  # layer 1 backward, at the first frame

    @pytest.mark.parametrize("kind", CELLS)
    def test_an_empty_batch(self, kind):
        layer = make(kind, batch_first=True)
        for lengths in (None, [], torch.zeros(0, dtype=torch.int64)):
            x = torch.zeros(0, 5, D, dtype=torch.float64, requires_grad=True)
            output, state, attention = layer(x, lengths=lengths, return_attention=True)
            assert output.shape == (0, 5, 2 * N)
            assert all(h.shape == (4, 0, N) for h in as_tuple(state))
            assert [a.shape for a in attention] == [(0, 5, D)] * 2 + [(0, 5, 2 * N)] * 2
            output.sum().backward()
            assert x.grad.shape == x.shape


class TestAttention:
    @pytest.mark.parametrize("kind", CELLS)
    def test_is_laid_out_as_the_input(self, kind):
        lengths = [3, 6]
        layer = make(kind, layers=3, gated_layers=[0, 2])
        first = make(kind, layers=3, gated_layers=[0, 2], batch_first=True)
        x = random_input(lengths)
        attention = layer(x, lengths=lengths, return_attention=True)[2]
        shapes = [None if a is None else tuple(a.shape) for a in attention]
        assert shapes == [(6, 2, D)] * 2 + [None] * 2 + [(6, 2, 2 * N)] * 2
        gated = [a for a in attention if a is not None]

        other = first(x.transpose(0, 1), lengths=lengths, return_attention=True)[2]
        assert [a is None for a in other] == [a is None for a in attention]
        other = [a.transpose(0, 1) for a in other if a is not None]
        torch.testing.assert_close(other, gated, **TIGHT)

        packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
        other = layer(packed, return_attention=True)[2]
        assert [a is None for a in other] == [a is None for a in attention]
        assert all(torch.equal(a.batch_sizes, packed.batch_sizes) for a in other if a is not None)
        other = [pad_packed_sequence(a)[0] for a in other if a is not None]
        torch.testing.assert_close(other, gated, **TIGHT)

        alone = layer(x[:3, 0], return_attention=True)[2]
        torch.testing.assert_close(
            [a for a in alone if a is not None], [a[:3, 0] for a in gated], **TIGHT
        )

    def test_is_what_the_input_is_multiplied_by(self):
        """With the identity as its matrix and no state, an RNN puts out tanh(a ⊙ x)."""
        layer = EleAttRNN(N, N, bias=False, dtype=torch.float64)
        with torch.no_grad():
            layer.weight_ih_l0.copy_(torch.eye(N))
            layer.weight_hh_l0.zero_()
        x = torch.randn(5, 2, N, dtype=torch.float64)
        output, _, (a,) = layer(x, return_attention=True)
        torch.testing.assert_close(output, torch.tanh(a * x), **TIGHT)

    @pytest.mark.parametrize("kind", CELLS)
    def test_softmax_responses_sum_to_one_and_sigmoids_do_not(self, kind):
        x = torch.randn(5, 2, D, dtype=torch.float64)
        for a in make(kind, "softmax")(x, return_attention=True)[2]:
            torch.testing.assert_close(a.sum(2), torch.ones(5, 2, dtype=torch.float64), **TIGHT)
        for a in make(kind, "sigmoid")(x, return_attention=True)[2]:
            assert ((a > 0) & (a < 1)).all()
            assert (a.sum(2) - 1).abs().max() > 0.1

    def test_of_a_plain_layer_is_none_everywhere(self):
        x = torch.randn(5, 2, D, dtype=torch.float64)
        assert make("gru", None)(x, return_attention=True)[2] == [None] * 4

    @pytest.mark.parametrize("kind", CELLS)
    def test_carries_gradients(self, kind):
        layer = make(kind, layers=1, bidirectional=False)
        (a,) = layer(torch.randn(5, 2, D, dtype=torch.float64), return_attention=True)[2]
        gradients = torch.autograd.grad(a.sum(), layer.parameters())
        assert all((gradient != 0).any() for gradient in gradients)
