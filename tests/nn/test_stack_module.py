"""What `Stack` says: complaints about states and weights, and its repr."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.func import functional_call

from eleatt_bench.nn.convert import to_torch
from eleatt_bench.nn.layers import EleAttGRU, EleAttLSTM, EleAttRNN

pytestmark = pytest.mark.usefixtures("backend")

CELLS = {"rnn": EleAttRNN, "lstm": EleAttLSTM, "gru": EleAttGRU}
D, N = 4, 3


@pytest.mark.parametrize(
    ("kind", "hx", "error", "message"),
    [
        (
            "gru",
            torch.zeros(3, 2, N),
            ValueError,
            r"h_0 must have shape \(4, 2, 3\), got \(3, 2, 3\)",
        ),
        ("gru", torch.zeros(4, N), ValueError, r"h_0 must have shape \(4, 2, 3\), got \(4, 3\)"),
        (
            "gru",
            (torch.zeros(4, 2, N),) * 2,
            TypeError,
            "hx must be the tensor h_0, got a tuple of 2",
        ),
        ("rnn", [0.0], TypeError, "hx must be the tensor h_0, got a list of 1"),
        ("rnn", 0.0, TypeError, "h_0 must be a Tensor, got float"),
        ("rnn", torch.zeros(4, 2, N).to_sparse(), TypeError, "h_0 must be dense, got .*sparse_coo"),
        (
            "rnn",
            torch.zeros(4, 2, N).double(),
            TypeError,
            "h_0 must be torch.float32 .* got torch.float64",
        ),
        (
            "lstm",
            torch.zeros(4, 2, N),
            TypeError,
            r"the pair \(h_0, c_0\), got a Tensor of shape \(4, 2, 3\)",
        ),
        (
            "lstm",
            (torch.zeros(4, 2, N),),
            TypeError,
            r"hx must be the pair \(h_0, c_0\), got a tuple of 1",
        ),
        ("lstm", [torch.zeros(4, 2, N)], TypeError, r"\(h_0, c_0\), got a list of 1$"),
        (
            "lstm",
            (torch.zeros(4, 2, N), torch.zeros(4, 1, N)),
            ValueError,
            r"c_0 must have shape \(4, 2, 3\), got \(4, 1, 3\)",
        ),
        (
            "lstm",
            (torch.zeros(4, 2, N), torch.zeros(4, 2, N).half()),
            TypeError,
            "c_0 must be torch.float32 .* got torch.float16",
        ),
    ],
)
def test_a_wrong_state(kind, hx, error, message):
    layer = CELLS[kind](D, N, 2, bidirectional=True)
    with pytest.raises(error, match=message):
        layer(torch.randn(5, 2, D), hx)


def test_a_pair_of_states_may_be_a_list():
    layer, x = EleAttLSTM(D, N), torch.randn(5, 2, D)
    output, state = layer(x)
    assert torch.equal(layer(x, list(state))[0], layer(x, state)[0])
    assert not torch.equal(layer(x, list(state))[0], output)


def test_a_batched_state_for_one_sequence():
    with pytest.raises(ValueError, match=r"h_0 must have shape \(1, 3\), got \(1, 1, 3\)"):
        EleAttGRU(D, N)(torch.randn(5, D), torch.zeros(1, 1, N))


@pytest.mark.parametrize(
    ("parts", "hx"), [("h_0", torch.zeros(1, 2, N, device="meta")), ("input", None)]
)
def test_tensors_on_another_device(parts, hx):
    x = torch.randn(5, 2, D, device="cpu" if hx is not None else "meta")
    with pytest.raises(ValueError, match=f"{parts} must be on cpu like the parameters, got meta"):
        EleAttGRU(D, N)(x, hx)
    with pytest.raises(ValueError, match="input must be on meta like the parameters, got cpu"):
        EleAttGRU(D, N, device="meta")(torch.randn(5, 2, D))


def test_another_dtype_on_the_meta_device(backend):
    if backend != "equations":
        pytest.skip("auto takes the equations there")
    layer, x = EleAttGRU(D, N, device="meta"), torch.randn(5, 2, D, device="meta")
    with pytest.raises(TypeError, match=r"input must be torch.float32 .* got torch.float64"):
        layer(x.double())
    with pytest.raises(TypeError, match=r"weight_hh_l0 must be torch.float32 .* got torch.float64"):
        functional_call(layer, {"weight_hh_l0": layer.weight_hh_l0.double()}, (x,))


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("weight_hh_l1", torch.zeros(9, 2), ValueError, r"have shape \(9, 3\), got \(9, 2\)"),
        ("weight_ia_l1", torch.zeros(4, 4), ValueError, r"have shape \(3, 3\), got \(4, 4\)"),
        ("bias_a_l0", None, ValueError, r"have shape \(4,\), got None"),
        (
            "weight_hh_l0",
            torch.zeros(9, 3).double(),
            TypeError,
            "be torch.float32 like weight_ih_l0, got torch.float64",
        ),
        (
            "weight_hh_l0",
            torch.zeros(9, 3, device="meta"),
            ValueError,
            "be on cpu like weight_ih_l0, got meta",
        ),
    ],
)
def test_what_stands_in_the_place_of_a_parameter_must_fit(name, value, error, message):
    """A compiled backend would read beyond its end."""
    layer = EleAttGRU(D, N, 2)
    with pytest.raises(error, match=f"{name} must {message}"):
        functional_call(layer, {name: value}, (torch.randn(5, 2, D),))


def test_a_parameter_that_the_layer_was_made_without():
    layer = EleAttGRU(D, N, bias=False)
    layer.bias_l0 = torch.nn.Parameter(torch.zeros(9))
    with pytest.raises(ValueError, match=r"bias_l0 must be None, got \(9,\)"):
        layer(torch.randn(5, 2, D))


def test_the_gate_is_looked_up_at_the_call():
    layer, x = EleAttGRU(D, N), torch.randn(5, 2, D)
    layer.gate = "relu"
    with pytest.raises(ValueError, match="unknown gate 'relu', choose from: sigmoid, softmax"):
        layer(x)
    layer.gate = None
    with pytest.raises(ValueError, match=r"weight_ia_l0 must be None, got \(4, 4\)"):
        layer(x)
    layer.gate = "softmax"
    attention = layer(x, return_attention=True)[2][0]
    torch.testing.assert_close(attention.sum(2), torch.ones(5, 2))


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (EleAttGRU(D, N), "EleAttGRU(4, 3, gate='sigmoid')"),
        (
            EleAttRNN(D, N, gate=None, backend="equations"),
            "EleAttRNN(4, 3, gate=None, backend='equations')",
        ),
        (
            EleAttLSTM(D, N, 2, gate="softmax", gated_layers=[1], bias=False),
            "EleAttLSTM(4, 3, num_layers=2, bias=False, gate='softmax', gated_layers=(1,))",
        ),
        (
            EleAttGRU(D, N, 3, batch_first=True, dropout=0.5, bidirectional=True, reset_after=True),
            (
                "EleAttGRU(4, 3, num_layers=3, batch_first=True, dropout=0.5, "
                "bidirectional=True, reset_after=True, gate='sigmoid')"
            ),
        ),
    ],
)
def test_its_repr_tells_what_it_is(layer, text):
    assert repr(layer) == text


def test_the_backend_is_looked_up_at_the_call():
    layer = EleAttGRU(D, N)
    layer.backend = "abacus"
    with pytest.raises(ValueError, match="unknown backend 'abacus'"):
        layer(torch.randn(5, 2, D))


def test_a_shallow_copy_has_a_mode_of_its_own():
    layer, x = EleAttGRU(D, N, 2, dropout=0.5), torch.randn(5, 2, D)
    other = copy.copy(layer).eval()
    assert layer.training
    assert torch.equal(other(x)[0], other(x)[0])
    assert not torch.equal(layer(x)[0], layer(x)[0])


def test_whoever_decides_what_is_dropped_leaves_the_option_as_it_is():
    layer, x = EleAttLSTM(D, N, 2, dropout=0.5, gate=None), torch.randn(5, 2, D)
    layer.drop_by(lambda frames, _: frames)
    assert torch.equal(layer(x)[0], layer(x)[0])
    assert to_torch(layer).dropout == 0.5


@pytest.mark.parametrize(
    ("drop", "error", "message"),
    [
        (lambda frames: frames[:, :1], ValueError, r"have shape \(5, 2, 3\).*got \(5, 1, 3\)"),
        (lambda frames: frames[..., :1], ValueError, r"have shape \(5, 2, 3\).*got \(5, 2, 1\)"),
        (lambda frames: frames.double(), TypeError, "be torch.float32 .*, got torch.float64"),
        (lambda frames: frames.to("meta"), ValueError, "be on cpu .*, got meta"),
        (lambda frames: None, TypeError, "be a Tensor, got NoneType"),
    ],
)
def test_what_is_left_of_the_frames_must_fit(drop, error, message):
    layer = EleAttGRU(D, N, 2)
    layer.drop_by(lambda frames, _: drop(frames))
    with pytest.raises(error, match=f"what drop_by's function gives must {message}"):
        layer(torch.randn(5, 2, D))


def test_a_module_and_a_function_may_take_turns_at_dropping():
    class Half(torch.nn.Module):
        def forward(self, frames, layer):
            return frames / 2

    layer, x = EleAttGRU(D, N, 2, gate=None), torch.randn(5, 2, D)
    layer.drop_by(lambda frames, _: frames / 2)
    expected = layer(x)[0]
    for _ in range(2):
        layer.drop_by(Half())
        assert any(isinstance(part, Half) for part in layer.modules())
        assert torch.equal(layer(x)[0], expected)
        layer.drop_by(lambda frames, _: frames / 2)
        assert list(layer.modules()) == [layer]
        assert torch.equal(layer(x)[0], expected)
