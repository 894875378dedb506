"""`Stack` as a `torch.nn.Module`: its complaints, copies, dtypes, autocast and repr."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence

from eleatt_bench.nn.layers import EleAttGRU, EleAttLSTM, EleAttRNN

pytestmark = pytest.mark.usefixtures("backend")

CELLS = {"rnn": EleAttRNN, "lstm": EleAttLSTM, "gru": EleAttGRU}
D, N = 4, 3


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


@pytest.mark.parametrize(
    ("kind", "hx", "error", "message"),
    [
        (
            "gru",
            torch.zeros(3, 2, N),
            ValueError,
            r"h_0 must have shape \(4, 2, 3\), got \(3, 2, 3\)",
        ),
        ("gru", torch.zeros(4, N), ValueError, r"h_0 must have shape \(4, 2, 3\), got \(4, 3\)"),
        (
            "gru",
            (torch.zeros(4, 2, N),) * 2,
            TypeError,
            "hx must be the tensor h_0, got a tuple of 2",
        ),
        ("rnn", [0.0], TypeError, r"h_0 must be a Tensor, got list"),
        (
            "rnn",
            torch.zeros(4, 2, N).double(),
            TypeError,
            "h_0 must be torch.float32 .* got torch.float64",
        ),
        (
            "lstm",
            torch.zeros(4, 2, N),
            TypeError,
            r"the pair \(h_0, c_0\), got a Tensor of shape \(4, 2, 3\)",
        ),
        (
            "lstm",
            (torch.zeros(4, 2, N),),
            TypeError,
            r"hx must be the pair \(h_0, c_0\), got a tuple of 1",
        ),
        (
            "lstm",
            (torch.zeros(4, 2, N), torch.zeros(4, 1, N)),
            ValueError,
            r"c_0 must have shape \(4, 2, 3\), got \(4, 1, 3\)",
        ),
        (
            "lstm",
            (torch.zeros(4, 2, N), torch.zeros(4, 2, N).half()),
            TypeError,
            "c_0 must be torch.float32 .* got torch.float16",
        ),
    ],
)
def test_a_wrong_state(kind, hx, error, message):
    layer = CELLS[kind](D, N, 2, bidirectional=True)
    with pytest.raises(error, match=message):
        layer(torch.randn(5, 2, D), hx)


def test_a_batched_state_for_one_sequence():
    with pytest.raises(ValueError, match=r"h_0 must have shape \(1, 3\), got \(1, 1, 3\)"):
        EleAttGRU(D, N)(torch.randn(5, D), torch.zeros(1, 1, N))


def test_an_input_of_another_dtype():
    message = "input must be torch.float32 like the parameters, got torch.float64"
    with pytest.raises(TypeError, match=message):
        EleAttGRU(D, N)(torch.randn(5, 2, D).double())


@pytest.mark.parametrize("kind", CELLS)
def test_copies_compute_the_same(kind):
    layer, x = make(kind), torch.randn(5, 2, D, dtype=torch.float64)
    expected = layer(x)[0]
    loaded = CELLS[kind](D, N, 2, bidirectional=True, dtype=torch.float64)
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    loaded.load_state_dict(torch.load(file, weights_only=True))
    for other in (loaded, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(other(x)[0], expected)
        assert all(
            own is not copied
            for own, copied in zip(layer.parameters(), other.parameters(), strict=True)
        )


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize(("dtype", "close"), [(torch.bfloat16, 0.1), (torch.float64, 1e-5)])
def test_in_another_dtype(kind, dtype, close):
    torch.manual_seed(0)
    layer = CELLS[kind](D, N, 2, bidirectional=True)
    x = torch.randn(5, 2, D)
    expected = layer(x)[0]
    layer.to(dtype)
    results = flat(layer(x.to(dtype), lengths=[5, 2], return_attention=True))
    assert {tensor.dtype for tensor in results} == {dtype}
    torch.testing.assert_close(results[0][:, 0].float(), expected[:, 0], rtol=0, atol=close)
    made = CELLS[kind](D, N, dtype=dtype)
    assert {p.dtype for p in made.parameters()} == {dtype}


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("gate", [None, "sigmoid", "softmax"])
@pytest.mark.parametrize("given_dtype", [torch.float32, torch.bfloat16])
def test_under_autocast(backend, kind, gate, given_dtype):
    torch.manual_seed(0)
    layer = CELLS[kind](D, N, 2, bidirectional=True, gate=gate)
    for parameter in layer.parameters():
        torch.nn.init.uniform_(parameter, -0.5, 0.5)
    x = torch.randn(5, 2, D).to(given_dtype)
    expected = layer(x.float(), lengths=[5, 2])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = layer(x, lengths=[5, 2], return_attention=True)
    assert {tensor.dtype for tensor in flat(result)} == {torch.float32}
    torch.testing.assert_close(result[:2], expected, rtol=0, atol=0.03)
    # The equations run in the lower precision, scan in that of its weights.
    assert torch.equal(result[0], expected[0]) == (backend == "scan")
    sum(tensor.sum() for tensor in flat(result)).backward()
    assert all(torch.isfinite(p.grad).all() for p in layer.parameters())


def test_autocast_converts_a_given_state():
    layer, h = EleAttGRU(D, N), torch.zeros(1, 2, N, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(torch.randn(5, 2, D), h)[1].dtype == torch.float32


def test_parametrizations_take_part():
    class Twice(torch.nn.Module):
        def forward(self, weight):
            return 2 * weight

    layer, x = make("gru"), torch.randn(5, 2, D, dtype=torch.float64)
    doubled = copy.deepcopy(layer)
    with torch.no_grad():
        doubled.weight_hh_l1 *= 2
    before = layer(x)[0]
    torch.nn.utils.parametrize.register_parametrization(layer, "weight_hh_l1", Twice())
    assert torch.equal(layer(x)[0], doubled(x)[0])
    assert not torch.equal(layer(x)[0], before)


def test_functional_call_takes_part():
    layer, x = make("gru"), torch.randn(5, 2, D, dtype=torch.float64)
    zeros = {name: torch.zeros_like(p) for name, p in layer.named_parameters()}
    assert (torch.func.functional_call(layer, zeros, (x,))[0] == 0).all()


def test_on_the_meta_device():
    layer = EleAttGRU(D, N, 2, device="meta")
    assert {p.device.type for p in layer.parameters()} == {"meta"}


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (EleAttGRU(D, N), "EleAttGRU(4, 3, gate='sigmoid')"),
        (
            EleAttRNN(D, N, gate=None, backend="equations"),
            "EleAttRNN(4, 3, gate=None, backend='equations')",
        ),
        (
            EleAttLSTM(D, N, 2, gate="softmax", gated_layers=[1], bias=False),
            "EleAttLSTM(4, 3, num_layers=2, bias=False, gate='softmax', gated_layers=(1,))",
        ),
        (
            EleAttGRU(D, N, 3, batch_first=True, dropout=0.5, bidirectional=True, reset_after=True),
            (
                "EleAttGRU(4, 3, num_layers=3, batch_first=True, dropout=0.5, "
                "bidirectional=True, reset_after=True, gate='sigmoid')"
            ),
        ),
    ],
)
def test_its_repr_tells_what_it_is(layer, text):
    assert repr(layer) == text


def test_the_backend_is_looked_up_at_the_call():
    layer = EleAttGRU(D, N)
    layer.backend = "abacus"
    with pytest.raises(ValueError, match="unknown backend 'abacus'"):
        layer(torch.randn(5, 2, D))
