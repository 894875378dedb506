"""Every combination of options: each backend against the equations, in float64 and float32.

The list covers every three options in every three settings that exist, by default every two;
hypothesis draws from the whole product, with sizes. Everything is compared: outputs, states,
attention, and the gradients of all of them by input, states and parameters.
"""

from __future__ import annotations

import functools
import itertools
import random
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import functional_call
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from eleatt_bench.nn.layers import EleAttGRU, EleAttLSTM, EleAttRNN

LAYERS = {"rnn": EleAttRNN, "lstm": EleAttLSTM, "gru": EleAttGRU, "gru after": EleAttGRU}


class Case(NamedTuple):
    """One combination of options."""

    layout: str
    kind: str
    gate: str | None
    gated: str  # which layers have it
    layers: int
    bidirectional: bool
    bias: bool
    batch_first: bool
    dropout: float
    state: bool
    attention: bool
    backend: str


OPTIONS = Case(
    ("packed sorted", "packed", "lengths", "padded", "one sequence"),
    tuple(LAYERS),
    ("sigmoid", "softmax", None),
    ("all", "first", "last"),
    (1, 2, 3),
    *((False, True),) * 3,
    (0.0, 0.5),
    *((False, True),) * 2,
    ("equations", "scan", "native"),
)


def exists(case: Case) -> bool:
    """Dropout acts between layers; layers are chosen for a gate, and among several."""
    between = case.layers > 1 or not case.dropout
    return between and (case.gated == "all" or (case.gate is not None and case.layers > 1))


class Sizes(NamedTuple):
    """How large the tensors are, and what is drawn."""

    lengths: tuple[int, ...] = (3, 6, 1, 4)
    D: int = 5
    N: int = 4
    seed: int = 0


def covering(strength: int) -> list[Case]:
    """Cases in which any ``strength`` options stand in any settings of theirs that exist."""
    product = zip(
        itertools.starmap(Case, itertools.product(*OPTIONS)),
        itertools.product(*(range(len(values)) for values in OPTIONS)),
        strict=True,
    )
    every, indices = zip(*((case, index) for case, index in product if exists(case)), strict=True)
    index = np.array(indices, np.int16)
    places = np.array(list(itertools.combinations(range(len(OPTIONS)), strength)))
    base = max(map(len, OPTIONS))

    def settled(some: np.ndarray) -> np.ndarray:
        """A number for each choice of options with their settings: (cases, choices)."""
        return np.arange(len(places)) * base**strength + some[:, places] @ base ** np.arange(
            strength
        )

    left = np.zeros(len(places) * base**strength, bool)
    for some in np.array_split(index, 50):
        left[settled(some)] = True
    choose = random.Random(0)
    cases = []
    while left.any():
        tries = [choose.randrange(len(every)) for _ in range(40)]
        found = settled(index[tries])
        gains = left[found].sum(axis=1)
        if gains.any():
            cases.append(every[tries[gains.argmax()]])
            left[found[gains.argmax()]] = False
    return cases


def tensors(case: Case, sizes: Sizes) -> tuple[dict[str, torch.Tensor], list[int]]:
    """Input, states and parameters, numbers that float32 can hold, in float64; and the lengths."""
    generator = torch.Generator().manual_seed(sizes.seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).double()

    lengths = list(sizes.lengths)
    if case.layout == "packed sorted":
        lengths.sort(reverse=True)
    T, B = max(lengths) + (case.layout == "lengths"), len(lengths)
    batch = () if case.layout == "one sequence" else (B,)
    x = draw(B, T, sizes.D) if case.batch_first and batch else draw(T, *batch, sizes.D)
    given = {"input": x}
    rows = case.layers * (2 if case.bidirectional else 1)
    for name in ("h_0", "c_0")[: (2 if case.kind == "lstm" else 1) if case.state else 0]:
        given[name] = draw(rows, *batch, sizes.N)
    for name, parameter in make(case, sizes, torch.float64).named_parameters():
        scale = parameter.shape[-1] ** -0.5 if parameter.dim() == 2 else 1
        given[name] = (draw(*parameter.shape) * scale).float().double()
    return given, lengths


def make(case: Case, sizes: Sizes, dtype: torch.dtype) -> torch.nn.Module:
    options: dict[str, Any] = {"reset_after": True} if case.kind == "gru after" else {}
    gated = {"all": None, "first": [0], "last": [case.layers - 1]}[case.gated]
    return LAYERS[case.kind](
        sizes.D, sizes.N, case.layers, case.bias, case.batch_first, case.dropout,
        case.bidirectional, dtype=dtype, gate=case.gate, gated_layers=gated, backend=case.backend,
        **options,
    )  # fmt: skip


Results = tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]


