"""What `Stack.forward` promises whatever the cell: forms of lengths, state and attention."""

from __future__ import annotations

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from eleatt_bench.nn.layers import EleAttRNN

pytestmark = pytest.mark.usefixtures("backend")

CELLS = ("rnn", "lstm", "gru")
D, N = 4, 3
TIGHT = {"rtol": 0, "atol": 1e-12}


def as_tuple(state):
    return state if isinstance(state, tuple) else (state,)


def random_input(lengths, steps=None):
    return torch.randn(steps or max(lengths), len(lengths), D, dtype=torch.float64)


class TestLengths:
    def test_lengths_may_be_a_list_a_tuple_or_a_tensor_of_any_integers(self, make):
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
    def test_lengths_and_input_on_the_gpu(self, make, kind):
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
    @pytest.mark.parametrize("kind", CELLS)
    def test_no_state_is_a_state_of_zeros(self, make, flat, kind):
        layer, x = make(kind), torch.randn(5, 2, D, dtype=torch.float64)
        zeros = torch.zeros(4, 2, N, dtype=torch.float64)
        given_zeros = layer(x, (zeros, zeros) if kind == "lstm" else zeros)
        assert all(map(torch.equal, flat(layer(x)), flat(given_zeros)))

    @pytest.mark.parametrize("kind", CELLS)
    def test_the_state_is_ordered_layer_by_layer_forward_then_backward(self, make, kind):
        lengths = [5, 2]
        layer, x = make(kind), random_input([5, 2])
        output, state = layer(x, lengths=lengths)
        h = as_tuple(state)[0]
        last = torch.stack([output[4, 0], output[1, 1]])
        assert torch.equal(h[2], last[:, :N])  # layer 1 forward, at each last valid frame
        assert torch.equal(h[3], output[0, :, N:])  # layer 1 backward, at the first frame

    @pytest.mark.parametrize("kind", CELLS)
    def test_an_empty_batch(self, make, kind):
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
    def test_is_laid_out_as_the_input(self, make, kind):
        lengths = [3, 6]
        layer = make(kind, num_layers=3, gated_layers=[0, 2])
        first = make(kind, num_layers=3, gated_layers=[0, 2], batch_first=True)
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

    def test_of_a_plain_layer_is_none_everywhere(self, make):
        x = torch.randn(5, 2, D, dtype=torch.float64)
        assert make("gru", None)(x, return_attention=True)[2] == [None] * 4

    @pytest.mark.parametrize("kind", CELLS)
    def test_carries_gradients(self, make, kind):
        layer = make(kind, num_layers=1, bidirectional=False)
        (a,) = layer(torch.randn(5, 2, D, dtype=torch.float64), return_attention=True)[2]
        gradients = torch.autograd.grad(a.sum(), layer.parameters())
        assert all((gradient != 0).any() for gradient in gradients)
