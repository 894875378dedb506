"""The operands of products in lower precision: rounded, never cut off, and no gradient lost."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eleatt_bench import EleAttGRU, EleAttLSTM, EleAttRNN
from eleatt_bench.nn.stack import Stack

triton = pytest.importorskip("triton")
tl = pytest.importorskip("triton.language")
kernels = pytest.importorskip("eleatt_bench.nn.triton.kernels")
only_interpreted = pytest.mark.skipif(
    os.environ.get("TRITON_INTERPRET") != "1", reason="looks into the interpreter"
)
LAYERS = {"rnn": EleAttRNN, "lstm": EleAttLSTM, "gru": EleAttGRU, "gru after": EleAttGRU}
CUT = 0x1FFF  # the bits of a float32 that TF32 has not


@triton.jit
def round_all(x, y, COUNT: tl.constexpr):
    at = tl.arange(0, COUNT)
    tl.store(y + at, kernels.to_tf32(tl.load(x + at)))


def rounded(numbers: np.ndarray, device: str) -> np.ndarray:
    """``numbers``, up to 64 float32, by the kernels' function."""
    x = torch.zeros(64)
    x[: len(numbers)] = torch.from_numpy(numbers)
    x = x.to(device)
    y = torch.empty_like(x)
    round_all[(1,)](x, y, COUNT=64)
    return y[: len(numbers)].cpu().numpy()


def nearest(numbers: np.ndarray) -> np.ndarray:
    """By float64 arithmetic: to 11 significant bits, those of halves away from zero."""
    exact = numbers.astype(np.float64)
    _, exponent = np.frexp(exact)
    ulp = np.ldexp(1.0, np.maximum(exponent - 11, -136))  # the last is that of subnormals
    with np.errstate(over="ignore", invalid="ignore"):
        whole = np.sign(exact) * np.floor(np.abs(exact) / ulp + 0.5) * ulp
        return np.where(np.isfinite(exact), whole, exact).astype(np.float32)


@settings(deadline=None)
@given(st.lists(st.floats(width=32), min_size=1, max_size=64))
@example([1 + 2**-11, -1 - 2**-11, 1 + 3 * 2**-11, 3.4028234663852886e38, 2.0**-149, 2.0**-137])
def check_rounding(device: str, numbers: list[float]) -> None:
    given_numbers = np.array(numbers, dtype=np.float32)
    ours = rounded(given_numbers, device)
    np.testing.assert_array_equal(ours, nearest(given_numbers))
    assert not (ours[~np.isnan(ours)].view(np.uint32) & CUT).any()


def test_tf32_is_rounded_to_nearest(device) -> None:
    check_rounding(device)


def test_a_nan_of_any_bits_stays_one(device) -> None:
    """A GPU's own has all of them set: a carry would make it a negative zero."""
    numbers = np.array([0x7FFFFFFF, 0xFFFFFFFF, 0x7FC00000, 0x7F801000], dtype=np.uint32)
    assert np.isnan(rounded(numbers.view(np.float32), device)).all()


def test_rounding_has_no_bias_where_cutting_off_has_one(device) -> None:
    numbers = np.random.default_rng(0).uniform(1, 2, (64, 64)).astype(np.float32)
    ours = np.stack([rounded(row, device) for row in numbers]).astype(np.float64)
    cut = (numbers.view(np.uint32) & ~np.uint32(CUT)).view(np.float32).astype(np.float64)
    biases = [float((found - numbers).mean()) for found in (ours, cut)]
    assert biases[1] == pytest.approx(-(2**-11), rel=0.05)  # half of the last bit
    assert abs(biases[0]) < 2**-11 / 20  # five standard errors


