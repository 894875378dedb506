"""The three layers against torch's own, their parameters, and how they are imported."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from eleatt_bench.nn.layers import EleAttGRU, EleAttLSTM, EleAttRNN

pytestmark = pytest.mark.usefixtures("backend")

CELLS = {"rnn": EleAttRNN, "lstm": EleAttLSTM, "gru": EleAttGRU}
WITNESSES = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
T, B, D, N = 7, 4, 5, 3
LENGTHS = [3, 7, 1, 5]


def layer_and_witness(kind, layers, bidirectional, bias=True, batch_first=False):
    """A plain layer and torch's, with the same weights, drawn large enough to matter."""
    options = {"bias": bias, "batch_first": batch_first, "bidirectional": bidirectional}
    torch.manual_seed(0)
    witness = WITNESSES[kind](D, N, layers, dtype=torch.float64, **options)
    for parameter in witness.parameters():
        torch.nn.init.uniform_(parameter, -1, 1)
    own = {"reset_after": True} if kind == "gru" else {}
    layer = CELLS[kind](D, N, layers, dtype=torch.float64, gate=None, **options, **own)
    weights = witness.state_dict()
    if kind != "gru":  # one bias where torch has two
        for name in [name for name in weights if name.startswith("bias_ih")]:
            other = name.replace("_ih", "_hh")
            weights[name.replace("_ih", "")] = weights.pop(name) + weights.pop(other)
    layer.load_state_dict(weights)
    return layer, witness


def flat(result):
    """Every tensor in an output of forward."""
    if isinstance(result, PackedSequence):
        return [result.data]
    if isinstance(result, tuple):
        return [tensor for part in result for tensor in flat(part)]
    return [result]


def gradients(module, kind, result, inputs):
    """The gradients of a random projection of ``result``, the two biases of torch as one."""
    generator = torch.Generator().manual_seed(1)
    total = sum(
        (tensor * torch.randn(tensor.shape, dtype=tensor.dtype, generator=generator)).sum()
        for tensor in flat(result)
    )
    named = dict(module.named_parameters())
    if kind != "gru":  # the gradient of the sum is the gradient of either bias
        named = {
            name.replace("bias_ih", "bias"): p for name, p in named.items() if "bias_hh" not in name
        }
    values = torch.autograd.grad(total, [*named.values(), *inputs], retain_graph=True)
    return dict(zip([*named, *range(len(inputs))], values, strict=True))


def assert_same(layer, witness, kind, result, expected, inputs):
    for own, other in zip(flat(result), flat(expected), strict=True):
        torch.testing.assert_close(own, other, rtol=0, atol=1e-10)
    own = gradients(layer, kind, result, inputs)
    other = gradients(witness, kind, expected, inputs)
    assert own.keys() == other.keys()
    for name in own:
        torch.testing.assert_close(own[name], other[name], rtol=0, atol=1e-10, msg=str(name))


def states(kind, layers, bidirectional, batch=(B,)):
    shape = (layers * (2 if bidirectional else 1), *batch, N)
    values = [
        torch.randn(shape, dtype=torch.float64, requires_grad=True)
        for _ in range(2 if kind == "lstm" else 1)
    ]
    return values, (tuple(values) if kind == "lstm" else values[0])


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
class TestAgainstTorch:
    def test_batch_first_with_a_state(self, kind, layers, bidirectional, bias):
        layer, witness = layer_and_witness(kind, layers, bidirectional, bias, batch_first=True)
        x = torch.randn(B, T, D, dtype=torch.float64, requires_grad=True)
        tensors, hx = states(kind, layers, bidirectional)
        assert_same(layer, witness, kind, layer(x, hx), witness(x, hx), [x, *tensors])

    def test_unbatched(self, kind, layers, bidirectional, bias):
        layer, witness = layer_and_witness(kind, layers, bidirectional, bias)
        x = torch.randn(T, D, dtype=torch.float64, requires_grad=True)
        tensors, hx = states(kind, layers, bidirectional, batch=())
        assert_same(layer, witness, kind, layer(x, hx), witness(x, hx), [x, *tensors])
        assert_same(layer, witness, kind, layer(x), witness(x), [x])

    def test_packed_unsorted_with_a_state(self, kind, layers, bidirectional, bias):
        layer, witness = layer_and_witness(kind, layers, bidirectional, bias)
        x = torch.randn(T, B, D, dtype=torch.float64, requires_grad=True)
        packed = pack_padded_sequence(x, LENGTHS, enforce_sorted=False)
        tensors, hx = states(kind, layers, bidirectional)
        result, expected = layer(packed, hx), witness(packed, hx)
        for own, other in zip(result[0], expected[0], strict=True):
            assert own.dtype == other.dtype  # batch sizes and indices, besides the data
            torch.testing.assert_close(own, other, rtol=0, atol=1e-10)
        assert_same(layer, witness, kind, result, expected, [x, *tensors])

    def test_packed_sorted(self, kind, layers, bidirectional, bias):
        layer, witness = layer_and_witness(kind, layers, bidirectional, bias)
        x = torch.randn(T, B, D, dtype=torch.float64, requires_grad=True)
        packed = pack_padded_sequence(x, sorted(LENGTHS, reverse=True))
        result, expected = layer(packed), witness(packed)
        assert result[0].sorted_indices is None
        assert_same(layer, witness, kind, result, expected, [x])

    def test_lengths_do_what_packing_does(self, kind, layers, bidirectional, bias):
        layer, witness = layer_and_witness(kind, layers, bidirectional, bias)
        x = torch.randn(T, B, D, dtype=torch.float64, requires_grad=True)
        tensors, hx = states(kind, layers, bidirectional)
        output, state = witness(pack_padded_sequence(x, LENGTHS, enforce_sorted=False), hx)
        expected = torch.nn.utils.rnn.pad_packed_sequence(output)[0], state
        result = layer(x, hx, lengths=torch.tensor(LENGTHS))
        assert_same(layer, witness, kind, result, expected, [x, *tensors])


