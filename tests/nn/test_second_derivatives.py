"""Whoever asks for a second derivative gets that of the equations, or the layer's own error."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import forward_ad, functional
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from eleatt_bench.nn.stack import Stack

KINDS = ("rnn", "lstm", "gru", "gru after")
GATES = (None, "sigmoid", "softmax")
T, B, D, N = 3, 2, 4, 3
LENGTHS = [3, 2]
REFUSED = "backend='equations'"

Tensors = list[torch.Tensor]


def inputs(kind: str) -> Tensors:
    """x and the first states, leaves that ask for gradients."""
    torch.manual_seed(1)
    states = [torch.randn(2, B, N).double() for _ in range(2 if kind == "lstm" else 1)]
    return [t.requires_grad_() for t in (torch.randn(T, B, D).double(), *states)]


def results(layer: Stack, given: Tensors, **options: object) -> Tensors:
    x, *hx = given
    state = tuple(hx) if len(hx) == 2 else hx[0] if hx else None
    output, final, attention = layer(x, state, return_attention=True, **options)
    states = final if isinstance(final, tuple) else (final,)
    return [output, *states, *(a for a in attention if a is not None)]


def number(tensors: Tensors) -> torch.Tensor:
    """One that depends on every entry in its own way, and not in a straight line."""
    return torch.stack([(t.sin() * (1 + n)).square().sum() for n, t in enumerate(tensors)]).sum()


def total(layer: Stack, given: Tensors) -> torch.Tensor:
    return number(results(layer, given, lengths=LENGTHS))


def of_x(layer: Stack, given: Tensors) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda x: total(layer, [x, *given[1:]])


def first(layer: Stack, given: Tensors, by: Tensors) -> Tensors:
    return list(torch.autograd.grad(total(layer, given), by, create_graph=True))


def backward_twice(layer: Stack, given: Tensors) -> Tensors:
    leaves = [*given, *layer.parameters()]
    total(layer, given).backward(create_graph=True)
    second = number([leaf.grad for leaf in leaves])
    for leaf in leaves:
        leaf.grad = None
    second.backward()
    return [leaf.grad for leaf in leaves]


def hessian_vector_product(layer: Stack, given: Tensors) -> Tensors:
    leaves = [*given, *layer.parameters()]
    found = first(layer, given, leaves)
    return list(torch.autograd.grad(found, leaves, [torch.ones_like(g) for g in found]))


def by_a_weight_alone(layer: Stack, given: Tensors) -> Tensors:
    found = first(layer, given, [layer.weight_ih_l0])
    return list(torch.autograd.grad(number(found), [layer.weight_hh_l0]))


def by_a_first_state_alone(layer: Stack, given: Tensors) -> Tensors:
    found = first(layer, given, [layer.weight_hh_l0])
    return list(torch.autograd.grad(number(found), [given[-1]]))


def of_a_frozen_layer(layer: Stack, given: Tensors) -> Tensors:
    layer.requires_grad_(False)
    x, *hx = given
    (found,) = first(layer, [x, *(h.detach() for h in hx)], [x])
    return list(torch.autograd.grad(number([found]), [x]))


def of_one_weight_of_a_frozen_layer(layer: Stack, given: Tensors) -> Tensors:
    layer.requires_grad_(False)
    weight = layer.weight_hh_l0.requires_grad_()
    found = first(layer, [t.detach() for t in given], [weight])
    return list(torch.autograd.grad(number(found), [weight]))


def by_what_comes_back(layer: Stack, given: Tensors) -> Tensors:
    found = results(layer, given, lengths=LENGTHS)
    weights = [torch.ones_like(t, requires_grad=True) for t in found]
    slopes = torch.autograd.grad(found, given, weights, create_graph=True)
    return list(torch.autograd.grad(number(list(slopes)), weights))


def by_what_comes_back_to_a_straight_line(layer: Stack, given: Tensors) -> Tensors:
    """As `torch.autograd.functional.jvp` does it."""
    output = results(layer, given)[0]
    weight = torch.zeros_like(output, requires_grad=True)
    slope = torch.autograd.grad(output, given[0], weight, create_graph=True)
    return list(torch.autograd.grad(slope, weight, torch.ones_like(given[0])))


def of_the_attention(layer: Stack, given: Tensors) -> Tensors:
    found = results(layer, given)
    (slope,) = torch.autograd.grad(found[-1].sum(), given[0], create_graph=True)
    return list(torch.autograd.grad(number([slope]), list(layer.parameters()), allow_unused=True,
                                    materialize_grads=True))  # fmt: skip


def gradient_penalty(layer: Stack, given: Tensors) -> Tensors:
    x = given[0]
    (slope,) = torch.autograd.grad(results(layer, [x])[0].sum(), x, create_graph=True)
    loss = results(layer, [x])[0].sum() + (slope.flatten(1).norm(dim=1) - 1).square().mean()
    return list(torch.autograd.grad(loss, list(layer.parameters())))


def maml(layer: Stack, given: Tensors) -> Tensors:
    named = dict(layer.named_parameters())

    def loss(parameters: dict[str, torch.Tensor]) -> torch.Tensor:
        return functional_call(layer, parameters, (given[0],))[0].sin().sum()

    slopes = torch.autograd.grad(loss(named), list(named.values()), create_graph=True)
    fast = {name: p - 0.5 * g for (name, p), g in zip(named.items(), slopes, strict=True)}
    return list(torch.autograd.grad(loss(fast), list(named.values())))


def through_hooks_and_a_retained_graph(layer: Stack, given: Tensors) -> Tensors:
    x = given[0]
    output = results(layer, given)[0]
    output.register_hook(lambda g: 2 * g)
    torch.autograd.grad(output.sum(), x, retain_graph=True)
    (slope,) = torch.autograd.grad(output.sum(), x, create_graph=True)
    slope.mul_(2)  # in place, as clipping does it
    return list(torch.autograd.grad(number([slope]), [layer.weight_hh_l0]))


def through_a_checkpoint(layer: Stack, given: Tensors) -> Tensors:
    found = checkpoint(results, layer, given, use_reentrant=False)
    slopes = torch.autograd.grad(number(found), given, create_graph=True)
    return list(torch.autograd.grad(number(list(slopes)), list(layer.parameters())))


def through_saved_tensors_hooks(layer: Stack, given: Tensors) -> Tensors:
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.detach().clone(), lambda t: t):
        found = first(layer, given, [layer.weight_ih_l0])
    return list(torch.autograd.grad(number(found), given))


def through_a_strided_weight(layer: Stack, given: Tensors) -> Tensors:
    """And a strided input: copies of them lead nowhere."""
    source = layer.weight_hh_l0.detach().t().contiguous().requires_grad_()
    x = given[0].detach().transpose(0, 2).contiguous().requires_grad_()
    output = functional_call(layer, {"weight_hh_l0": source.t()}, (x.transpose(0, 2),))[0]
    slopes = torch.autograd.grad(output.sin().sum(), [x, source], create_graph=True)
    return [
        *torch.autograd.grad(number(list(slopes)), [source], retain_graph=True),
        *torch.autograd.grad(number(list(slopes)), [x]),
    ]


def many_at_once(layer: Stack, given: Tensors) -> Tensors:
    (slope,) = first(layer, given, [given[0]])
    rows = torch.eye(slope.numel()).double().view(-1, *slope.shape)[:3]
    return list(torch.autograd.grad(slope, given[0], rows, is_grads_batched=True))


def first_ones_at_once(layer: Stack, given: Tensors) -> Tensors:
    output = results(layer, given)[0]
    rows = torch.eye(output.numel()).double().view(-1, *output.shape)[:3]
    return list(torch.autograd.grad(output, given[0], rows, is_grads_batched=True))


def dual_numbers(layer: Stack, given: Tensors) -> Tensors:
    x = given[0].detach()
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, torch.ones_like(x))
        output = results(layer, [dual])[0]
        return [forward_ad.unpack_dual(output).tangent]


def dual_numbers_that_come_back(layer: Stack, given: Tensors) -> Tensors:
    output = results(layer, given)[0]
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(torch.ones_like(output), output.detach())
        (slope,) = torch.autograd.grad(output, given[0], dual)
        return [forward_ad.unpack_dual(slope).tangent]


def unless_refused(function: Callable[[], Tensors]) -> Tensors | None:
    """None where the layer itself refused; whoever else raises an error is at fault."""
    try:
        return function()
    except RuntimeError as error:
        if REFUSED not in str(error):
            raise
        return None


def functionals() -> dict[str, Callable[[Stack, Tensors], Tensors]]:
    """The ways of torch.autograd.functional and torch.func."""

    def tuples(found: object) -> Tensors:
        return [found] if isinstance(found, torch.Tensor) else [t for f in found for t in tuples(f)]

    ways: dict[str, Callable[[Stack, Tensors], Tensors]] = {}
    for strict in (False, True):
        for name in ("hvp", "vhp", "jvp", "vjp"):
            ways[f"functional.{name} strict={strict}"] = (
                lambda layer, given, name=name, strict=strict: tuples(
                    getattr(functional, name)(
                        of_x(layer, given), given[0], torch.tensor(1.0).double()
                        if name == "vjp" else torch.ones_like(given[0]), strict=strict)
                )
            )  # fmt: skip
    for options in (
        {"strict": True}, {"vectorize": True}, {},
        {"vectorize": True, "outer_jacobian_strategy": "forward-mode"},
    ):  # fmt: skip
        ways[f"functional.hessian {options}"] = lambda layer, given, options=options: tuples(
            functional.hessian(of_x(layer, given), given[0], **options)
        )
    for options in (
        {"vectorize": True}, {}, {"create_graph": True},
        {"vectorize": True, "strategy": "forward-mode"},
    ):  # fmt: skip
        ways[f"functional.jacobian {options}"] = lambda layer, given, options=options: tuples(
            functional.jacobian(lambda x: results(layer, [x])[0], given[0], **options)
        )
    for name in ("hessian", "jacrev", "jacfwd", "grad"):
        ways[f"func.{name}"] = lambda layer, given, name=name: tuples(
            getattr(torch.func, name)(of_x(layer, [given[0]]))(given[0].detach())
        )
    ways["func.grad of grad"] = lambda layer, given: tuples(
        torch.func.grad(lambda x: torch.func.grad(of_x(layer, [x]))(x).sin().sum())(given[0])
    )
    ways["func.vmap"] = lambda layer, given: tuples(
        torch.func.vmap(lambda x: layer(x)[0], 1)(given[0].detach())
    )
    return ways


WAYS = {
    way.__name__: way
    for way in (
        backward_twice, hessian_vector_product, by_a_weight_alone, by_a_first_state_alone,
        of_a_frozen_layer, of_one_weight_of_a_frozen_layer, by_what_comes_back,
        by_what_comes_back_to_a_straight_line, of_the_attention, gradient_penalty, maml,
        through_hooks_and_a_retained_graph, through_a_checkpoint, through_saved_tensors_hooks,
        through_a_strided_weight, many_at_once, first_ones_at_once, dual_numbers,
        dual_numbers_that_come_back,
    )
} | functionals()  # fmt: skip
OF_FIRST_ORDER = {
    "functional.vjp strict=False", "functional.vjp strict=True", "functional.jacobian {}",
    "functional.jacobian {'create_graph': True}",
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:There is a performance drop")  # some operations have no vmap
@pytest.mark.filterwarnings("ignore:.torch.jit.script")  # of its imports
@pytest.mark.filterwarnings("ignore:Using backward\\(\\) with create_graph")
@pytest.mark.parametrize("backend", ["auto", "native", "scan"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.few(30)
def test_it_is_right_or_refused(make, backend, kind, gate, way):
    def found(name: str) -> Tensors:
        layer = make(kind, gate, num_layers=1, backend=name)
        return [tensor.detach() for tensor in WAYS[way](layer, inputs(kind))]

    own = unless_refused(lambda: found(backend))
    assert own is None or way in OF_FIRST_ORDER or backend == "auto"
    assert own is not None or way not in OF_FIRST_ORDER
    if own is not None:
        torch.testing.assert_close(own, found("equations"), rtol=1e-9, atol=1e-9)


subsets = st.sets(st.integers(0, 11), min_size=1)


@settings(deadline=None)
@given(
    st.sampled_from(["native", "scan"]), st.sampled_from(KINDS), st.sampled_from(GATES),
    subsets, subsets, subsets, subsets, st.booleans(),
)  # fmt: skip
def test_any_of_any_by_any(make, backend, kind, gate, free, ends, by, again, mixed):
    """Any leaves that ask, any results differentiated by any of them, and that by any again."""

    def found(name: str) -> Tensors:
        layer = make(kind, gate, num_layers=1, backend=name)
        given = inputs(kind)
        leaves = [*given, *layer.parameters()]
        chosen = {n % len(leaves) for n in free}
        for n, leaf in enumerate(leaves):
            leaf.requires_grad_(n in chosen)
        leaves = [leaf for leaf in leaves if leaf.requires_grad]
        tensors = results(layer, given, lengths=LENGTHS)
        of = [tensors[n] for n in sorted({n % len(tensors) for n in ends})]
        if not number(of).requires_grad:  # the attention of one direction, asked of the other's
            return []
        slopes = torch.autograd.grad(
            number(of), [leaves[n] for n in sorted({n % len(leaves) for n in by})],
            create_graph=True, materialize_grads=True,
        )  # fmt: skip
        left = [g for g in slopes if g.requires_grad] + (of if mixed else [])
        if not left:
            return []
        end = number(left)
        return list(
            torch.autograd.grad(
                end,
                [leaves[n] for n in sorted({n % len(leaves) for n in again})],
                materialize_grads=True,
            )
        )

    own = unless_refused(lambda: found(backend))
    if own is not None:
        torch.testing.assert_close(own, found("equations"), rtol=1e-9, atol=1e-9)