class Cores:
    """`tl.dot` of the interpreter as tensor cores do it in TF32: of operands without low bits.

    It remembers which operands had any.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

        self.products = self.cut = 0
        exact = InterpreterBuilder.create_dot

        def create_dot(builder: Any, a: Any, b: Any, d: Any, precision: Any, *more: Any) -> Any:
            operands = []
            for operand in (a, b):
                bits = operand.data.view(np.uint32)
                self.cut += int(bool((bits & CUT).any()))
                left_out = (bits & ~np.uint32(CUT)).view(np.float32)
                operands.append(TensorHandle(left_out, operand.dtype))
            self.products += 1
            return exact(builder, *operands, d, precision, *more)

        monkeypatch.setattr(InterpreterBuilder, "create_dot", create_dot)


def layer_of(kind: str, gate: str | None, scale: float = 0.5) -> Stack:
    torch.manual_seed(0)
    form = {"reset_after": True} if kind == "gru after" else {}
    layer = LAYERS[kind](20, 18, gate=gate, dtype=torch.double, backend="scan", **form)
    for parameter in layer.parameters():
        torch.nn.init.uniform_(parameter, -scale, scale)
    return layer


def results(
    layer: Stack, x: torch.Tensor, d_output: torch.Tensor, half: bool = False
) -> list[torch.Tensor]:
    """Output, and the gradients of input and parameters, in float64 on the CPU."""
    x = x.detach().requires_grad_()
    with torch.autocast(x.device.type, torch.float16, enabled=half):
        output = layer(x, lengths=[3, 1, 2, 3])[0]
    gradients = torch.autograd.grad(output, [x, *layer.parameters()], d_output)
    return [t.detach().double().cpu() for t in (output, *gradients)]


@only_interpreted
@pytest.mark.parametrize("gate", ["sigmoid", "softmax", None])
@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.few(1)
def test_operands_have_no_bits_that_tensor_cores_would_cut_off(
    device, monkeypatch, kind, gate
) -> None:
    layer = layer_of(kind, gate)
    x, d_output = torch.randn(3, 4, 20).double(), torch.randn(3, 4, 18).double()
    expected = results(layer, x, d_output)
    layer.float()
    layer.backend = "triton"
    cores = Cores(monkeypatch)
    results(layer, x.float(), d_output.float())
    assert cores.cut > cores.products  # of twice as many: in IEEE nothing is rounded
    torch.backends.cudnn.rnn.fp32_precision = "tf32"
    cores.products = cores.cut = 0
    ours = results(layer, x.float(), d_output.float())
    assert cores.products >= 6
    assert cores.cut == 0
    for own, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(own, other, rtol=0, atol=1e-3 * max(1, float(other.abs().max())))


@only_interpreted
def test_a_layer_of_positive_numbers_is_not_drawn_towards_zero(device, monkeypatch) -> None:
    """Cut off, operands would make it smaller by 8e-4 in the mean."""
    torch.manual_seed(0)
    layer = EleAttRNN(64, 64, bias=False, dtype=torch.double, backend="scan")
    for parameter in layer.parameters():
        torch.nn.init.uniform_(parameter, 0, 0.01)
    x = torch.rand(3, 16, 64).double() + 0.5
    expected = layer(x)[0]
    layer.float()
    layer.backend = "triton"
    torch.backends.cudnn.rnn.fp32_precision = "tf32"
    Cores(monkeypatch)
    bias = (layer(x.float())[0].double() / expected - 1).mean().item()
    assert abs(bias) < 1e-5


@pytest.mark.parametrize("scale", [1e-12, 1e12], ids=["tiny", "huge"])
@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("gate", ["sigmoid", "softmax", None])
@pytest.mark.few(1)
def test_under_float16_no_gradient_is_too_small_or_too_large(device, gate, kind, scale) -> None:
    """Without a scaler, or with any: gradients of ``scale`` losses are ``scale`` gradients."""
    layer = layer_of(kind, gate, 0.2).to(device)
    x = torch.randn(3, 4, 20).to(layer.weight_ih_l0).detach()
    d_output = torch.randn(3, 4, 18)
    expected = results(layer, x, d_output.to(x))
    layer.float()
    layer.backend = "triton"
    ours = results(layer, x.float(), scale * d_output.to(device), half=True)
    assert float((ours[0] - expected[0]).abs().max()) > 2e-6  # of float16, it is
    for own, other in zip(ours[1:], expected[1:], strict=True):
        within = 2e-3 * float(other.abs().max())
        torch.testing.assert_close(own / scale, other, rtol=0, atol=within)
