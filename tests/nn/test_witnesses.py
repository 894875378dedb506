"""The layers against those who know nothing of them: the paper in NumPy, Keras, and differences."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
import torch
from torch.func import functional_call

from eleatt_bench.nn.layers import EleAttGRU, EleAttLSTM, EleAttRNN

LAYERS = {
    "rnn": EleAttRNN,
    "lstm": EleAttLSTM,
    "gru": EleAttGRU,
    "gru after": functools.partial(EleAttGRU, reset_after=True),
}
kinds = pytest.mark.parametrize("kind", LAYERS)
gates = pytest.mark.parametrize("gate", [None, "sigmoid", "softmax"])


# The paper in NumPy. One sequence x of shape (T, D), the matrices under the paper's names.


def sigmoid(u):
    return 1 / (1 + np.exp(-u))


def softmax(u):
    e = np.exp(u - u.real.max())
    return e / e.sum()


def attend(p, sigma, x_t, h):
    """Equations 4 and 5: x̃_t and a_t."""
    if sigma is None:
        return x_t, None
    a_t = sigma(p["W_xa"] @ x_t + p["W_ha"] @ h + p["b_a"])
    return a_t * x_t, a_t


def rnn(p, sigma, x, h):
    """Equations 1 and 6."""
    for x_t in x:
        x_t, a_t = attend(p, sigma, x_t, h)
        h = np.tanh(p["W_xh"] @ x_t + p["W_hh"] @ h + p["b_h"])
        yield a_t, h


def lstm(p, sigma, x, h, c):
    """Equation 2."""
    for x_t in x:
        x_t, a_t = attend(p, sigma, x_t, h)
        i = sigmoid(p["W_xi"] @ x_t + p["W_hi"] @ h + p["b_i"])
        f = sigmoid(p["W_xf"] @ x_t + p["W_hf"] @ h + p["b_f"])
        o = sigmoid(p["W_xo"] @ x_t + p["W_ho"] @ h + p["b_o"])
        c = f * c + i * np.tanh(p["W_xc"] @ x_t + p["W_hc"] @ h + p["b_c"])
        h = o * np.tanh(c)
        yield a_t, h, c


def gru(p, sigma, x, h):
    """Equations 3 and 7; where there are biases ``B`` of the state, as torch describes its own."""
    for x_t in x:
        x_t, a_t = attend(p, sigma, x_t, h)
        r = sigmoid(p["W_xr"] @ x_t + p["W_hr"] @ h + p["b_r"] + p.get("B_r", 0))
        z = sigmoid(p["W_xz"] @ x_t + p["W_hz"] @ h + p["b_z"] + p.get("B_z", 0))
        if "B_h" in p:
            candidate = np.tanh(p["W_xh"] @ x_t + p["b_h"] + r * (p["W_hh"] @ h + p["B_h"]))
        else:
            candidate = np.tanh(p["W_xh"] @ x_t + p["W_hh"] @ (r * h) + p["b_h"])
        h = z * h + (1 - z) * candidate
        yield a_t, h


CELLS = {"rnn": (rnn, "h"), "lstm": (lstm, "ifco"), "gru": (gru, "rzh"), "gru after": (gru, "rzh")}
ROWS = ("_l0", "_l0_reverse", "_l1", "_l1_reverse")
LENGTHS = (5, 1, 3)
T, B, D, N = 5, 3, 4, 3


def in_the_papers_names(kind, arrays, suffix):
    _, blocks = CELLS[kind]
    names = {"weight_ih": "W_x", "weight_hh": "W_h", "bias": "b_", "bias_ih": "b_", "bias_hh": "B_"}
    p = {
        paper + block: part
        for own, paper in names.items()
        if own + suffix in arrays
        for block, part in zip(blocks, np.split(arrays[own + suffix], len(blocks)), strict=True)
    }
    for own, paper in {"weight_ia": "W_xa", "weight_ha": "W_ha", "bias_a": "b_a"}.items():
        p[paper] = arrays.get(own + suffix)
    return p


def network(kind, sigma, arrays):
    """Two layers in both directions, each sequence by itself: every result of a layer's forward."""
    cell, _ = CELLS[kind]
    states = [name for name in ("h_0", "c_0") if name in arrays]
    dtype = np.result_type(*arrays.values())
    output = np.zeros((T, B, 2 * N), dtype)
    final = [np.zeros((4, B, N), dtype) for _ in states]
    attention = [np.zeros((T, B, width), dtype) for width in (D, D, 2 * N, 2 * N)]
    for n, length in enumerate(LENGTHS):
        frames = arrays["x"][:length, n]
        for layer in range(2):
            both = []
            for row in (2 * layer, 2 * layer + 1):
                order = slice(None, None, -1 if row % 2 else 1)
                p = in_the_papers_names(kind, arrays, ROWS[row])
                first = [arrays[name][row, n] for name in states]
                a, *steps = zip(*cell(p, sigma, frames[order], *first), strict=True)
                both.append(np.array(steps[0])[order])
                for k, sequence in enumerate(steps):
                    final[k][row, n] = sequence[-1]
                if sigma is not None:
                    attention[row][:length, n] = np.array(a)[order]
            frames = np.concatenate(both, axis=1)
        output[:length, n] = frames
    return [output, *final, *(attention if sigma else [])]