def run(case: Case, sizes: Sizes, dtype: torch.dtype) -> Results:
    """Outputs, states and attention, and the gradients of them all by every tensor, in float64."""
    given, lengths = tensors(case, sizes)
    leaves = {name: value.to(dtype).requires_grad_() for name, value in given.items()}
    layer = make(case, sizes, dtype)
    parameters = {name: leaves[name] for name, _ in layer.named_parameters()}
    states = tuple(leaves[name] for name in ("h_0", "c_0") if name in leaves)
    options: dict[str, Any] = {"return_attention": case.attention}
    x: Any = leaves["input"]
    if case.layout.startswith("packed"):
        sort = case.layout == "packed sorted"
        x = pack_padded_sequence(x, lengths, case.batch_first, enforce_sorted=sort)
    elif case.layout == "lengths":
        options["lengths"] = lengths
    hx = None if not states else states if case.kind == "lstm" else states[0]
    torch.manual_seed(sizes.seed)  # of the dropout
    output, final, *attention = functional_call(layer, parameters, (x, hx), options)
    found = [output, *(final if case.kind == "lstm" else [final])]
    found += [a for a in (attention[0] if attention else []) if a is not None]
    for n, part in enumerate(found):
        if isinstance(part, PackedSequence):
            for own, expected in zip(part[1:], x[1:], strict=True):
                assert own is expected is None or torch.equal(own, expected)
            found[n] = part.data
    generator = torch.Generator().manual_seed(sizes.seed + 1)
    total = sum(
        (part * torch.randn(part.shape, generator=generator).to(dtype)).sum() for part in found
    )
    gradients = torch.autograd.grad(total, list(leaves.values()))
    return (
        {f"result {n}": part.detach().double() for n, part in enumerate(found)},
        {name: g.double() for name, g in zip(leaves, gradients, strict=True)},
    )


@functools.lru_cache(maxsize=400)
def equations(case: Case, sizes: Sizes, dtype: torch.dtype) -> Results:
    return run(case._replace(backend="equations"), sizes, dtype)


def errors(case: Case, sizes: Sizes, found: Results) -> dict[str, float]:
    """Of every tensor, against the equations in float64.

    Relative to the largest result or gradient, or to 1, the size of the numbers that go in, where
    saturated units leave less than that of all gradients.
    """
    relative = {}
    for own, true in zip(found, equations(case, sizes, torch.float64), strict=True):
        assert own.keys() == true.keys()
        largest = max(1.0, *(float(tensor.abs().max()) for tensor in true.values()))
        for name, tensor in true.items():
            assert own[name].shape == tensor.shape
            assert own[name].isfinite().all()
            relative[name] = float((own[name] - tensor).abs().max()) / largest
    return relative


CASES = [*covering(2), *(pytest.param(case, marks=pytest.mark.slow) for case in covering(3))]


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(map(str, case)))
def test_every_three_options(case):
    """In float32 within some √(frames · layers · operations) roundings, and room for their sums."""
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 32 * 2**-24)):
        found = run(case, Sizes(), dtype)
        for name, error in errors(case, Sizes(), found).items():
            assert error <= tolerance, (dtype, name)


cases = (
    st.builds(Case, *map(st.sampled_from, OPTIONS))
    .filter(exists)
    .filter(lambda case: case.backend != "equations")  # the others are compared with it
)
widths = st.one_of(st.integers(1, 6), st.sampled_from([15, 16, 17, 33]))
sizes = st.builds(
    Sizes,
    st.lists(st.integers(1, 7), min_size=1, max_size=6).map(tuple),
    widths,
    widths,
    st.integers(0, 2**31),
)


@settings(max_examples=30, deadline=None)
@given(cases, sizes)
def test_drawn_combinations(case, sizes):
    """Drawn weights may enlarge what was rounded: float32 may err as far as in the equations."""
    for name, error in errors(case, sizes, run(case, sizes, torch.float64)).items():
        assert error <= 1e-10, name
    usual = errors(case, sizes, equations(case, sizes, torch.float32))
    for name, error in errors(case, sizes, run(case, sizes, torch.float32)).items():
        assert error <= 64 * 2**-24 + 8 * max(usual.values()), name


subsets = st.sets(st.integers(0, 8), min_size=1)


@settings(max_examples=30, deadline=None)
@given(cases, subsets, subsets, st.integers(0, 2**31))
def test_whatever_is_asked_for(case, results, leaves, seed):
    """Any results differentiated by any tensors, while the others are frozen."""
    case = case._replace(layout="lengths", dropout=0.0)
    given, lengths = tensors(case, Sizes(seed=seed))
    free = sorted({sorted(given)[n % len(given)] for n in leaves})
    options = {"lengths": lengths, "return_attention": case.attention}
    gradients = []
    for backend in (case.backend, "equations"):
        own = {name: t.clone().requires_grad_(name in free) for name, t in given.items()}
        layer = make(case._replace(backend=backend), Sizes(), torch.float64)
        parameters = {name: own[name] for name, _ in layer.named_parameters()}
        hx = tuple(own[name] for name in ("h_0", "c_0") if name in own)
        hx = None if not hx else hx if case.kind == "lstm" else hx[0]
        output, final, *attention = functional_call(layer, parameters, (own["input"], hx), options)
        found = [output, *(final if case.kind == "lstm" else [final])]
        found += [a for a in (attention[0] if attention else []) if a is not None]
        chosen = [found[n] for n in sorted({n % len(found) for n in results})]
        assert found[0].requires_grad
        total = found[0].sum() * 0 + sum(part.square().sum() for part in chosen)
        gradients.append(torch.autograd.grad(total, [own[n] for n in free], materialize_grads=True))
    for own, true in zip(*gradients, strict=True):
        assert (own - true).abs().max() <= 1e-10 * max(1.0, float(true.abs().max()))
