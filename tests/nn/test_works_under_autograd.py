"""The layers in what autograd offers: its modes, graphs used twice, hooks, second derivatives."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

pytestmark = pytest.mark.usefixtures("backend")

KINDS = ("rnn", "lstm", "gru", "gru after")
every_kind = pytest.mark.parametrize("kind", KINDS)
T, B, D = 6, 3, 4
LENGTHS = [6, 2, 4]


def assert_equal(own, expected):
    assert len(own) == len(expected)
    assert all(map(torch.equal, own, expected))


def assert_close(own, expected):
    torch.testing.assert_close(list(own), list(expected), rtol=1e-10, atol=1e-10)


def saved(function):
    """How many tensors autograd keeps of a call."""
    kept = []
    with saved_tensors_hooks(lambda tensor: kept.append(tensor.shape), lambda tensor: tensor):
        function()
    return len(kept)


class TestWithoutGradients:
    @every_kind
    @pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
    def test_nothing_is_kept_and_the_results_are_the_same(self, make, flat, x, kind, mode):
        layer, options = make(kind), {"lengths": LENGTHS, "return_attention": True}
        expected = flat(layer(x, **options))
        assert saved(lambda: layer(x, **options)) > 0
        with mode():
            assert saved(lambda: layer(x, **options)) == 0
            own = flat(layer(x, **options))
        assert not any(tensor.requires_grad for tensor in own)
        assert_equal(own, expected)

    @every_kind
    def test_nothing_is_kept_of_a_frozen_layer(self, make, x, kind):
        layer = make(kind).requires_grad_(False)
        assert saved(lambda: layer(x.detach())) == 0
        assert not layer(x.detach())[0].requires_grad

    @every_kind
    def test_tensors_made_in_inference_mode(self, make, flat, x, kind):
        """They may go in; only backward cannot keep them, and torch says so."""
        layer = make(kind)
        expected = flat(layer(x, lengths=LENGTHS))
        with torch.inference_mode():
            inference = x.clone()
        with torch.no_grad():
            assert_equal(flat(layer(inference, lengths=LENGTHS)), expected)
        with pytest.raises(RuntimeError, match="Inference tensors cannot be saved for backward"):
            layer(inference)
        assert_close(flat(layer(inference.clone(), lengths=LENGTHS)), expected)


MEASURE = """
import re, sys
from pathlib import Path
import torch
from eleatt_bench import EleAttGRU

def growth(function):
    Path("/proc/self/clear_refs").write_text("5")  # begin a new peak
    before = int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
    function()
    peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
    return (peak - before) / 1024  # MiB