@functools.cache
def problem(kind, gate):
    """Arrays that float32 can hold, a factor for each result, and a direction for each array."""
    random = np.random.default_rng(list(LAYERS).index(kind))
    layer = LAYERS[kind](D, N, 2, bidirectional=True, gate=gate)
    shapes = {name: tuple(p.shape) for name, p in layer.named_parameters()}
    shapes |= {"x": (T, B, D), "h_0": (4, B, N)}
    if kind == "lstm":
        shapes["c_0"] = (4, B, N)
    arrays = {
        name: random.normal(0, 0.7, shape).astype("f4").astype("f8")
        for name, shape in shapes.items()
    }
    directions = {name: random.normal(size=shape) for name, shape in shapes.items()}
    sigma = {None: None, "sigmoid": sigmoid, "softmax": softmax}[gate]
    results = network(kind, sigma, arrays)
    factors = [random.normal(size=result.shape).astype("f4").astype("f8") for result in results]
    # Along a direction the derivative is the imaginary part of an imaginary step, exactly.
    derivatives = {}
    for name, array in arrays.items():
        moved = network(kind, sigma, arrays | {name: array + 1e-100j * directions[name]})
        total = sum((r * f).sum() for r, f in zip(moved, factors, strict=True))
        derivatives[name] = total.imag / 1e-100
    return arrays, directions, results, factors, derivatives


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-10), (torch.float32, 128 * 2**-24)],
    ids=["float64", "float32"],
)
@kinds
@gates
def test_the_paper_in_numpy(kind, gate, dtype, tolerance):
    """Outputs, states, attention and gradients, ragged, two layers, both directions, with states.

    In float32 some 200 roundings lie between the first frame and the last layer's last frame, a
    walk of √200 ≈ 14 halves of an ulp; nine times that for what weights and sums enlarge.
    """
    arrays, directions, results, factors, derivatives = problem(kind, gate)
    tensors = {
        name: torch.tensor(array, dtype=dtype, requires_grad=True) for name, array in arrays.items()
    }
    layer = LAYERS[kind](D, N, 2, bidirectional=True, gate=gate, dtype=dtype)
    parameters = {name: tensors[name] for name, _ in layer.named_parameters()}
    hx = (tensors["h_0"], tensors["c_0"]) if kind == "lstm" else tensors["h_0"]
    output, final, attention = functional_call(
        layer, parameters, (tensors["x"], hx), {"lengths": LENGTHS, "return_attention": True}
    )
    own = [output, *(final if kind == "lstm" else [final]), *(a for a in attention if gate)]
    for tensor, expected in zip(own, results, strict=True):
        error = np.abs(tensor.detach().double().numpy() - expected).max()
        assert error <= tolerance * np.abs(expected).max()
    total = sum((t * torch.from_numpy(f)).sum() for t, f in zip(own, factors, strict=True))
    total.backward()
    for name, tensor in tensors.items():
        terms = tensor.grad.double().numpy() * directions[name]
        error = abs(terms.sum() - derivatives[name])
        assert error <= tolerance * np.abs(terms).sum(), name


# Keras


