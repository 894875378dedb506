"""What only the backend ``native`` can get wrong: threads, tiles, strides, elementary functions."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest
import torch

from eleatt_bench import EleAttGRU, EleAttLSTM, EleAttRNN
from eleatt_bench.nn import equations, native
from eleatt_bench.nn.contract import BackendError, Cell, Weights
from eleatt_bench.nn.native.build import library


@pytest.fixture
def threads():
    """Sets the number of threads, and puts the old one back."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_both_languages_lay_out_a_call_alike():
    assert library().eleatt_call_bytes() == ctypes.sizeof(native.Call)


def gradients(layer, x, lengths):
    output, h_n, attention = layer(x, lengths=lengths, return_attention=True)
    loss = output.square().sum() + h_n.sum() + attention[0].square().sum()
    return [output, *torch.autograd.grad(loss, [x, *layer.parameters()])]


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("batch", [1, 2, 67, 200])  # fewer than threads, uneven, several tiles each
@pytest.mark.few(2)
def test_on_several_threads_it_agrees_with_the_equations(threads, ragged, batch):
    threads(3)
    T, D, N = 6, 31, 50
    x = torch.randn(T, batch, D, dtype=torch.float64, requires_grad=True)
    lengths = torch.randint(1, T + 1, (batch,)) if ragged else None
    layer = EleAttGRU(D, N, dtype=torch.float64, backend="native")
    assert T * batch * (3 * N + D) * (D + N) >= native._THREADED or batch < 67
    ours = gradients(layer, x, lengths)
    layer.backend = "equations"
    for own, theirs in zip(ours, gradients(layer, x, lengths), strict=True):
        torch.testing.assert_close(own, theirs, rtol=1e-10, atol=1e-10)


def test_the_same_threads_give_the_same_bits(threads):
    layer = EleAttLSTM(30, 40, backend="native")
    x, lengths = torch.randn(20, 90, 30), torch.randint(1, 21, (90,))

    def results():
        layer.zero_grad()
        output, _ = layer(x, lengths=lengths)
        output.sin().sum().backward()
        return [output, *(p.grad for p in layer.parameters())]

    threads(3)
    first = results()
    for own, again in zip(first, results(), strict=True):
        assert torch.equal(own, again)
    threads(1)
    for own, alone in zip(first, results(), strict=True):
        torch.testing.assert_close(own, alone, rtol=1e-4, atol=1e-4)


def subnormal(tensor):
    return (tensor != 0) & (tensor.abs() < torch.finfo(tensor.dtype).smallest_normal)


@pytest.mark.parametrize("layer_class", [EleAttRNN, EleAttLSTM, EleAttGRU])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.few(3)
def test_a_gradient_that_fades_ends_at_zero(threads, layer_class, count):
    """Frames that the loss cannot feel get none that a processor is slow with."""
    threads(count)
    layer = layer_class(2, 40, gate=None)
    x = torch.randn(600, 5, 2, requires_grad=True)
    found = {}
    for backend in ("native", "equations"):
        layer.backend = backend
        (found[backend],) = torch.autograd.grad(layer(x)[0][-1].sum(), x)
    assert subnormal(found["equations"]).any()  # or this looks at nothing
    assert not subnormal(found["native"]).any()
    # Of large terms that all but cancel no more than rounding is left.
    atol = 1e-6 * found["equations"].abs().max().item()
    torch.testing.assert_close(found["native"], found["equations"], rtol=1e-3, atol=atol)


@pytest.mark.parametrize("flush", [False, True])
@pytest.mark.few(1)
def test_backward_leaves_the_thread_in_its_own_mode(threads, flush):
    def smallest():
        return torch.full((1000,), 1e-40) * torch.ones(1000)

    threads(3)
    layer, x = EleAttGRU(7, 50, backend="native"), torch.randn(6, 90, 7)
    torch.set_flush_denormal(flush)
    try:
        layer(x)[0].sum().backward()
        assert subnormal(smallest()).any() != flush
    finally:
        torch.set_flush_denormal(False)


