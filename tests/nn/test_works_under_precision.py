"""The layers under autocast and in other dtypes."""

from __future__ import annotations

import pytest
import torch
from torch.nn.utils import parametrizations

pytestmark = pytest.mark.usefixtures("backend")

every_kind = pytest.mark.parametrize("kind", ["rnn", "lstm", "gru", "gru after"])
LENGTHS = [6, 2, 4]


def assert_close(own, expected, tolerance):
    torch.testing.assert_close(own, expected, rtol=0, atol=tolerance)


@every_kind
@pytest.mark.parametrize("gate", [None, "sigmoid", "softmax"])
@pytest.mark.parametrize(("lower", "tolerance"), [(torch.bfloat16, 0.05), (torch.float16, 0.005)])
def test_a_training_step_under_autocast(backend, make, flat, x, kind, gate, lower, tolerance):
    """The equations run in the lower precision, the others in that of their weights."""
    layer = make(kind, gate, dtype=torch.float32)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter /= 2
    options = {"lengths": LENGTHS, "return_attention": True}
    expected = flat(layer(x.float(), **options))
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    losses = []
    for given in (x.float(), x.to(lower)):
        with torch.autocast("cpu", dtype=lower):
            own = flat(layer(given, **options))
            loss = own[0].square().mean()
        assert {tensor.dtype for tensor in own} == {torch.float32}
        if not losses:
            for tensor, true in zip(own, expected, strict=True):
                assert_close(tensor, true, tolerance)
            assert torch.equal(own[0], expected[0]) == (backend != "equations")
        loss.backward()
        gradients = [p.grad for p in layer.parameters()]
        assert all(g.isfinite().all() and g.dtype == torch.float32 for g in gradients)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[1] < losses[0]


@every_kind
def test_gradients_under_autocast_are_close(make, gradients, x, kind):
    layer = make(kind, num_layers=1, dtype=torch.float32)
    given = x.detach().float().requires_grad_()
    expected = gradients(layer, given)

    def run(*args, **options):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return layer(*args, **options)

    for own, true in zip(gradients(layer, given, run), expected, strict=True):
        assert (own - true).norm() <= 0.05 * true.norm()


@every_kind
@pytest.mark.parametrize("gate", [None, "sigmoid"])
def test_backward_within_autocast_has_the_precision_of_forward(backend, make, flat, x, kind, gate):
    if backend == "equations":
        pytest.skip("torch's own backward obeys autocast")
    layer, given = make(kind, gate, dtype=torch.float32), x.detach().float().requires_grad_()
    result = flat(layer(given, lengths=LENGTHS))[0].square().sum()
    leaves = [given, *layer.parameters()]
    expected = torch.autograd.grad(result, leaves, retain_graph=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        own = torch.autograd.grad(result, leaves)
    assert all(map(torch.equal, own, expected))


def test_autocast_converts_a_given_state(make, x):
    layer, h = make("gru", dtype=torch.float32), torch.zeros(4, 3, 3, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(x, h)[1].dtype == torch.float32


@pytest.mark.parametrize("lower", [torch.bfloat16, torch.float16])
def test_autocast_and_a_parametrization_that_is_computed_in_it(make, x, lower):
    layer = make("gru", dtype=torch.float32)
    parametrizations.orthogonal(layer, "weight_ia_l0")
    expected = layer(x.float())[0]
    with torch.autocast("cpu", dtype=lower):
        assert layer.weight_ia_l0.dtype == lower
        assert_close(layer(x.float())[0], expected, 0.1)


@every_kind
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-5), (torch.bfloat16, 0.1)])
def test_in_another_dtype(backend, make, flat, x, kind, dtype, tolerance):
    if backend == "native" and dtype == torch.bfloat16:
        pytest.skip("native is for float32 and float64")
    layer = make(kind, dtype=torch.float32)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter /= 2
    expected = layer(x.float(), lengths=LENGTHS)[0]
    layer.to(dtype)
    results = flat(layer(x.to(dtype), lengths=LENGTHS, return_attention=True))
    assert {tensor.dtype for tensor in results} == {dtype}
    assert_close(results[0].float(), expected, tolerance)
    assert {p.dtype for p in make(kind, dtype=dtype).parameters()} == {dtype}
    assert {p.dtype for p in layer.double().parameters()} == {torch.float64}