@pytest.mark.parametrize("kind", CELLS)
def test_dropout_acts_between_layers_and_only_in_training(kind):
    torch.manual_seed(0)
    layer = CELLS[kind](D, N, 2, dropout=0.5)
    first, second = CELLS[kind](D, N), CELLS[kind](N, N)
    weights = layer.state_dict()
    for k, single in enumerate((first, second)):
        single.load_state_dict(
            {name: weights[name.replace("_l0", f"_l{k}")] for name in single.state_dict()}
        )
    x = torch.randn(T, B, D)
    for training in (True, False):
        layer.train(training)
        torch.manual_seed(1)
        output = layer(x)[0]
        torch.manual_seed(1)
        between = torch.nn.functional.dropout(first(x)[0], 0.5, training)
        assert torch.equal(output, second(between)[0])


@pytest.mark.parametrize(
    ("kind", "options", "per_direction"),
    [
        ("gru", {}, ["weight_ih", "weight_hh", "bias", "weight_ia", "weight_ha", "bias_a"]),
        (
            "gru",
            {"reset_after": True},
            ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_ia", "weight_ha", "bias_a"],
        ),
        ("lstm", {"bias": False}, ["weight_ih", "weight_hh", "weight_ia", "weight_ha"]),
        ("rnn", {"gate": None}, ["weight_ih", "weight_hh", "bias"]),
    ],
)
def test_parameters_are_named_and_ordered_as_torchs(kind, options, per_direction):
    layer = CELLS[kind](D, N, 2, bidirectional=True, **options)
    suffixes = ["_l0", "_l0_reverse", "_l1", "_l1_reverse"]
    assert list(dict(layer.named_parameters())) == [
        name + suffix for suffix in suffixes for name in per_direction
    ]
    assert list(layer.state_dict()) == list(dict(layer.named_parameters()))


def test_parameters_have_the_documented_shapes():
    layer = EleAttLSTM(D, N, 2, bidirectional=True)
    assert {name: tuple(p.shape) for name, p in layer.named_parameters() if "_l1" not in name} == {
        f"{name}{suffix}": shape
        for suffix in ("_l0", "_l0_reverse")
        for name, shape in {
            "weight_ih": (4 * N, D),
            "weight_hh": (4 * N, N),
            "bias": (4 * N,),
            "weight_ia": (D, D),
            "weight_ha": (D, N),
            "bias_a": (D,),
        }.items()
    }
    assert layer.weight_ih_l1_reverse.shape == (4 * N, 2 * N)
    assert layer.weight_ia_l1.shape == (2 * N, 2 * N)
    assert layer.weight_ha_l1.shape == (2 * N, N)


@pytest.mark.parametrize(("kind", "blocks"), [("rnn", 1), ("lstm", 4), ("gru", 3)])
@pytest.mark.parametrize("gated", [(), (0,), (1, 2), (0, 1, 2)])
def test_the_number_of_parameters_is_the_papers(kind, blocks, gated):
    layer = CELLS[kind](D, N, 3, gated_layers=gated)
    expected = 0
    for k in range(3):
        d = D if k == 0 else N
        expected += blocks * N * (d + N + 1) + (d * (d + N + 1) if k in gated else 0)
    assert sum(p.numel() for p in layer.parameters()) == expected


@pytest.mark.parametrize(
    ("layers", "units", "gate", "millions"),
    [
        (2, 100, None, "0.14"),
        (2, 128, None, "0.21"),
        (3, 100, None, "0.20"),
        (3, 128, None, "0.31"),
        (2, 100, "sigmoid", "0.20"),
        (3, 100, "sigmoid", "0.28"),
    ],
)
def test_the_networks_have_the_sizes_of_table_7(layers, units, gate, millions):
    modules = [EleAttGRU(150, units, layers, gate=gate), torch.nn.Linear(units, 60)]
    count = sum(p.numel() for module in modules for p in module.parameters())
    assert f"{count / 1e6:.2f}" == millions


def test_the_package_offers_the_layers_without_importing_torch_first():
    program = (
        "import sys, eleatt_bench; assert 'torch' not in sys.modules; "
        "from eleatt_bench import EleAttGRU, EleAttLSTM, EleAttRNN; "
        "from eleatt_bench.nn import layers; assert EleAttGRU is layers.EleAttGRU; "
        "heavy = {'pytorch_lightning', 'hydra', 'h5py'} & set(sys.modules); assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_package_has_no_other_attributes():
    import eleatt_bench

    with pytest.raises(AttributeError, match="no attribute 'EleAttTransformer'"):
        eleatt_bench.EleAttTransformer  # noqa: B018
