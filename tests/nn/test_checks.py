"""Every complaint of the constructors."""

from __future__ import annotations

import linecache
import warnings

import pytest
import torch

from eleatt_bench.nn.checks import checked_gated_layers
from eleatt_bench.nn.layers import EleAttGRU, EleAttLSTM, EleAttRNN

CELLS = [EleAttRNN, EleAttLSTM, EleAttGRU]


@pytest.mark.parametrize("layer", CELLS)
@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((4.0, 3), {}, TypeError, r"input_size must be an int, got 4.0 \(float\)"),
        ((4, True), {}, TypeError, r"hidden_size must be an int, got True \(bool\)"),
        ((0, 3), {}, ValueError, "input_size must be at least 1, got 0"),
        ((4, -3), {}, ValueError, "hidden_size must be at least 1, got -3"),
        ((4, 3, 0), {}, ValueError, "num_layers must be at least 1, got 0"),
        ((4, 3, 2), {"dropout": 1.5}, ValueError, "dropout must be a probability, 0 to 1, got 1.5"),
        ((4, 3, 2), {"dropout": float("nan")}, ValueError, "dropout must be a probability"),
        ((4, 3, 2), {"dropout": True}, TypeError, r"dropout must be a number, got True \(bool\)"),
        ((4, 3, 2), {"dropout": torch.zeros(2)}, TypeError, r"got a Tensor of shape \(2,\)"),
        ((4, 3, 1, "relu"), {}, TypeError, r"bias must be True or False, got 'relu' \(str\)"),
        ((4, 3), {"batch_first": 1}, TypeError, "batch_first must be True or False, got 1"),
        ((4, 3), {"bidirectional": [0]}, TypeError, "bidirectional must .*, got a list of 1"),
        ((4, 3), {"gate": "relu"}, ValueError, "'relu', choose from: sigmoid, softmax, None"),
        (
            (4, 3, 2),
            {"gate": None, "gated_layers": [1]},
            ValueError,
            r"gated_layers=\[1\] needs a gate, but",
        ),
        (
            (4, 3, 2),
            {"gated_layers": [0, 2]},
            ValueError,
            r"gated_layers must lie in 0 to 1 \(num_layers=2\), got 2",
        ),
        (
            (4, 3, 2),
            {"gated_layers": [-1]},
            ValueError,
            r"gated_layers must lie in 0 to 1 \(num_layers=2\), got -1",
        ),
        (
            (4, 3, 2),
            {"gated_layers": [0.0]},
            TypeError,
            r"gated_layers must hold ints, got 0.0 \(float\)",
        ),
        (
            (4, 3, 2),
            {"gated_layers": torch.tensor([0, 1])},
            TypeError,
            r"gated_layers must hold ints, got a Tensor of shape \(\)",
        ),
        ((4, 3, 2), {"gated_layers": 0}, TypeError, r"gated_layers must hold ints, got 0 \(int\)"),
        (
            (4, 3, 2),
            {"gate": None, "gated_layers": torch.tensor([0, 1])},
            TypeError,
            "gated_layers must hold ints, got a Tensor",
        ),
        ((4, 3), {"dtype": torch.int64}, TypeError, "dtype must be one of torch.float32, .*int64"),
        ((4, 3), {"dtype": torch.complex64}, TypeError, "dtype must be .*, got torch.complex64"),
        ((4, 3), {"dtype": torch.float8_e4m3fn}, TypeError, "dtype must be .*float8_e4m3fn"),
        ((4, 3), {"dtype": "float32"}, TypeError, "dtype must be .*, got 'float32'"),
        ((4, 3), {"backend": "abacus"}, ValueError, "unknown backend 'abacus', choose from: auto"),
    ],
)
def test_every_wrong_option_is_named(layer, arguments, options, error, message):
    with pytest.raises(error, match=message):
        layer(*arguments, **options)


@pytest.mark.parametrize("layer", CELLS)
def test_dropout_that_does_nothing_is_worth_a_warning_at_the_callers_line(layer):
    with pytest.warns(UserWarning, match="dropout=0.5 does nothing with num_layers=1") as seen:
        layer(4, 3, dropout=0.5)
    ((name, line),) = [(warning.filename, warning.lineno) for warning in seen]
    assert name == __file__
    assert linecache.getline(name, line).strip() == "layer(4, 3, dropout=0.5)"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer(4, 3, 2, dropout=0.5)


@pytest.mark.parametrize("layer", [EleAttRNN, EleAttLSTM])
def test_reset_after_is_for_the_gru(layer):
    with pytest.raises(TypeError, match="reset_after"):
        layer(4, 3, reset_after=True)


@pytest.mark.parametrize(
    ("gate", "given", "expected"),
    [
        ("sigmoid", None, (0, 1, 2)),
        ("softmax", [2, 0, 2], (0, 2)),
        ("sigmoid", [], ()),
        (None, None, ()),
        (None, [], ()),
    ],
)
def test_gated_layers(gate, given, expected):
    assert checked_gated_layers(gate, given, 3) == expected
    layer = EleAttGRU(4, 3, 3, gate=gate, gated_layers=given)
    gated = [k for k in range(3) if getattr(layer, f"weight_ia_l{k}") is not None]
    assert tuple(gated) == expected


@pytest.mark.parametrize("given", [range(0, 3, 2), iter([2, 0]), map(int, "02"), {0, 2}])
def test_the_gated_layers_may_be_anything_that_can_be_gone_through(given):
    assert checked_gated_layers("sigmoid", given, 3) == (0, 2)
    with pytest.raises(ValueError, match=r"gated_layers=\[2\] needs a gate, but gate is None"):
        checked_gated_layers(None, filter(None, [0, 2]), 3)
