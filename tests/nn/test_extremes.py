"""Numbers and sizes at the edge of what there is, against the equations."""

from __future__ import annotations

import pytest
import torch
from torch.func import functional_call

from eleatt_bench.nn.layers import EleAttGRU, EleAttLSTM, EleAttRNN

pytestmark = [
    pytest.mark.usefixtures("backend"),
    pytest.mark.parametrize("backend", ["scan", "native"], indirect=True, scope="module"),
]  # the others are compared with the equations

LAYERS = {"rnn": EleAttRNN, "lstm": EleAttLSTM, "gru": EleAttGRU, "gru after": EleAttGRU}
every_cell = pytest.mark.parametrize("kind", LAYERS)
every_gate = pytest.mark.parametrize("gate", [None, "sigmoid", "softmax"])
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
USUAL = ((4, 1, 3), 5, 6)  # lengths, D, N


def problem(kind, gate, sizes=USUAL, scale=1.0, bias=True):
    """Input and parameters in float64: weights of the usual size, the rest ``scale`` times it."""
    torch.manual_seed(0)
    lengths, D, _ = sizes
    tensors = {"input": scale * torch.randn(max(lengths), len(lengths), D).double()}
    for name, parameter in layer(kind, gate, sizes, bias).named_parameters():
        usual = scale if name.startswith("bias") else parameter.shape[-1] ** -0.5
        tensors[name] = usual * torch.randn(parameter.shape).double()
    return tensors


def layer(kind, gate, sizes=USUAL, bias=True, backend="auto"):
    options = {"reset_after": True} if kind == "gru after" else {}
    return LAYERS[kind](
        *sizes[1:], bias=bias, bidirectional=True, gate=gate, backend=backend, **options
    )


def run(kind, gate, tensors, dtype, sizes=USUAL, backend="auto"):
    """Results, output first, and gradients."""
    leaves = {
        name: tensor.to(dtype, copy=True).requires_grad_() for name, tensor in tensors.items()
    }
    bias = any(name.startswith("bias") for name in tensors)
    made = layer(kind, gate, sizes, bias, backend).to(dtype)
    parameters = {name: leaves[name] for name, _ in made.named_parameters()}
    options = {"lengths": sizes[0], "return_attention": True}
    output, final, attention = functional_call(made, parameters, (leaves["input"],), options)
    found = [output, *(final if kind == "lstm" else [final]), *(a for a in attention if gate)]
    gradients = torch.autograd.grad(sum(part.sum() for part in found), list(leaves.values()))
    return [part.detach() for part in found], list(gradients)


def assert_close(found, expected, tolerance):
    """Relative to the largest result or gradient, or to 1."""
    for own, true in zip(found, expected, strict=True):
        largest = max(1.0, *(float(tensor.abs().max()) for tensor in true))
        for a, b in zip(own, true, strict=True):
            assert a.isfinite().all()
            assert b.isfinite().all()
            assert (a - b).abs().max() <= tolerance * largest


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 16e4 * 2**-24)]
)
@every_cell
@every_gate
def test_saturated_units(kind, gate, dtype, tolerance):
    """Sums of some ±1e4 in all gates; in float32 those are exact to a few thousandths only."""
    tensors = {n: t.float().double() for n, t in problem(kind, gate, scale=1e4).items()}
    expected = run(kind, gate, tensors, torch.float64, backend="equations")
    assert_close(run(kind, gate, tensors, dtype), expected, tolerance)


@every_dtype
@pytest.mark.parametrize("times", [30, 2**20])
@every_cell
@every_gate
def test_subnormal_numbers_are_not_flushed(kind, gate, dtype, times):
    """An input of some ``times`` the smallest number there is: the same, to a few of it.

    Gradients may count as zero where no normal number would hold them.
    """
    smallest = torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps
    tensors = problem(kind, gate, scale=times * smallest, bias=False)
    own, own_gradients = run(kind, gate, tensors, dtype)
    true, gradients = run(kind, gate, tensors, dtype, backend="equations")
    assert 0 < true[0].abs().max() < torch.finfo(dtype).smallest_normal
    for a, b in zip(own, true, strict=True):
        assert (a - b).abs().max() <= max(8 * smallest, 16 * torch.finfo(dtype).eps * b.max())
    for a, b in zip(own_gradients, gradients, strict=True):
        few = max(64 * smallest, 32 * torch.finfo(dtype).eps * float(b.abs().max()))
        flushed = (a == 0) & (b.abs() < 64 * torch.finfo(dtype).smallest_normal)
        assert ((a - b).abs()[~flushed] <= few).all()


@pytest.mark.parametrize(
    "sizes",
    [
        ((1,), 1, 1),
        ((1, 1, 1), 1, 7),
        ((3,), 7, 1),
        ((2, 9), 1, 130),
        ((9, 2), 130, 1),
        ((60, *[1] * 64, 59, 2, *[1] * 63), 3, 2),
    ],
    ids=["one of all", "one frame", "one unit", "one input", "wide input", "very ragged"],
)
@every_cell
@every_gate
def test_sizes(kind, gate, sizes):
    tensors = problem(kind, gate, sizes)
    expected = run(kind, gate, tensors, torch.float64, sizes, backend="equations")
    assert_close(run(kind, gate, tensors, torch.float64, sizes), expected, 1e-10)


@pytest.mark.parametrize("content", [torch.nan, torch.inf, -torch.inf])
@every_cell
@every_gate
@pytest.mark.few(5)
def test_what_is_no_number_is_not_hidden(kind, gate, content):
    """NaN wherever the equations have it, for any one input that has diverged."""
    given = problem(kind, gate)
    for feature in range(USUAL[1]):
        tensors = given | {"input": given["input"].clone()}
        tensors["input"][0, 0, feature] = content
        own, _ = run(kind, gate, tensors, torch.float32)
        true, _ = run(kind, gate, tensors, torch.float32, backend="equations")
        for a, b in zip(own, true, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5, equal_nan=True)
