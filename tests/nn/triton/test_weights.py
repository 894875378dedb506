"""The weights as the Triton kernels read them: by one launch, and those of the moment."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.profiler import ProfilerActivity, profile

from eleatt_bench import EleAttGRU
from eleatt_bench.nn.contract import BLOCKS, Cell, Weights
from eleatt_bench.nn.triton.weights import for_backward, for_forward, packed

from ..conftest import BY_HAND

pytest.importorskip("triton")
CELLS = [
    Cell(kind, gate, reset_after)
    for kind in BY_HAND
    for gate in (None, "sigmoid")
    for reset_after in ((False, True) if kind == "gru" else (False,))
]


@settings(deadline=None, max_examples=10)
@given(
    cell=st.sampled_from(CELLS),
    D=st.integers(1, 40),
    N=st.integers(1, 40),
    dtype=st.sampled_from([torch.float32, torch.float16]),
)
def check_packed(device: str, cell: Cell, D: int, N: int, dtype: torch.dtype) -> None:
    rows = len(BLOCKS[cell.kind]) * N
    gate = [torch.randn(D, D), torch.randn(D, N)] if cell.gate else []
    tensors = [torch.randn(rows, D), torch.randn(rows, N), None, None, *gate]
    weights = Weights(*(None if w is None else w.to(device) for w in tensors))
    for layout in (for_forward, for_backward):
        for ours, laid in zip(
            packed(layout, cell, weights, dtype, "ieee"), layout(cell, weights), strict=True
        ):
            assert (ours is None) == (laid is None)
            if ours is not None:
                assert torch.equal(ours, laid.to(dtype))


def test_weights_of_any_size_are_packed_as_they_are_laid_out(device) -> None:
    check_packed(device)


def test_a_pass_packs_its_weights_in_one_launch(device, monkeypatch) -> None:
    from eleatt_bench.nn.triton import pack

    launches = []

    class Counted:
        def __getitem__(self, grid, kernel=pack.pack):
            launches.append(grid)
            return kernel[grid]

    monkeypatch.setattr(pack, "pack", Counted())
    layer, x = example(device)
    layer(x)[0].sum().backward()  # finds the places, once for all layers of these sizes
    launches.clear()
    with profile(activities=[ProfilerActivity.CPU]) as trace:
        output = layer(x)[0]
        assert len(launches) == 1
        output.sum().backward()
    assert len(launches) == 2
    assert not any(event.name == "aten::constant_pad_nd" for event in trace.events())


def example(device: str) -> tuple[EleAttGRU, torch.Tensor]:
    torch.manual_seed(0)
    layer = EleAttGRU(5, 3, backend="triton", device=device)
    layer.reset_parameters(recurrent_gain=1.0)
    return layer, torch.randn(2, 2, 5, device=device, requires_grad=True)


def results(layer: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """Of the layer with and without a graph, and its gradients."""
    with torch.inference_mode():
        alone = layer(x)[0].clone()
    output = layer(x)[0]
    gradients = torch.autograd.grad(output.square().sum(), [x, *layer.parameters()])
    return [alone, output.detach(), *gradients]


def optimizer_step(layer: EleAttGRU, x: torch.Tensor) -> None:
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    layer(x)[0].sum().backward()
    optimizer.step()


def in_place(layer: EleAttGRU, x: torch.Tensor) -> None:
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(2)


def in_place_unseen(layer: EleAttGRU, x: torch.Tensor) -> None:
    for parameter in layer.parameters():
        version = parameter._version
        parameter.data.mul_(2)
        assert parameter._version == version  # so that no count of versions tells


def other_data(layer: EleAttGRU, x: torch.Tensor) -> None:
    for parameter in layer.parameters():
        parameter.data = parameter.data * 2


def state_dict(layer: EleAttGRU, x: torch.Tensor, assign: bool = False) -> None:
    doubled = {name: 2 * value for name, value in layer.state_dict().items()}
    layer.load_state_dict(doubled, assign=assign)


def assigned_state_dict(layer: EleAttGRU, x: torch.Tensor) -> None:
    state_dict(layer, x, assign=True)


def there_and_back(layer: EleAttGRU, x: torch.Tensor) -> None:
    layer.double()
    in_place(layer, x)
    layer.float()


def deep_copy(layer: EleAttGRU, x: torch.Tensor) -> EleAttGRU:
    copied = copy.deepcopy(layer)
    in_place_unseen(copied, x)
    return copied


def pickled(layer: EleAttGRU, x: torch.Tensor) -> EleAttGRU:
    copied = pickle.loads(pickle.dumps(layer))
    in_place_unseen(copied, x)
    return copied


def parametrized(layer: EleAttGRU, x: torch.Tensor) -> None:
    nn.utils.parametrizations.weight_norm(layer, "weight_hh_l0")
    in_place(layer, x)


@pytest.mark.parametrize(
    "change",
    [
        optimizer_step, in_place, other_data, in_place_unseen, state_dict, assigned_state_dict,
        deep_copy, there_and_back, pickled, parametrized,
    ],
    ids=lambda change: change.__name__,
)  # fmt: skip
@pytest.mark.few(1)
def test_changed_weights_are_those_that_are_multiplied(
    device, change: Callable[[EleAttGRU, torch.Tensor], EleAttGRU | None]
) -> None:
    layer, x = example(device)
    with torch.inference_mode():
        before = layer(x)[0].clone()
    layer = change(layer, x) or layer
    ours = results(layer, x)
    layer.backend = "scan"
    assert not torch.allclose(ours[0], before, atol=1e-2)
    for own, other in zip(ours, results(layer, x), strict=True):
        torch.testing.assert_close(own, other, rtol=0, atol=2e-6 * max(1, float(other.abs().max())))


def test_functional_call_takes_the_weights_that_it_is_given(device) -> None:
    layer, x = example(device)
    layer(x)
    others = {name: 2 * p.detach() for name, p in layer.named_parameters()}
    others["weight_hh_l0"].requires_grad_()
    output = torch.func.functional_call(layer, others, (x,))[0]
    (ours,) = torch.autograd.grad(output.sum(), others["weight_hh_l0"])
    layer.backend = "scan"
    expected = torch.func.functional_call(layer, others, (x,))[0]
    (theirs,) = torch.autograd.grad(expected.sum(), others["weight_hh_l0"])
    torch.testing.assert_close(output, expected, rtol=0, atol=2e-6)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-6)