@pytest.fixture(scope="module")
def keras(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """Keras on torch and the CPU; its settings file is not written into the home folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "torch")
        patch.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras")))
        module = pytest.importorskip("keras")
        assert module.backend.backend() == "torch"
        # On torch Keras multiplies in float32 whatever it is given, by this entry of a table.
        dtypes = importlib.import_module("keras.src.backend.common.dtypes")
        patch.setitem(dtypes.BIT64_TO_BIT32_DTYPE, "float64", "float64")
        with module.device("cpu"):
            yield module


def in_keras(kind, values):
    """Parameters of ours, or their gradients, in Keras' layout: (D, kN), the GRU's in z, r, h."""
    if kind.startswith("gru"):
        values = [torch.cat([v.chunk(3)[block] for block in (1, 0, 2)]) for v in values]
    kernel, recurrent, *biases = values
    return [kernel.t(), recurrent.t(), *(biases if len(biases) < 2 else [torch.stack(biases)])]


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("bias", [True, False])
@kinds
@pytest.mark.few(5)
def test_keras(keras, kind, bias, ragged, reverse):
    """Outputs, states and all gradients of a plain layer in one direction."""
    name = {"rnn": "SimpleRNN", "lstm": "LSTM"}.get(kind, "GRU")
    form = {"use_cudnn": False} if name != "SimpleRNN" else {}  # its own cells, not torch's
    if name == "GRU":
        form["reset_after"] = kind == "gru after"
    witness = getattr(keras.layers, name)(
        N, use_bias=bias, return_sequences=True, return_state=True, go_backwards=reverse,
        zero_output_for_mask=True, dtype="float64", **form,
    )  # fmt: skip
    witness.build((B, T, D))
    torch.manual_seed(0)
    layer = LAYERS[kind](
        D, N, bias=bias, batch_first=True, bidirectional=reverse, gate=None, dtype=torch.float64
    )
    for parameter in layer.parameters():
        torch.nn.init.uniform_(parameter, -1, 1)
    suffix = "_l0_reverse" if reverse else "_l0"
    weights = [p for name, p in layer.named_parameters() if name.endswith(suffix)]
    for variable, value in zip(witness.weights, in_keras(kind, weights), strict=True):
        variable.assign(value.detach())

    x = torch.randn(B, T, D, dtype=torch.float64, requires_grad=True)
    rows = 2 if reverse else 1
    state = [
        torch.randn(rows, B, N, dtype=torch.float64, requires_grad=True)
        for _ in range(2 if kind == "lstm" else 1)
    ]
    lengths = torch.tensor(LENGTHS) if ragged else None
    mask = torch.arange(T) < lengths[:, None] if ragged else None
    output, final = layer(x, tuple(state) if kind == "lstm" else state[0], lengths=lengths)
    own = [output[:, :, -N:], *(h[-1] for h in (final if kind == "lstm" else [final]))]
    theirs = list(witness(x, mask=mask, initial_state=[h[-1] for h in state]))
    if reverse:  # Keras leaves the outputs in the order in which it read
        theirs[0] = theirs[0].flip(1)
    factors = [torch.randn_like(tensor) for tensor in own]
    totals = [sum((t * f).sum() for t, f in zip(r, factors, strict=True)) for r in (own, theirs)]
    gradients = torch.autograd.grad(totals[0], [x, *state, *weights])
    own += [*gradients[: len(state) + 1], *in_keras(kind, gradients[len(state) + 1 :])]
    theirs += torch.autograd.grad(totals[1], [x, *state, *(w.value for w in witness.weights)])
    for tensor, expected in zip(own, theirs, strict=True):
        assert tensor.shape == expected.shape
        assert (tensor - expected).abs().max() <= 1e-10 * expected.abs().max()


# Finite differences


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("reverse", [False, True])
@kinds
@gates
@pytest.mark.few(4)
def test_differences_without_biases_and_lengths(kind, gate, reverse):
    """Every entry of every Jacobian; test_contract.py has the layers with both."""
    torch.manual_seed(0)
    T, B, D, N = 3, 2, 2, 2
    layer = LAYERS[kind](D, N, bias=False, bidirectional=reverse, gate=gate, dtype=torch.float64)
    names = [n for n, _ in layer.named_parameters() if n.endswith("_reverse") == reverse]
    kept = {n: p.detach() for n, p in layer.named_parameters() if n not in names}
    shapes = [dict(layer.named_parameters())[n].shape for n in names]
    states = 2 if kind == "lstm" else 1
    inputs = [(T, B, D), *[(1 + reverse, B, N)] * states, *shapes]

    def function(x, *tensors):
        hx = tensors[:2] if states == 2 else tensors[0]
        parameters = kept | dict(zip(names, tensors[states:], strict=True))
        output, final, attention = functional_call(
            layer, parameters, (x, hx), {"return_attention": True}
        )
        final = final if states == 2 else (final,)
        last = [] if gate is None else [attention[-1]]
        return (output[..., -N:], *(h[-1] for h in final), *last)

    leaves = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in inputs]
    assert torch.autograd.gradcheck(function, leaves)