torch.set_num_threads(1)
layer = EleAttGRU(64, 128, backend=sys.argv[1])
layer(torch.randn(2, 2, 64))[0].sum().backward()
x = torch.randn(400, 64, 64)
print(growth(torch.no_grad()(lambda: layer(x))), growth(lambda: layer(x)))
"""


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="Linux measures peaks")
@pytest.mark.parametrize(
    "backend", ["native", *(pytest.param(b, marks=pytest.mark.slow) for b in ("equations", "scan"))]
)
@pytest.mark.slow
def test_memory_without_gradients_is_that_of_the_results(backend):
    """12.5 MiB of outputs (as much again where they are stacked) and 6.25 of input, projected.

    With gradients 37.5 MiB of gates are kept besides.
    """
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, backend], capture_output=True, text=True, check=True
    )
    without, with_gradients = map(float, done.stdout.split())
    assert 10 < without < 40
    assert with_gradients > without + 30


class TestGraphs:
    @every_kind
    def test_backward_twice_through_one_graph(self, make, flat, x, kind):
        layer = make(kind)
        total = sum(t.square().sum() for t in flat(layer(x, lengths=LENGTHS)))
        first = torch.autograd.grad(total, [x, *layer.parameters()], retain_graph=True)
        assert_equal(torch.autograd.grad(total, [x, *layer.parameters()]), first)
        with pytest.raises(RuntimeError, match="second time"):
            total.backward()

    @every_kind
    def test_one_layer_twice_in_one_graph(self, make, x, kind):
        layer, other = make(kind), make(kind)
        y = torch.randn_like(x)
        for first, second in ((layer, layer), (layer, other)):
            layer.zero_grad()
            other.zero_grad()
            (first(x)[0].sum() + second(y)[0].square().sum()).backward()
            if second is layer:
                shared = [p.grad.clone() for p in layer.parameters()]
        assert_close(
            shared,
            [p.grad + q.grad for p, q in zip(layer.parameters(), other.parameters(), strict=True)],
        )

    def test_two_layers_with_one_set_of_parameters(self, make, x):
        layer = make("gru")
        other = make("gru")
        for name, parameter in layer.named_parameters():
            setattr(other, name, parameter)
        expected = torch.autograd.grad(2 * layer(x)[0].sum(), list(layer.parameters()))
        shared = torch.autograd.grad(
            layer(x)[0].sum() + other(x)[0].sum(), list(layer.parameters())
        )
        assert_close(shared, expected)

    def test_in_several_threads_at_once(self, make, gradients):
        layer = make("gru after")
        inputs = [torch.randn(T, B, D, dtype=torch.float64, requires_grad=True) for _ in range(4)]
        expected = [gradients(layer, x) for x in inputs]
        found = [[] for _ in inputs]

        def work(n):
            for _ in range(5):
                found[n].append(gradients(layer, inputs[n]))

        threads = [threading.Thread(target=work, args=(n,)) for n in range(len(inputs))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for own, once in zip(found, expected, strict=True):
            assert len(own) == 5
            for again in own:
                assert_equal(again, once)

    @every_kind
    @pytest.mark.few(4)
    def test_anomaly_mode(self, make, gradients, x, kind):
        layer = make(kind)
        expected = gradients(layer, x)
        with pytest.warns(UserWarning, match="Anomaly Detection"):
            mode = torch.autograd.detect_anomaly()
        with mode:
            assert_equal(gradients(layer, x), expected)
            with pytest.raises(RuntimeError, match="returned nan values"):
                gradients(layer, torch.full_like(x, torch.nan).requires_grad_())


class TestSecondDerivatives:
    def test_the_equations_have_them(self, backend, make):
        if backend != "equations":
            pytest.skip("the only backend that has them")
        for kind in KINDS:
            layer = make(kind, num_layers=1, bidirectional=False)
            x = torch.randn(2, 2, D, dtype=torch.float64, requires_grad=True)
            assert torch.autograd.gradgradcheck(
                lambda x, layer=layer: layer(x, lengths=[2, 1])[0], x
            )

    @pytest.mark.parametrize("loss", ["square", "sum"])
    def test_the_others_refuse(self, backend, make, x, loss):
        if backend == "equations":
            pytest.skip("it has them")
        output = make("gru")(x)[0]
        total = output.square().sum() if loss == "square" else output.sum()
        (first,) = torch.autograd.grad(total, x, create_graph=True)
        with pytest.raises(RuntimeError, match="differentiate twice"):
            (first.square().sum() + x.sum()).backward()


class TestHooks:
    def test_of_the_module(self, make, x):
        layer, calls = make("gru"), []
        expected = torch.autograd.grad(2 * layer(2 * x)[0].sum(), x)
        layer.register_forward_pre_hook(lambda module, args: (2 * args[0],))
        layer.register_forward_hook(lambda module, args, result: (2 * result[0], *result[1:]))
        layer.register_full_backward_hook(lambda module, given, got: calls.append((given, got)))
        assert_close(torch.autograd.grad(layer(x)[0].sum(), x), expected)
        (((d_input,), (d_output, _)),) = calls
        assert d_input.shape == x.shape
        assert d_output.shape == (T, B, 6)

    def test_of_tensors_and_parameters(self, make, x):
        layer, seen = make("gru"), []
        output, _ = layer(x)
        expected = torch.autograd.grad(2 * output.sum(), x, retain_graph=True)
        output.register_hook(lambda gradient: 2 * gradient)
        layer.weight_ha_l0.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.clone()))
        output.sum().backward()
        assert_close([x.grad], expected)
        assert torch.equal(seen[0], layer.weight_ha_l0.grad)


class TestViews:
    """Whatever the memory looks like, the numbers are those of a contiguous copy."""

    @every_kind
    @pytest.mark.few(4)
    def test_of_the_input(self, make, gradients, kind):
        layer = make(kind)
        source = torch.randn(T, B, 2 * D, 2, dtype=torch.float64)
        views = {
            "strided": source[:, :, ::2, 0],
            "transposed": source[..., :D, 0].transpose(0, 1).contiguous().transpose(0, 1),
            "backwards in memory": source.flip(0)[:, :, D:, 1],
            "one frame": source[:1, :, :D, 0].expand(T, B, D),
            "one sequence": source[:, :1, :D, 0].expand(T, B, D),
            "one number": source[:1, :1, :1, 0].expand(T, B, D),
        }
        for name, view in views.items():
            assert name == "backwards in memory" or not view.is_contiguous()
            own = gradients(layer, view.detach().requires_grad_())
            expected = gradients(layer, view.detach().contiguous().requires_grad_())
            assert_close(own, expected)

    @every_kind
    def test_of_the_state_and_of_the_gradient_that_comes_back(self, make, x, kind):
        layer = make(kind)
        state = torch.randn(4, 1, 3, dtype=torch.float64).expand(4, B, 3)
        results = []
        for h in (state, state.contiguous()):
            output, _ = layer(x, (h, h) if kind == "lstm" else h)
            results.append(torch.autograd.grad(output.square().sum(), x))
        assert_close(*results)
        ones = torch.ones(1, dtype=torch.float64)
        own = torch.autograd.grad(layer(x)[0], x, ones.expand(T, B, 6))
        assert_close(own, torch.autograd.grad(layer(x)[0], x, ones.repeat(T, B, 6)))