def test_an_input_need_not_be_contiguous():
    """Batch-first and broadcast inputs are read where they lie."""
    layer = EleAttGRU(7, 5, batch_first=True, backend="native")
    x = torch.randn(4, 9, 7)
    expected = layer(x)[0]
    for other in (x.transpose(0, 1).contiguous().transpose(0, 1), x.repeat(1, 1, 2)[..., :7]):
        assert torch.equal(layer(other)[0], expected)
    strided = torch.stack([x, torch.full_like(x, torch.nan)], dim=3).flatten(2)[..., ::2]
    assert strided.stride(2) == 2
    assert torch.equal(layer(strided)[0], expected)
    broadcast = layer(x[:1].expand(4, 9, 7))[0]
    for output in broadcast:
        assert torch.equal(output, broadcast[0])


def one_step(cell, x, dtype):
    """What a plain cell of one unit with unit weights makes of the numbers ``x`` in one step."""
    x = x.to(dtype).view(1, -1, 1).requires_grad_()
    rows = {"rnn": 1, "lstm": 4, "gru": 3}[cell.kind]
    weights = Weights(torch.ones(rows, 1, dtype=dtype), torch.zeros(rows, 1, dtype=dtype))
    state = (torch.full((x.shape[1], 1), 0.5, dtype=dtype),) * (2 if cell.kind == "lstm" else 1)
    both = []
    for run in (native.run, equations.run):
        output, _, _ = run(cell, weights, x, None, state, reverse=False, return_attention=False)
        both.append((output, *torch.autograd.grad(output.sum(), x)))
    return both


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize(
    ("dtype", "rtol"), [(torch.float32, 2e-6), (torch.float64, 4e-15)], ids=str
)
def test_elementary_functions_are_exact_to_rounding(kind, dtype, rtol):
    """Tiny arguments keep their relative precision, huge ones saturate."""
    magnitudes = torch.logspace(-300 if dtype == torch.float64 else -37, 3, 500).double()
    x = torch.cat([magnitudes, -magnitudes, torch.linspace(-90, 90, 1001), torch.zeros(1)])
    for own, theirs in zip(*one_step(Cell(kind), x, dtype), strict=True):
        assert own.isfinite().all()
        torch.testing.assert_close(own, theirs, rtol=rtol, atol=rtol)
    if kind == "rnn":
        (output, _), _ = one_step(Cell(kind), x, dtype)
        expected = torch.tanh(x.to(dtype))
        torch.testing.assert_close(output.flatten(), expected, rtol=rtol, atol=0)


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_nan_and_infinity_behave_as_in_the_equations(kind):
    x = torch.tensor([torch.nan, torch.inf, -torch.inf, 1.0])
    ((output, _), (expected, _)) = one_step(Cell(kind), x, torch.float32)
    torch.testing.assert_close(output, expected, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_other_dtypes_are_refused_by_name_and_left_to_others_by_auto(dtype):
    layer, x = EleAttGRU(3, 2, dtype=dtype, backend="native"), torch.randn(4, 2, 3, dtype=dtype)
    with pytest.raises(BackendError, match="float32 or float64 on the CPU, not in torch"):
        layer(x)
    layer.backend = "auto"
    assert layer(x)[0].dtype == dtype


CHANGED = """
import torch
from torch.autograd.graph import saved_tensors_hooks
from eleatt_bench import EleAttGRU

def lower(tensor):
    return tensor.half() if tensor.dim() == 3 and tensor.shape[-1] == 50 else tensor

def smaller(layer):
    layer.weight_hh_l0.data = torch.zeros(2, 2)

for change in (EleAttGRU.half, EleAttGRU.double, smaller, lower):
    layer = EleAttGRU(30, 50, backend="native")
    x = torch.randn(4, 2, 30, requires_grad=True)
    with saved_tensors_hooks(lower if change is lower else lambda t: t, lambda t: t):
        total = layer(x)[0].sum()
    if change is not lower:
        change(layer)
    try:
        total.backward()
    except RuntimeError as error:
        print(error)
"""


@pytest.mark.slow
def test_what_changed_between_forward_and_backward_is_refused() -> None:
    """The library would read beyond its end, or numbers of another dtype."""
    done = subprocess.run([sys.executable, "-c", CHANGED], capture_output=True, text=True)
    assert done.returncode == 0, done
    said = done.stdout.splitlines()
    assert [line.partition(" on cpu")[0] for line in said] == [
        "weight_ih is torch.float16 of shape (150, 30)",
        "weight_ih is torch.float64 of shape (150, 30)",
        "weight_hh is torch.float32 of shape (2, 2)",
        "outputs is torch.float16 of shape (4, 2, 50)",
    ]
    assert all(line.endswith("use backend='equations'") for line in said)
