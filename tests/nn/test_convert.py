"""What a conversion carries over and what it refuses; test_torch_witness.py has the functions."""

from __future__ import annotations

import itertools
import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from eleatt_bench.nn.convert import from_torch, to_torch
from eleatt_bench.nn.layers import EleAttGRU, EleAttLSTM, EleAttRNN

from .conftest import MODULES, module

LAYERS = {"rnn": EleAttRNN, "lstm": EleAttLSTM, "gru": EleAttGRU}
T, B, D, N = 7, 4, 5, 3


def plain(kind, *sizes, **options):
    """One of our layers that has a counterpart in torch."""
    torch.manual_seed(0)
    form = {"reset_after": True} if kind == "gru" else {}
    made = LAYERS[kind](*(sizes or (D, N)), gate=None, **form, **options)
    for parameter in made.parameters():
        nn.init.uniform_(parameter, -1, 1)
    return made


@pytest.mark.parametrize("kind", MODULES)
@pytest.mark.parametrize("bias", [True, False])
def test_ours_there_and_back_is_the_same_layer(kind, bias):
    layer = plain(kind, D, N, 2, bias=bias, bidirectional=True, dropout=0.25)
    back = from_torch(to_torch(layer))
    assert type(back) is type(layer)
    assert repr(back) == repr(layer)
    assert list(back.state_dict()) == list(layer.state_dict())
    assert all(map(torch.equal, back.parameters(), layer.parameters()))


@pytest.mark.parametrize("kind", MODULES)
@pytest.mark.parametrize("bias", [True, False])
def test_theirs_there_and_back_is_the_same_but_for_a_shared_bias(kind, bias):
    original = module(kind, D, N, 2, bias=bias, bidirectional=True, dropout=0.25)
    back = to_torch(from_torch(original))
    assert type(back) is type(original)
    assert repr(back) == repr(original)
    own, expected = back.state_dict(), original.state_dict()
    assert list(own) == list(expected)
    for name in own:
        if kind == "gru" or not name.startswith("bias"):
            assert torch.equal(own[name], expected[name])
        elif name.startswith("bias_hh"):
            assert torch.equal(own[name], torch.zeros_like(own[name]))
        else:
            total = expected[name] + expected[name.replace("_ih", "_hh")]
            assert torch.equal(own[name], total)


@pytest.mark.parametrize("kind", MODULES)
def test_every_option_is_carried_over(kind):
    for layers, bias, first, both, training in itertools.product([1, 3], *[[True, False]] * 4):
        dropout = 0.5 if layers > 1 else 0.0
        original = module(
            kind, D, N, layers,
            bias=bias, batch_first=first, dropout=dropout, bidirectional=both,
        ).train(training)  # fmt: skip
        layer = from_torch(original)
        assert layer.backend == "auto"
        for converted in (layer, to_torch(layer)):
            for name in ("input_size", "hidden_size", "num_layers", "bias", "batch_first"):
                assert getattr(converted, name) == getattr(original, name)
            assert converted.dropout == dropout
            assert converted.bidirectional is both
            assert converted.training is training


@pytest.mark.parametrize("kind", MODULES)
def test_a_shared_weight_becomes_one_for_each_name(kind):
    original = module(kind, N, N, 2)
    original.weight_hh_l1 = original.weight_hh_l0
    layer = from_torch(original)
    assert torch.equal(layer.weight_hh_l1, original.weight_hh_l0)
    layer.weight_hh_l1 = layer.weight_hh_l0
    back = to_torch(layer)
    assert torch.equal(back.weight_hh_l1, original.weight_hh_l0)
    assert back.weight_hh_l1 is not back.weight_hh_l0


