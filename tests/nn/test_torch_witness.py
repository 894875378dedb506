"""torch's modules as witnesses of the plain layers, by way of the conversions."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from eleatt_bench.nn.convert import from_torch, to_torch
from eleatt_bench.nn.layers import EleAttLSTM

from .conftest import MODULES, module

LSTMS = (nn.LSTM, EleAttLSTM)
LAYOUTS = ("padded", "packed", "packed sorted", "with lengths", "unbatched")
T, B, D, N = 7, 4, 5, 3
LENGTHS = torch.tensor([3, 7, 1, 5])


def assert_close(own, expected, what=""):
    """Equal to 1e-10 of the largest entry of ``expected``."""
    assert own.shape == expected.shape, what
    assert own.dtype == expected.dtype, what
    assert (own - expected).abs().max() <= 1e-10 * expected.abs().max(), what


def draw(*shape):
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


def results(layer, layout, x, state):
    """Output and final state as tensors; torch's modules get packed what ours get with lengths."""
    hx = None if state is None else state if isinstance(layer, LSTMS) else state[0]
    if layout in ("padded", "unbatched"):
        output, final = layer(x, hx)
    elif layout == "with lengths" and hasattr(layer, "gate"):
        output, final = layer(x, hx, lengths=LENGTHS)
    else:
        lengths = LENGTHS.sort(descending=True)[0] if layout == "packed sorted" else LENGTHS
        packed = pack_padded_sequence(
            x, lengths, layer.batch_first, enforce_sorted=layout == "packed sorted"
        )
        output, final = layer(packed, hx)
        for own, given in zip(output[1:], packed[1:], strict=True):
            assert own is given is None or torch.equal(own, given)
        if layout == "with lengths":
            output = pad_packed_sequence(output, layer.batch_first)[0]
        else:
            output = output.data
    return [output, *(final if isinstance(layer, LSTMS) else (final,))]


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("kind", MODULES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
def test_layer_and_module_are_one_function(kind, layout, bias, bidirectional, layers):
    """Outputs, states and all gradients: a module, its conversion, and the way back from there."""
    batch_first = layout == "padded"
    original = module(
        kind, D, N, layers, bias=bias, batch_first=batch_first, bidirectional=bidirectional
    )
    layer = from_torch(original)
    batch = () if layout == "unbatched" else (B,)
    x = draw(B, T, D) if batch_first else draw(T, *batch, D)
    rows = layers * (2 if bidirectional else 1)
    state = None
    if layout != "packed sorted":
        state = tuple(draw(rows, *batch, N) for _ in range(2 if kind == "lstm" else 1))
    leaves = [x, *(state or ())]

    own = results(layer, layout, x, state)
    factors = [torch.randn_like(tensor) for tensor in own]

    def gradients(module, tensors):
        total = sum((t * f).sum() for t, f in zip(tensors, factors, strict=True))
        named = dict(module.named_parameters())
        found = torch.autograd.grad(total, [*leaves, *named.values()])
        return found[: len(leaves)], dict(zip(named, found[len(leaves) :], strict=True))

    own_leaves, own_weights = gradients(layer, own)
    for other in (original, to_torch(layer)):
        expected = results(other, layout, x, state)
        for ours, theirs in zip(own, expected, strict=True):
            assert_close(ours, theirs)
        other_leaves, other_weights = gradients(other, expected)
        for ours, theirs in zip(own_leaves, other_leaves, strict=True):
            assert_close(ours, theirs)
        for name, theirs in other_weights.items():
            if name not in own_weights:  # one bias for two: the gradient by either is that by it
                name = name.replace("bias_ih", "bias").replace("bias_hh", "bias")
            assert_close(own_weights[name], theirs, name)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("kind", MODULES)
def test_dropout_draws_the_masks_of_torch(kind):
    original = module(kind, D, N, 3, dropout=0.4)
    layer = from_torch(original)
    x = torch.randn(T, B, D, dtype=torch.float64)
    outputs = {}
    for training in (True, False):
        outputs[training] = []
        for each in (original, layer, to_torch(layer)):
            torch.manual_seed(5)
            outputs[training].append(each.train(training)(x)[0])
        assert_close(outputs[training][1], outputs[training][0])
        assert_close(outputs[training][2], outputs[training][0])
    assert (outputs[True][0] - outputs[False][0]).abs().max() > 1e-3
