"""The words for ``backend=``."""

from __future__ import annotations

import pytest
import torch

from eleatt_bench import EleAttGRU
from eleatt_bench.nn.backends import BACKENDS, check_backend, resolve_backend


def test_auto_resolves_to_a_name_a_record_can_keep():
    name = resolve_backend("auto", "cpu")
    assert name != "auto"
    assert name in BACKENDS
    assert resolve_backend(name, "cpu") == name


def test_equations_are_the_loop_on_every_device():
    assert resolve_backend("equations", "cpu") == "equations"
    assert resolve_backend("equations", "cuda:0") == "equations"


def test_auto_is_what_was_measured_to_be_the_fastest():
    assert resolve_backend("auto", "cpu") == "native"
    assert resolve_backend("auto", "cpu", torch.float64) == "native"
    assert resolve_backend("auto", "cpu", torch.bfloat16) == "scan"
    assert resolve_backend("auto", "cuda:0") == "scan"
    assert resolve_backend("auto", "meta") == "equations"


def test_what_is_too_large_for_the_kernels_is_said_to_be_scans():
    def ran(backend: str, *sizes: int, dtype: torch.dtype = torch.float32) -> str:
        layer = EleAttGRU(*sizes, num_layers=2, backend=backend, device="meta", dtype=dtype)
        return layer.backend_on(torch.device("cuda:0"))

    assert ran("triton", 60, 100) == "triton"
    assert ran("triton", 2048, 512) == "scan"
    assert ran("triton", 2048, 100) == "triton, scan"
    assert ran("triton", 60, 100, dtype=torch.float64) == "scan"
    assert ran("auto", 2048, 512) == "scan"
    assert ran("equations", 2048, 512) == "equations"


def test_auto_honours_the_precision_that_autocast_asks_for():
    with torch.autocast("cpu", torch.bfloat16):
        assert resolve_backend("auto", "cpu") == "equations"
        assert resolve_backend("scan", "cpu") == "scan"


def test_every_word_passes_the_check():
    for name in BACKENDS:
        check_backend(name)


@pytest.mark.parametrize("function", [check_backend, lambda name: resolve_backend(name, "cpu")])
def test_an_unknown_word_is_told_the_choices(function):
    with pytest.raises(ValueError, match="unknown backend 'abacus', choose from: auto, equations"):
        function("abacus")


def test_a_string_that_names_no_device():
    with pytest.raises(RuntimeError, match="abacus"):
        resolve_backend("auto", "abacus")


def test_auto_works_under_the_transforms_of_torch_func():
    """Gradients per sample, as for differential privacy."""
    layer = EleAttGRU(3, 2, batch_first=True, dtype=torch.float64)
    parameters, x = dict(layer.named_parameters()), torch.randn(4, 5, 3, dtype=torch.float64)

    def loss(parameters, sequence):
        return torch.func.functional_call(layer, parameters, sequence[None])[0].sin().sum()

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, x)
    layer(x)[0].sin().sum().backward()
    for name, parameter in parameters.items():
        torch.testing.assert_close(each[name].sum(0), parameter.grad)
