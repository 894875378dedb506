"""Laws that hold for any input, whatever the backend, and inputs made to break them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from eleatt_bench.nn.layers import EleAttGRU, EleAttLSTM, EleAttRNN

pytestmark = pytest.mark.usefixtures("backend")

LAYERS = {"rnn": EleAttRNN, "lstm": EleAttLSTM, "gru": EleAttGRU, "gru after": EleAttGRU}
D, N = 4, 3
TIGHT = {"rtol": 0, "atol": 1e-12}

kinds = st.sampled_from(list(LAYERS))
gates = st.sampled_from([None, "sigmoid", "softmax"])
lengths_lists = st.lists(st.integers(1, 6), min_size=1, max_size=5)
properties = settings(max_examples=15, deadline=None)  # for each of three backends
every_cell = pytest.mark.parametrize("kind", LAYERS)
every_gate = pytest.mark.parametrize("gate", [None, "sigmoid", "softmax"])


def make(kind, gate="sigmoid", layers=2, bidirectional=True, D=D, N=N, **options):
    """A layer in float64 whose weights are large enough for every term to matter."""
    torch.manual_seed(0)
    form = {"reset_after": True} if kind == "gru after" else {}
    layer = LAYERS[kind](
        D, N, layers, bidirectional=bidirectional, gate=gate, dtype=torch.float64, **form, **options
    )
    for parameter in layer.parameters():
        torch.nn.init.uniform_(parameter, -1, 1)
    return layer


def as_tuple(state):
    return state if isinstance(state, tuple) else (state,)


def states(kind, *shape):
    made = torch.randn(2 if kind == "lstm" else 1, *shape, dtype=torch.float64)
    return tuple(made) if kind == "lstm" else made[0]


def random_input(lengths, steps=None):
    """(T, B, D), and where it is padding."""
    x = torch.randn(steps or max(lengths), len(lengths), D, dtype=torch.float64)
    return x, torch.arange(len(x)).unsqueeze(1) >= torch.tensor(lengths)


def weighted(tensors):
    """A number that depends on every entry in its own way."""
    return sum((t * torch.arange(1.0, t.numel() + 1).sin().view_as(t)).sum() for t in tensors)


class TestPadding:
    @properties
    @given(
        kinds, gates, lengths_lists, st.sampled_from([torch.nan, torch.inf, 1e300, 5e-324, -7.0])
    )
    def test_its_content_never_matters(self, flat, kind, gate, lengths, content):
        """Values and gradients, to the last bit; the gradient into the padding is zero."""
        layer = make(kind, gate)
        x, padding = random_input(lengths, max(lengths) + 1)
        results = []
        for filling in (0.0, content):
            filled = x.clone()
            filled[padding] = filling
            filled.requires_grad_()
            tensors = flat(layer(filled, lengths=lengths, return_attention=True))
            grads = torch.autograd.grad(weighted(tensors), [filled, *layer.parameters()])
            assert (grads[0][padding] == 0).all()
            assert (grads[0][~padding] != 0).any()
            results.append([*tensors, *grads])
        for zeros, other in zip(*results, strict=True):
            assert torch.equal(zeros, other)
            assert torch.isfinite(other).all()

    @properties
    @given(kinds, gates, lengths_lists)
    def test_outputs_and_attention_there_are_zero(self, kind, gate, lengths):
        layer = make(kind, gate)
        x, padding = random_input(lengths, max(lengths) + 2)
        output, _, attention = layer(x, lengths=lengths, return_attention=True)
        for frames in [output, *(a for a in attention if a is not None)]:
            assert (frames[padding] == 0).all()
            assert (frames[~padding] != 0).all()

    @properties
    @given(kinds, gates, lengths_lists)
    def test_what_comes_back_there_is_ignored(self, kind, gate, lengths):
        """Not even NaN, which a loss may well put there, reaches anything."""
        layer = make(kind, gate)
        x, padding = random_input(lengths, max(lengths) + 1)
        x.requires_grad_()
        output, _, attention = layer(x, lengths=lengths, return_attention=True)
        frames = [output, *(a for a in attention if a is not None)]
        leaves = [x, *layer.parameters()]
        results = []
        for filling in (0.0, torch.nan):
            given = [torch.ones_like(t).masked_fill(padding.unsqueeze(2), filling) for t in frames]
            results.append(torch.autograd.grad(frames, leaves, given, retain_graph=True))
        for zeros, other in zip(*results, strict=True):
            assert torch.equal(zeros, other)

    @properties
    @given(kinds, gates, lengths_lists)
    def test_more_of_it_changes_nothing(self, kind, gate, lengths):
        layer = make(kind, gate)
        x, _ = random_input(lengths, max(lengths) + 3)
        wide = layer(x, lengths=lengths)
        tight = layer(x[: max(lengths)], lengths=lengths)
        torch.testing.assert_close(wide[0][: max(lengths)], tight[0], **TIGHT)
        torch.testing.assert_close(wide[1], tight[1], **TIGHT)


class TestBatch:
    @properties
    @given(kinds, gates, lengths_lists, st.randoms(use_true_random=False))
    def test_its_order_does_not_matter(self, flat, kind, gate, lengths, random):
        """A permuted batch gives permuted results and the same gradients."""
        layer = make(kind, gate)
        order = random.sample(range(len(lengths)), len(lengths))
        x, _ = random_input(lengths)
        hx, given_lengths = states(kind, 4, len(lengths), N), torch.tensor(lengths)
        permuted_hx = tuple(h[:, order] for h in as_tuple(hx))
        results = []
        for frames, own_lengths, own_hx, back in (
            (x, given_lengths, hx, list(range(len(lengths)))),
            (
                x[:, order],
                given_lengths[order],
                permuted_hx if kind == "lstm" else permuted_hx[0],
                torch.tensor(order).argsort(),
            ),
        ):
            frames = frames.clone().requires_grad_()
            tensors = flat(layer(frames, own_hx, lengths=own_lengths, return_attention=True))
            tensors = [tensor[:, back] for tensor in tensors]
            grads = torch.autograd.grad(weighted(tensors), [frames, *layer.parameters()])
            results.append([*tensors, grads[0][:, back], *grads[1:]])
        torch.testing.assert_close(*results, **TIGHT)

    @properties
    @given(kinds, gates, lengths_lists, st.booleans())
    def test_it_is_its_sequences_one_by_one(self, kind, gate, lengths, enforce_sorted):
        """Packed, padded with lengths, and each sequence alone: one result, one gradient."""
        if enforce_sorted:
            lengths = sorted(lengths, reverse=True)
        layer = make(kind, gate)
        x, _ = random_input(lengths)
        x.requires_grad_()
        leaves, hx = [x, *layer.parameters()], states(kind, 4, len(lengths), N)

        def frames_and_states(result):
            output, state, attention = result
            frames = [a for a in (output, *attention) if a is not None]
            if isinstance(output, PackedSequence):
                frames = [pad_packed_sequence(a)[0] for a in frames]
            return frames, as_tuple(state)

        packed = pack_padded_sequence(x, lengths, enforce_sorted=enforce_sorted)
        frames, final = frames_and_states(layer(packed, hx, return_attention=True))
        own = frames_and_states(layer(x, hx, lengths=lengths, return_attention=True))
        torch.testing.assert_close((frames, final), own, **TIGHT)
        gradients = torch.autograd.grad(weighted([*frames, *final]), leaves)
        own_gradients = torch.autograd.grad(weighted([*own[0], *own[1]]), leaves)
        torch.testing.assert_close(gradients, own_gradients, **TIGHT)

        alone_frames, alone_final = [torch.zeros_like(a) for a in frames], []
        for n, length in enumerate(lengths):
            one = tuple(h[:, n] for h in as_tuple(hx))
            result = layer(x[:length, n], one if kind == "lstm" else one[0], return_attention=True)
            alone, state = frames_and_states(result)
            for whole, part in zip(alone_frames, alone, strict=True):
                whole[:length, n] = part
            alone_final.append(state)
        alone_final = [torch.stack(rows, dim=1) for rows in zip(*alone_final, strict=True)]
        torch.testing.assert_close((frames, final), (alone_frames, tuple(alone_final)), **TIGHT)
        alone_gradients = torch.autograd.grad(weighted([*alone_frames, *alone_final]), leaves)
        torch.testing.assert_close(gradients, alone_gradients, **TIGHT)

    @properties
    @given(kinds, gates, lengths_lists, st.data())
    def test_a_broken_frame_harms_no_other_sequence_and_no_earlier_frame(
        self, kind, gate, lengths, data
    ):
        layer = make(kind, gate, bidirectional=False)
        n = data.draw(st.integers(0, len(lengths) - 1))
        t = data.draw(st.integers(0, lengths[n] - 1))
        x, padding = random_input(lengths)
        after = torch.zeros_like(padding)
        after[t : lengths[n], n] = True
        results = []
        for content in (0.0, torch.nan):
            given = x.clone()
            given[t, n] = content
            given.requires_grad_()
            output = layer(given, lengths=lengths)[0]
            kept = output.detach().clone()
            (gradient,) = torch.autograd.grad(
                output.masked_fill(after.unsqueeze(2), 0).sum(), given
            )
            others = torch.arange(len(lengths)) != n
            results.append((kept[~after], gradient[:, others]))
            if content != 0:
                assert kept[after].isnan().all()
        for own, broken in zip(*results, strict=True):
            assert torch.equal(own, broken)

    @every_cell
    @every_gate
    def test_an_empty_one_has_gradients_of_zero(self, flat, kind, gate):
        layer = make(kind, gate)
        tensors = flat(layer(torch.zeros(5, 0, D).double(), return_attention=True))
        for gradient in torch.autograd.grad(weighted(tensors), layer.parameters()):
            assert (gradient == 0).all()


class TestState:
    @properties
    @given(kinds, gates, st.lists(st.integers(1, 4), min_size=2, max_size=4))
    def test_a_sequence_in_parts_is_the_whole(self, kind, gate, parts):
        """With the state handed over, and the gradient handed back."""
        layer = make(kind, gate, bidirectional=False)
        x = torch.randn(sum(parts), 2, D, dtype=torch.float64, requires_grad=True)
        leaves = [x, *layer.parameters()]
        output, final, attention = layer(x, return_attention=True)
        whole = [output, *(a for a in attention if a is not None), *as_tuple(final)]
        pieces, state = [], None
        for part in x.split(parts):
            output, state, attention = layer(part, state, return_attention=True)
            pieces.append([output, *(a for a in attention if a is not None)])
        joined = [*map(torch.cat, zip(*pieces, strict=True)), *as_tuple(state)]
        torch.testing.assert_close(joined, whole, **TIGHT)
        gradients = [torch.autograd.grad(weighted(tensors), leaves) for tensors in (joined, whole)]
        torch.testing.assert_close(*gradients, **TIGHT)


class TestGate:
    @properties
    @given(kinds, lengths_lists)
    def test_forced_open_it_leaves_the_plain_cell(self, flat, kind, lengths):
        """Results and gradients; a gate that is all the way open has none itself."""
        gated, plain = make(kind), make(kind, None)
        plain.load_state_dict({name: gated.state_dict()[name] for name in plain.state_dict()})
        x, _ = random_input(lengths)
        x.requires_grad_()
        assert (gated(x)[0] - plain(x)[0]).abs().max() > 1e-3
        with torch.no_grad():
            for name, parameter in gated.named_parameters():
                if name.startswith("bias_a"):
                    parameter.fill_(1e4)
        results = []
        for layer in (gated, plain):
            tensors = flat(layer(x, lengths=lengths))
            named = dict(layer.named_parameters())
            grads = torch.autograd.grad(weighted(tensors), [x, *named.values()])
            named = dict(zip(named, grads[1:], strict=True))
            if layer is gated:
                assert all((named[n] == 0).all() for n in set(named) - set(plain.state_dict()))
            results.append([*tensors, grads[0], *(named[name] for name in plain.state_dict())])
        torch.testing.assert_close(*results, **TIGHT)

    @every_cell
    def test_forced_shut_it_leaves_the_biases(self, kind):
        layer = make(kind)
        with torch.no_grad():
            for name, parameter in layer.named_parameters():
                if name.startswith("bias_a"):
                    parameter.fill_(-1e4)
        x = torch.randn(5, 2, D, dtype=torch.float64)
        output, _, attention = layer(x, return_attention=True)
        assert all((a <= 1e-300).all() for a in attention)
        torch.testing.assert_close(output, layer(torch.zeros_like(x))[0], **TIGHT)

    @properties
    @given(kinds, lengths_lists, st.sampled_from([1e-300, 1.0, 1e4]))
    def test_attention_by_softmax_sums_to_one_in_every_frame(self, kind, lengths, scale):
        x, padding = random_input(lengths)
        for a in make(kind, "softmax")(scale * x, lengths=lengths, return_attention=True)[2]:
            torch.testing.assert_close(a.sum(2), (~padding).double(), **TIGHT)
            assert (a >= 0).all()

    @every_cell
    def test_attention_by_sigmoid_does_not(self, kind):
        x = torch.randn(5, 2, D, dtype=torch.float64)
        for a in make(kind, "sigmoid")(x, return_attention=True)[2]:
            assert ((a > 0) & (a < 1)).all()
            assert (a.sum(2) - 1).abs().max() > 0.1
