"""The backend ``triton`` against the equations: on a GPU, and without one in Triton's interpreter.

The interpreter has to be chosen before Triton is imported. So on the CPU the tests that take a
``device`` run in a second pytest on this folder, which `test_under_the_interpreter` starts.
"""

from __future__ import annotations

import functools
import itertools
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from eleatt_bench.nn import equations, scan
from eleatt_bench.nn import triton as triton_scan
from eleatt_bench.nn.contract import BLOCKS, Cell, Weights

from ..conftest import BY_HAND

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
FOLDER = Path(__file__).parent
CELLS = [
    Cell(kind, gate, reset_after)
    for kind in BY_HAND
    for gate in (None, "sigmoid", "softmax")
    for reset_after in ((False, True) if kind == "gru" else (False,))
]
USUAL = {(False, False, False), (False, True, True), (True, True, False)}
WAYS = [
    pytest.param(*way, marks=[] if way in USUAL else [pytest.mark.slow])
    for way in itertools.product((False, True), repeat=3)
]
"""Backwards or not, ragged or not, with biases or not; the interpreter takes its time for each."""
only_interpreted = pytest.mark.skipif(not INTERPRETED, reason="runs in the second pytest")


@pytest.mark.skipif(INTERPRETED, reason="is running")
@pytest.mark.parametrize(
    "chosen", ["not slow and not gpu", pytest.param("slow and not gpu", marks=pytest.mark.slow)]
)
def test_under_the_interpreter(chosen: str) -> None:
    pytest.importorskip("triton")
    pytest.importorskip("numpy")
    ours = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", chosen, FOLDER],
        cwd=FOLDER.parents[2],
        env=ours | {"TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


class Problem:
    """Weights, states, frames and the weights of a loss, in float64 on the CPU."""

    def __init__(self, cell, T, B, D, N, *, ragged=True, bias=True, scale=0.5) -> None:
        torch.manual_seed(0)

        def draw(*shape: int) -> torch.Tensor:
            return torch.randn(shape, dtype=torch.float64)

        rows = len(BLOCKS[cell.kind]) * N
        self.cell, self.lengths = cell, None
        self.x = draw(T, B, D)
        if ragged:
            self.lengths = (2 * torch.arange(B) + 1) % T + 1  # 2, 1, 3 where T is 3
            self.x[torch.arange(T)[:, None] >= self.lengths] = 0
        biases = (draw(rows), draw(rows) if cell.reset_after else None) if bias else (None, None)
        gate = (draw(D, D), draw(D, N), draw(D) if bias else None) if cell.gate else ()
        weights = (draw(rows, D), draw(rows, N), *biases, *gate)
        self.weights = [None if w is None else w * scale for w in weights]
        self.state = [draw(B, N) for _ in range(2 if cell.kind == "lstm" else 1)]
        self.factors: list[torch.Tensor] = []

    def results(self, run, device="cpu", dtype=torch.float64, *, reverse=False, autocast=None):
        """Outputs, states, attention, and the gradients of all of them by all that goes in."""

        def leaf(t: torch.Tensor) -> torch.Tensor:
            return t.to(device, dtype).requires_grad_()

        x, state = leaf(self.x.clone()), tuple(leaf(s.clone()) for s in self.state)
        own = Weights(*(None if w is None else leaf(w.clone()) for w in self.weights))
        with torch.autocast(device, autocast) if autocast else nullcontext():
            output, final, attention = run(
                self.cell, own, x, self.lengths, state, reverse=reverse, return_attention=True
            )
        assert (attention is None) == (self.cell.gate is None)
        out = [output, *final, *([] if attention is None else [attention])]
        if not self.factors:
            self.factors = [torch.randn_like(t) for t in out]
        pairs = zip(out, self.factors, strict=True)
        loss = sum((t * f.to(device, dtype)).sum() for t, f in pairs)
        leaves = [x, *state, *(w for w in own if w is not None)]
        every = out + list(torch.autograd.grad(loss, leaves))
        return [t.detach().to("cpu", torch.float64) for t in every]


def assert_agree(ours, theirs, tolerance: float) -> None:
    """Every tensor to ``tolerance`` times the largest number that stands in it (or 1)."""
    for own, other in zip(ours, theirs, strict=True):
        scale = max(1.0, float(other.abs().max()))
        torch.testing.assert_close(own, other, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("cell", CELLS, ids=str)
@pytest.mark.parametrize(("reverse", "ragged", "bias"), WAYS)
@pytest.mark.few(3)
def test_everything_agrees_with_the_equations(device, cell, reverse, ragged, bias) -> None:
    problem = Problem(cell, 3, 3, 5, 3, ragged=ragged, bias=bias)
    expected = problem.results(equations.run, reverse=reverse)
    ours = problem.results(triton_scan.run, device, torch.float32, reverse=reverse)
    assert_agree(ours, expected, 2e-6)


@pytest.mark.parametrize("shift", [-200.0, pytest.param(200.0, marks=pytest.mark.slow)])
@pytest.mark.parametrize("cell", [c for c in CELLS if c.gate == "softmax"], ids=str)
@pytest.mark.few(1)
def test_softmax_does_not_depend_on_a_shift_of_its_scores(device, cell, shift) -> None:
    """Widths are filled up to a multiple of 16, and e^200 is no float32."""
    problem = Problem(cell, 3, 3, 5, 3)
    expected = problem.results(equations.run)
    bias_a = Weights._fields.index("bias_a")
    problem.weights[bias_a] = problem.weights[bias_a] + shift
    ours = problem.results(triton_scan.run, device, torch.float32)
    assert_agree(ours, expected, 1e-4)


@pytest.mark.parametrize("cell", [c for c in CELLS if c.gate], ids=str)
@pytest.mark.parametrize(
    "size",
    [(3, 270, 140), (20, 1, 33), pytest.param((37, 70, 80), marks=pytest.mark.slow)],
    ids=str,
)
@pytest.mark.few(1)
def test_several_tiles_and_blocks_of_columns(device, cell, size) -> None:
    B, D, N = size
    problem = Problem(cell, 3, B, D, N, scale=0.1)
    expected = problem.results(equations.run, reverse=True)
    assert_agree(
        problem.results(triton_scan.run, device, torch.float32, reverse=True), expected, 1e-5
    )


@pytest.mark.parametrize("cell", [c for c in CELLS if c.gate != "softmax"], ids=str)
@pytest.mark.few(1)
def test_products_in_half_precision_under_autocast(device, cell) -> None:
    """Near the equations, and not as near as float32."""
    problem = Problem(cell, 5, 18, 20, 14, scale=0.2)
    expected = problem.results(equations.run)
    ours = problem.results(triton_scan.run, device, torch.float32, autocast=torch.float16)
    assert_agree(ours, expected, 3e-3)
    assert (ours[0] - expected[0]).abs().max() > 1e-5


def test_sequences_in_any_memory_layout(device) -> None:
    problem = Problem(Cell("gru", "sigmoid"), 2, 5, 6, 3)
    expected = problem.results(equations.run)
    problem.x = problem.x.transpose(0, 1).contiguous().transpose(0, 1)
    assert_agree(problem.results(triton_scan.run, device, torch.float32), expected, 2e-6)
    problem.x = problem.x.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    assert_agree(problem.results(triton_scan.run, device, torch.float32), expected, 2e-6)


@pytest.mark.parametrize("block", [16, 128])
@pytest.mark.few(1)
def test_blocks_of_any_length_give_the_same_numbers(device, block) -> None:
    problem = Problem(Cell("gru", "sigmoid"), 2, 3, 40, 20, scale=0.1)
    expected = problem.results(scan.run)
    run = functools.partial(triton_scan.run, tiles={"BLOCK_K": block})
    assert_agree(problem.results(run, device, torch.float32), expected, 1e-5)


def layer(cell: Cell, device: str, T: int = 3, dtype=torch.float32):
    """A call of the backend, ready: (arguments, keywords), its weights leaves."""
    problem = Problem(cell, T, 4, 6, 5, ragged=False)
    weights = [None if w is None else w.to(device, dtype) for w in problem.weights]
    weights = Weights(*(None if w is None else w.requires_grad_() for w in weights))
    state = tuple(s.to(device, dtype) for s in problem.state)
    arguments = (cell, weights, problem.x.to(device, dtype), None, state)
    return arguments, {"reverse": False, "return_attention": False}


@pytest.mark.parametrize("kind", BY_HAND)
@pytest.mark.few(1)
def test_forward_keeps_input_and_states_alone(device, kind) -> None:
    """Per frame: x (D), h (N) and for an LSTM c (N)."""

    def kept(T: int) -> int:
        arguments, keywords = layer(Cell(kind, "sigmoid"), device, T)
        numbers: dict[int, int] = {}

        def pack(t: torch.Tensor) -> torch.Tensor:
            numbers[t.data_ptr()] = t.numel()
            return t

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            triton_scan.run(*arguments, **keywords)
        return sum(numbers.values())

    frame = 6 + 5 * (2 if kind == "lstm" else 1)
    assert kept(4) - kept(2) == 2 * 4 * frame


def test_frozen_tensors_get_no_gradient_and_the_others_the_same(device) -> None:
    arguments, keywords = layer(Cell("gru", "sigmoid"), device)
    weights, x = arguments[1], arguments[2]
    x.requires_grad_()
    everything = torch.autograd.grad(
        triton_scan.run(*arguments, **keywords)[0].sum(), [x, *weights[:3]]
    )
    x.requires_grad_(False)
    weights.weight_hh.requires_grad_(False)
    some = torch.autograd.grad(
        triton_scan.run(*arguments, **keywords)[0].sum(), [weights.weight_ih, weights.bias]
    )
    assert torch.equal(some[0], everything[1])
    assert torch.equal(some[1], everything[3])


@pytest.mark.parametrize("cell", [Cell("lstm"), Cell("gru", "sigmoid")], ids=str)
def test_gradients_of_the_final_state_alone(device, cell) -> None:
    """As of a classifier on it: the outputs, and what else is given back, have no gradient."""
    arguments, keywords = layer(cell, device)
    weights = [w for w in arguments[1] if w is not None]
    for index in range(len(arguments[4])):
        ours, theirs = (
            torch.autograd.grad(run(*arguments, **keywords)[1][index].square().sum(), weights)
            for run in (triton_scan.run, equations.run)
        )
        assert_agree(ours, theirs, 2e-6)


def test_results_that_no_backward_needs_may_be_changed_in_place(device) -> None:
    arguments, keywords = layer(Cell("lstm", "sigmoid"), device)
    scale = torch.ones(1, device=device, requires_grad=True)
    with torch.no_grad():
        output, state, attention = triton_scan.run(
            *arguments, **keywords | {"return_attention": True}
        )
    for result in (output, *state, attention):
        assert result.mul_(scale).requires_grad


def test_without_gradients_the_results_are_the_same(device) -> None:
    arguments, keywords = layer(Cell("lstm", "sigmoid"), device)
    expected = triton_scan.run(*arguments, **keywords | {"return_attention": True})
    with torch.inference_mode():
        output, final, attention = triton_scan.run(
            *arguments, **keywords | {"return_attention": True}
        )
        assert triton_scan.run(*arguments, **keywords)[2] is None
    assert torch.equal(output, expected[0])
    assert torch.equal(final[1], expected[1][1])
    assert torch.equal(attention, expected[2])


def test_a_second_derivative_is_refused(device) -> None:
    arguments, keywords = layer(Cell("gru", "sigmoid"), device)
    output = triton_scan.run(*arguments, **keywords)[0]
    (first,) = torch.autograd.grad(output.square().sum(), arguments[1].weight_hh, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        first.sum().backward()


def test_other_dtypes_and_empty_batches_run_on_scan(device) -> None:
    (cell, weights, x, lengths, state), keywords = layer(
        Cell("gru", "sigmoid"), device, dtype=torch.float64
    )
    assert not triton_scan.runs_in_triton(x, weights)
    ours = triton_scan.run(cell, weights, x, lengths, state, **keywords)[0]
    assert torch.equal(ours, scan.run(cell, weights, x, lengths, state, **keywords)[0])
    (cell, weights, x, lengths, state), keywords = layer(Cell("gru", "sigmoid"), device)
    assert triton_scan.runs_in_triton(x, weights)
    empty = (cell, weights, x[:, :0], lengths, (state[0][:0],))
    assert triton_scan.run(*empty, **keywords)[0].shape == (3, 0, 5)


@pytest.mark.parametrize("gate", [None, "sigmoid"])
def test_layers_whose_weights_would_be_streamed_for_too_long_run_on_scan(
    device, monkeypatch, gate: str | None
) -> None:
    (cell, weights, x, lengths, state), keywords = layer(Cell("gru", gate), device)
    size = weights.weight_hh.numel()
    if gate is not None:
        size += weights.weight_ih.numel() + weights.weight_ha.numel()
    monkeypatch.setattr(triton_scan, "MOST_STREAMED", size)
    assert triton_scan.runs_in_triton(x, weights)
    monkeypatch.setattr(triton_scan, "MOST_STREAMED", size - 1)
    assert not triton_scan.runs_in_triton(x, weights)
    ours = triton_scan.run(cell, weights, x, lengths, state, **keywords)[0]
    assert torch.equal(ours, scan.run(cell, weights, x, lengths, state, **keywords)[0])


@only_interpreted
def test_the_interpreter_refuses_what_it_gets_wrong() -> None:
    arguments, keywords = layer(Cell("gru", "sigmoid"), "cpu")
    with (
        torch.autocast("cpu", torch.bfloat16),
        pytest.raises(RuntimeError, match=r"bfloat16 wrongly: use .*float16"),
    ):
        triton_scan.run(*arguments, **keywords)


@pytest.mark.skipif(INTERPRETED, reason="needs no GPU there")
def test_without_a_gpu_it_says_what_to_do() -> None:
    pytest.importorskip("triton")
    arguments, keywords = layer(Cell("gru"), "cpu")
    with pytest.raises(RuntimeError, match=r"needs a GPU, but the layer is on cpu: .*'auto'"):
        triton_scan.run(*arguments, **keywords)


def test_without_triton_it_says_what_to_install(monkeypatch) -> None:
    monkeypatch.delitem(sys.modules, "eleatt_bench.nn.triton.kernels", raising=False)
    monkeypatch.setitem(sys.modules, "triton", None)
    arguments, keywords = layer(Cell("gru"), "cpu")
    with pytest.raises(RuntimeError, match=r"not installed: pip install 'eleatt-bench\[triton\]'"):
        triton_scan.run(*arguments, **keywords)


@pytest.mark.gpu
@pytest.mark.parametrize("size", [(150, 100), (60, 100), (1, 128), (512, 512)], ids=str)
@pytest.mark.parametrize("precision", ["ieee", "tf32", torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("cell", [c for c in CELLS if c.gate != "softmax"], ids=str)
def test_real_sizes(size, precision, cell) -> None:
    """Both sizes of tiles against `scan` in float64 on the same device."""
    D, N = size
    half = isinstance(precision, torch.dtype)
    if not half:
        torch.backends.cudnn.rnn.fp32_precision = precision
    tolerance = {"ieee": 2e-5, "tf32": 1e-2, torch.bfloat16: 5e-2, torch.float16: 1e-2}[precision]
    for B in (70, 16 * torch.cuda.get_device_properties(0).multi_processor_count + 5):
        problem = Problem(cell, 40, B, D, N, scale=0.5 * (D + N) ** -0.5)
        expected = problem.results(scan.run, "cuda", reverse=True)
        autocast = precision if half else None
        ours = problem.results(
            triton_scan.run, "cuda", torch.float32, reverse=True, autocast=autocast
        )
        assert_agree(ours, expected, tolerance)


@pytest.mark.gpu
def test_arrays_of_more_numbers_than_31_bits_count() -> None:
    """The last sequences of a huge batch as if they were alone: outputs and their gradient."""
    T, B, D, N, last = 32, 2**20 + 64, 64, 16, 64
    if torch.cuda.mem_get_info()[0] < 110 * 2**30:
        pytest.skip("needs 110 GiB of free device memory")
    problem = Problem(Cell("gru", "sigmoid"), 1, 1, D, N, scale=0.1)
    weights = Weights(*(None if w is None else w.float().cuda() for w in problem.weights))
    x = torch.randn(T, B, D, device="cuda", requires_grad=True)
    assert x.numel() > 2**31

    def results(x: torch.Tensor) -> list[torch.Tensor]:
        state = (x.new_zeros(x.shape[1], N),)
        output, _, _ = triton_scan.run(
            problem.cell, weights, x, None, state, reverse=False, return_attention=False
        )
        (gradient,) = torch.autograd.grad(output.sum(), x)
        return [output[:, -last:].detach().cpu(), gradient[:, -last:].cpu()]

    alone = x[:, -last:].detach().clone().requires_grad_()
    assert_agree(results(x), results(alone), 1e-5)
