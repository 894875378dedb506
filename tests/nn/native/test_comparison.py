"""A library that loads but does not compute is not used."""

from __future__ import annotations

import logging
import time

import pytest
import torch

from eleatt_bench import EleAttGRU
from eleatt_bench.cli import doctor
from eleatt_bench.nn import backends, native
from eleatt_bench.nn.contract import BackendError
from eleatt_bench.nn.native import comparison
from eleatt_bench.nn.native.comparison import difference


@pytest.fixture
def afresh():
    """As in a new process, before and after."""
    for found in (native.why_not, backends._native_works):
        found.cache_clear()
    yield
    for found in (native.why_not, backends._native_works):
        found.cache_clear()


@pytest.fixture(params=["h_n", "d_weight_ha", "d_x"])
def broken(request, monkeypatch, afresh) -> str:
    """The library gets one number of one array wrong, of a softmax-gated LSTM in float64."""
    call = native._call

    def wrong(function, task, arrays):
        call(function, task, arrays)
        cell = task.cell
        if request.param in arrays and cell.kind == "lstm" and cell.gate == "softmax":
            arrays[request.param].view(-1)[-1] += 1e-6

    monkeypatch.setattr(native, "_call", wrong)
    return request.param


def test_a_wrong_number_is_found_and_said(broken, caplog):
    layer, x = EleAttGRU(3, 2), torch.ones(4, 2, 3)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert backends.resolve_backend("auto", "cpu") == "scan"
            layer(x)[0].sum().backward()
    (said,) = caplog.messages
    assert said.startswith("layers run on the slower backend 'scan': ")
    assert "does not compute what 'scan' does, as in Cell(kind='lstm', gate='softmax'" in said
    layer.backend = "native"
    with pytest.raises(BackendError, match="does not compute what 'scan' does"):
        layer(x)


def test_the_doctor_says_what_layers_do(broken):
    said = doctor._cpu_layers(build=True)
    assert said.startswith("layers run on: scan, because native cannot be had (")
    assert "does not compute what 'scan' does" in said


def test_no_number_at_all_is_wrong_too(monkeypatch):
    def nan(*args, **options):
        output, state, attention = native._run(*args, **options)
        return output * torch.nan, state, attention

    assert difference(native._run, native._KINDS) is None
    assert difference(nan, native._KINDS) is not None


def test_nothing_of_the_caller_reaches_it(afresh):
    """Whatever it is in the middle of, and its random numbers stay where they are."""
    state = torch.get_rng_state()
    hooks = torch.autograd.graph.saved_tensors_hooks(lambda _: pytest.fail("kept"), lambda t: t)
    with torch.inference_mode(), torch.device("meta"), torch.autocast("cpu"), hooks:
        assert native.why_not() is None
    assert torch.equal(torch.get_rng_state(), state)


def test_it_takes_no_time():
    """Some 40 ms of the processor, the least of several; room for one that is shared."""
    taken = []
    for _ in range(5):
        start = time.process_time()
        difference(native._run, native._KINDS)
        taken.append(time.process_time() - start)
    assert min(taken) < 0.2


def test_it_reaches_whole_vectors():
    """The widest hold sixteen numbers of float32, and there is a rest in both dtypes."""
    for size in (comparison._D, comparison._N):
        assert size > 16
        assert size % 8
