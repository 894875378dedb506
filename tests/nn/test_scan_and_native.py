"""The backends with a backward pass by hand, against the equations and in what they promise."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eleatt_bench.nn import equations, native, scan
from eleatt_bench.nn.contract import BLOCKS, Cell, Weights
from eleatt_bench.nn.layers import EleAttGRU, EleAttLSTM, EleAttRNN

from .conftest import BY_HAND


@pytest.fixture(autouse=True, scope="module")
def poisoned_memory():
    """Every buffer that is not written to is NaN, as any memory may be."""
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture(params=["scan", "native"])
def by_hand(request: pytest.FixtureRequest) -> str:
    return request.param


# Around the widths of vectors, and of the panels of vectors that `native` works with.
sizes = st.one_of(st.integers(1, 5), st.sampled_from([15, 16, 17, 31, 64, 65, 100]))
gates = st.sampled_from([None, "sigmoid", "softmax"])
cells = st.one_of(
    st.builds(Cell, st.sampled_from(BY_HAND), gates, st.just(False)),
    st.builds(Cell, st.just("gru"), gates, st.just(True)),
)


@pytest.mark.parametrize("run", [scan.run, native.run], ids=["scan", "native"])
@settings(deadline=None)
@given(
    cell=cells,
    D=sizes,
    N=sizes,
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    ragged=st.booleans(),
    bias=st.booleans(),
    reverse=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_everything_agrees_with_the_equations(
    run, cell, D, N, lengths, ragged, bias, reverse, seed
) -> None:
    """Outputs, states, attention, and the gradients of all of them by every tensor that goes in."""
    torch.manual_seed(seed)
    T, B, rows = max(lengths), len(lengths), len(BLOCKS[cell.kind]) * N

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, dtype=torch.float64) / shape[-1] ** 0.5

    x, valid = draw(T, B, D), torch.arange(T)[:, None] < torch.tensor(lengths)
    given_lengths = torch.tensor(lengths) if ragged else None
    if ragged:
        x = x * valid[:, :, None]
    biases = (draw(rows), draw(rows) if cell.reset_after else None) if bias else (None, None)
    gate = (draw(D, D), draw(D, N), draw(D) if bias else None) if cell.gate else ()
    weights = Weights(draw(rows, D), draw(rows, N), *biases, *gate)
    state = tuple(draw(B, N) for _ in range(2 if cell.kind == "lstm" else 1))
    factors: list[torch.Tensor] = []

    def results(run) -> list[torch.Tensor]:
        leaves = [t.clone().requires_grad_() for t in (x, *state)]
        own = Weights(*(None if w is None else w.clone().requires_grad_() for w in weights))
        output, final, attention = run(
            cell, own, leaves[0], given_lengths, tuple(leaves[1:]),
            reverse=reverse, return_attention=True,
        )  # fmt: skip
        out = [output, *final, *([] if attention is None else [attention])]
        if not factors:
            factors.extend(torch.randn_like(t) for t in out)
        loss = sum((t * f).sum() for t, f in zip(out, factors, strict=True))
        leaves += [w for w in own if w is not None]
        return out + list(torch.autograd.grad(loss, leaves))

    for ours, theirs in zip(results(run), results(equations.run), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def saved_bytes(layer: EleAttGRU, x: torch.Tensor) -> int:
    """What autograd keeps of a forward pass."""
    kept: list[int] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.numel() * tensor.element_size())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        layer(x)
    return sum(kept)


def test_without_gradients_nothing_is_kept_and_the_results_are_the_same(by_hand) -> None:
    layer, x = EleAttGRU(6, 5, backend=by_hand), torch.randn(9, 4, 6)
    expected = layer(x, return_attention=True)
    assert saved_bytes(layer, x) > 0
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            assert saved_bytes(layer, x) == 0
            output, h_n, attention = layer(x, return_attention=True)
        assert torch.equal(output, expected[0])
        assert torch.equal(h_n, expected[1])
        assert torch.equal(attention[0], expected[2][0])


def test_frozen_inputs_and_weights_get_no_gradient_and_the_others_the_same(by_hand) -> None:
    layer, x = EleAttGRU(6, 5, backend=by_hand), torch.randn(9, 4, 6)
    layer(x)[0].square().sum().backward()
    everything = layer.weight_ha_l0.grad
    layer.zero_grad()
    layer.weight_hh_l0.requires_grad_(False)
    layer(x)[0].square().sum().backward()
    assert layer.weight_hh_l0.grad is None
    assert torch.equal(layer.weight_ha_l0.grad, everything)


def test_a_second_derivative_is_refused(by_hand) -> None:
    layer, x = EleAttGRU(3, 2, backend=by_hand), torch.randn(4, 2, 3, requires_grad=True)
    (first,) = torch.autograd.grad(layer(x)[0].square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        first.sum().backward()


def test_under_autocast_it_computes_in_the_precision_of_its_weights(by_hand) -> None:
    layer, x = EleAttGRU(6, 5, backend=by_hand), torch.randn(9, 4, 6)
    expected = layer(x)[0]
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(x)[0], expected)


@pytest.mark.gpu
@pytest.mark.parametrize("make", [EleAttRNN, EleAttLSTM, EleAttGRU])
@pytest.mark.parametrize("ragged", [False, True])
def test_scan_on_the_gpu(make, ragged) -> None:
    """In float64 what the equations give on the CPU."""
    torch.manual_seed(0)
    layer = make(6, 5, num_layers=2, bidirectional=True, dtype=torch.float64, backend="equations")
    x = torch.randn(9, 4, 6, dtype=torch.float64)
    lengths = torch.tensor([3, 9, 1, 5]) if ragged else None

    def results(device: str, backend: str) -> list[torch.Tensor]:
        layer.to(device).zero_grad()
        layer.backend = backend
        given = x.to(device).requires_grad_()
        output = layer(given, lengths=lengths)[0]
        output.square().sum().backward()
        tensors = [output, given.grad, *(p.grad for p in layer.parameters())]
        return [t.detach().cpu().clone() for t in tensors]

    for ours, expected in zip(results("cuda", "scan"), results("cpu", "equations"), strict=True):
        torch.testing.assert_close(ours, expected)