def test_an_idle_dropout_is_kept_without_a_second_warning():
    with pytest.warns(UserWarning, match="num_layers"):
        original = nn.LSTM(D, N, dropout=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer = from_torch(original)
        assert layer.dropout == 0.5
        assert to_torch(layer).dropout == 0.5


@pytest.mark.parametrize("kind", MODULES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dtypes_are_carried_over(kind, dtype):
    layer = from_torch(module(kind, D, N, dtype=dtype))
    assert {p.dtype for p in layer.parameters()} == {dtype}
    assert {p.dtype for p in to_torch(layer).parameters()} == {dtype}


@pytest.mark.parametrize("kind", MODULES)
def test_the_device_is_carried_over(kind):
    layer = from_torch(MODULES[kind](D, N, device="meta"))
    assert {p.device.type for p in layer.parameters()} == {"meta"}
    assert {p.device.type for p in to_torch(layer).parameters()} == {"meta"}


@pytest.mark.gpu
@pytest.mark.parametrize("kind", MODULES)
def test_on_the_gpu(kind):
    """torch warns there, which is an error here, if parameters are not in one piece of memory."""
    original = module(kind, D, N, 2).cuda()
    x = torch.randn(T, B, D, dtype=torch.float64, device="cuda")
    layer = from_torch(original)
    for converted in (layer, to_torch(layer)):
        torch.testing.assert_close(converted(x)[0], original(x)[0], rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", MODULES)
def test_frozen_parameters_stay_frozen(kind):
    original = module(kind, D, N, 2)
    for name in ("weight_hh_l0", "bias_ih_l1", "bias_hh_l1"):
        getattr(original, name).requires_grad_(False)
    layer = from_torch(original)
    frozen = [name for name, p in layer.named_parameters() if not p.requires_grad]
    own_biases = ["bias_ih_l1", "bias_hh_l1"] if kind == "gru" else ["bias_l1"]
    assert frozen == ["weight_hh_l0", *own_biases]
    back = [name for name, p in to_torch(layer).named_parameters() if not p.requires_grad]
    assert back == ["weight_hh_l0", "bias_ih_l1", "bias_hh_l1"]


@pytest.mark.parametrize("frozen", ["bias_ih_l0", "bias_hh_l0"])
def test_the_sum_of_a_frozen_and_a_trained_bias_is_trained(frozen):
    original = module("lstm", D, N)
    getattr(original, frozen).requires_grad_(False)
    assert from_torch(original).bias_l0.requires_grad


@pytest.mark.parametrize("kind", MODULES)
def test_nothing_is_shared_drawn_or_changed(kind):
    original = module(kind, D, N, 2)
    before = {name: value.clone() for name, value in original.state_dict().items()}
    random = torch.get_rng_state()
    layer = from_torch(original)
    back = to_torch(layer)
    assert torch.equal(torch.get_rng_state(), random)
    kept = {name: value.clone() for name, value in layer.state_dict().items()}
    with torch.no_grad():
        for parameter in back.parameters():
            parameter.fill_(7)
    assert all(torch.equal(value, kept[name]) for name, value in layer.state_dict().items())
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(8)
    assert all(torch.equal(value, before[name]) for name, value in original.state_dict().items())
    assert all(p.is_leaf for p in (*layer.parameters(), *back.parameters()))


@pytest.mark.parametrize("kind", MODULES)
def test_a_converted_module_trains_and_is_saved_as_usual(kind):
    back = to_torch(plain(kind))
    x = torch.randn(T, B, D)
    before = back(x)[0]
    optimizer = torch.optim.SGD(back.parameters(), lr=0.1)
    before.sum().backward()
    optimizer.step()
    after = back(x)[0]
    assert (after - before).abs().max() > 1e-3
    other = MODULES[kind](D, N)
    other.load_state_dict(back.state_dict())
    assert torch.equal(other(x)[0], after)


def test_a_gate_on_no_layer_is_no_gate():
    layer = EleAttLSTM(D, N, 2, gate="sigmoid", gated_layers=())
    x = torch.randn(T, B, D)
    torch.testing.assert_close(to_torch(layer)(x)[0], layer(x)[0])


class Doubled(nn.GRU):
    def forward(self, *arguments):
        return 2 * super().forward(*arguments)[0]


class Named(nn.GRU):
    """Computes what `nn.GRU` does."""


class DoubledLayer(EleAttGRU):
    def forward(self, *arguments, **options):
        return 2 * super().forward(*arguments, **options)[0]


def pruned():
    return prune.l1_unstructured(nn.LSTM(D, N), "weight_ih_l0", 0.5)


def weight_normed(made):
    return parametrizations.weight_norm(made, "weight_hh_l0")


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (nn.Linear(D, N), TypeError, r"takes a torch.nn.RNN, torch.nn.LSTM .* got Linear"),
        (nn.GRUCell(D, N), TypeError, "got GRUCell"),
        (EleAttGRU(D, N), TypeError, "got EleAttGRU"),
        (Doubled(D, N), TypeError, "Doubled cannot .* its forward is not that of GRU: load its"),
        (
            nn.RNN(D, N, nonlinearity="relu"),
            ValueError,
            "nonlinearity='relu' cannot be converted, .* tanh only: train it with nonlinearity=",
        ),
        (nn.LSTM(D, N, proj_size=2), ValueError, "proj_size=2 cannot .* train it with proj_size=0"),
        (pruned(), ValueError, "weight_ih_l0 cannot .* computed from others: make it permanent"),
        (weight_normed(nn.GRU(D, N)), ValueError, "weight_hh_l0 cannot .* computed from others"),
    ],
)
def test_from_torch_refuses(given, error, message):
    with pytest.raises(error, match=message):
        from_torch(given)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (nn.GRU(D, N), TypeError, "takes an EleAttRNN, EleAttLSTM or EleAttGRU, got GRU"),
        (EleAttRNN(D, N), ValueError, r"EleAttRNN with gate='sigmoid' .* torch.nn.RNN has no att"),
        (EleAttLSTM(D, N, 2, gate="softmax", gated_layers=[1]), ValueError, "with gate='softmax'"),
        (EleAttGRU(D, N, reset_after=True), ValueError, "make the layer with gate=None"),
        (EleAttGRU(D, N, gate=None), ValueError, "another function: .* reset_after=True"),
        (DoubledLayer(D, N, gate=None), TypeError, "its forward is not that of EleAttGRU"),
        (
            weight_normed(EleAttRNN(D, N, gate=None)),
            ValueError,
            "weight_hh_l0 cannot .* computed from others",
        ),
    ],
)
def test_to_torch_refuses(given, error, message):
    with pytest.raises(error, match=message):
        to_torch(given)


def test_a_permanent_weight_norm_is_accepted():
    made = weight_normed(plain("rnn"))
    parametrize.remove_parametrizations(made, "weight_hh_l0")
    x = torch.randn(T, B, D)
    torch.testing.assert_close(to_torch(made)(x)[0], made(x)[0])


def test_a_subclass_that_computes_the_same_is_accepted():
    made = Named(D, N)
    assert type(from_torch(made)) is EleAttGRU
    x = torch.randn(T, B, D)
    torch.testing.assert_close(from_torch(made)(x)[0], made(x)[0])
