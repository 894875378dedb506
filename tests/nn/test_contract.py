"""Every backend as the contract describes it."""

from __future__ import annotations

import pytest
import torch

from eleatt_bench.nn.backends import FUNCTIONS
from eleatt_bench.nn.contract import BLOCKS, Cell, RunLayer, Weights

from .conftest import BY_HAND, HERE

T, B, D, N = 4, 3, 3, 2
CASES = [
    (backend, Cell(kind, gate, reset_after))
    for backend in HERE
    for kind in (BLOCKS if backend == "equations" else BY_HAND)
    for gate in (None, "sigmoid", "softmax")
    for reset_after in ((False, True) if kind == "gru" else (False,))
]


@pytest.fixture(params=HERE)
def run(request: pytest.FixtureRequest) -> RunLayer:
    return FUNCTIONS[request.param]


def problem(cell):
    """Weights and a state for ``cell``, all of them leaves."""
    torch.manual_seed(0)

    def draw(*shape):
        return torch.randn(shape, dtype=torch.float64, requires_grad=True)

    rows = len(BLOCKS[cell.kind]) * N
    weights = Weights(
        draw(rows, D),
        draw(rows, N),
        draw(rows),
        draw(rows) if cell.reset_after else None,
        *((draw(D, D), draw(D, N), draw(D)) if cell.gate else ()),
    )
    return weights, tuple(draw(B, N) for _ in range(2 if cell.kind == "lstm" else 1))


@pytest.mark.parametrize(("run", "cell"), CASES, indirect=["run"], ids=str)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.few(12)
def test_gradients(run, cell, reverse):
    """Against finite differences, for every input, weight and state, through every result."""
    weights, state = problem(cell)
    lengths = torch.tensor([2, 4, 1])
    x = torch.randn(T, B, D, dtype=torch.float64)
    x[torch.arange(T).unsqueeze(1) >= lengths] = 0
    x.requires_grad_()
    present = [name for name in Weights._fields if getattr(weights, name) is not None]

    def function(x, *tensors):
        given = Weights(**dict(zip(present, tensors[: len(present)], strict=True)))
        output, final, attention = run(
            cell, given, x, lengths, tensors[len(present) :], reverse=reverse, return_attention=True
        )
        return (output, *final) if attention is None else (output, *final, attention)

    leaves = [getattr(weights, name) for name in present]
    assert torch.autograd.gradcheck(function, (x, *leaves, *state), fast_mode=True)


@pytest.mark.parametrize(("run", "cell"), CASES, indirect=["run"], ids=str)
def test_backward_is_forward_on_each_sequence_turned_round(run, cell):
    weights, state = problem(cell)
    lengths = [2, 4, 1]
    x = torch.randn(T, B, D, dtype=torch.float64)
    turned = torch.zeros_like(x)
    for n, length in enumerate(lengths):
        x[length:, n] = 0
        turned[:length, n] = x[:length, n].flip(0)
    options = {"lengths": torch.tensor(lengths), "state": state, "return_attention": True}
    output, final, attention = run(cell, weights, x, reverse=True, **options)
    expected, expected_final, expected_attention = run(
        cell, weights, turned, reverse=False, **options
    )
    torch.testing.assert_close(final, expected_final, rtol=0, atol=1e-14)
    assert (attention is None) == (cell.gate is None)
    for own, other in ((output, expected), (attention, expected_attention)):
        if own is None:
            continue
        for n, length in enumerate(lengths):
            torch.testing.assert_close(
                own[:length, n].flip(0), other[:length, n], rtol=0, atol=1e-14
            )
            assert (own[length:, n] == 0).all()


def test_attention_is_returned_only_when_asked_for(run):
    cell = Cell("gru", "sigmoid")
    weights, state = problem(cell)
    x = torch.randn(T, B, D, dtype=torch.float64)
    asked = run(cell, weights, x, None, state, reverse=False, return_attention=True)
    not_asked = run(cell, weights, x, None, state, reverse=False, return_attention=False)
    assert asked[2].shape == (T, B, D)
    assert not_asked[2] is None
    assert torch.equal(asked[0], not_asked[0])
