"""Who looks at every operation sees the equations, or is told that there is nothing to see."""

from __future__ import annotations

import importlib.util
import io

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from eleatt_bench.nn.contract import BackendError

T, B, D = 5, 3, 4
KINDS = ("rnn", "lstm", "gru", "gru after")
BY_HAND = ("native", "scan", "triton")
LENGTHS = torch.tensor([5, 1, 3])

every_cell = pytest.mark.parametrize("kind", KINDS)
every_gate = pytest.mark.parametrize("gate", [None, "sigmoid", "softmax"])
of_its_imports = pytest.mark.filterwarnings("ignore:.torch.jit.script")


class Seen(TorchDispatchMode):
    """Keeps the names of all operations."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.append(str(function))
        return function(*args, **(kwargs or {}))


class Wrapped(torch.Tensor):
    """A tensor whose numbers are another's, without memory of its own."""

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)

    def __init__(self, inner):
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        def opened(value):
            return value.inner if isinstance(value, Wrapped) else value

        args, kwargs = torch.utils._pytree.tree_map(opened, (args, kwargs or {}))
        return torch.utils._pytree.tree_map_only(torch.Tensor, Wrapped, function(*args, **kwargs))


def plain(x: torch.Tensor) -> torch.Tensor:
    return x.inner if isinstance(x, Wrapped) else x


def flops(layer, x) -> int:
    with FlopCounterMode(display=False) as counter:
        layer(x)[0].sum().backward()
    return counter.get_total_flops()


def functional(layer, x):
    parameters = {name: p.detach() for name, p in layer.named_parameters()}
    traced = make_fx(lambda p, x: functional_call(layer, p, (x,))[0], tracing_mode="symbolic")
    return traced(parameters, x)(parameters, x)


def faked(layer, x):
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        output = layer(mode.from_tensor(x), lengths=[5, 1, 3])[0]
    assert type(output).__name__ == "FakeTensor"
    assert output.shape == layer(x)[0].shape
    return layer(x)[0]


def seen(layer, x):
    with Seen() as mode:
        output = layer(x)[0]
    assert mode.names.count("aten.addmm.default") >= T
    return output


def exported(layer, x, strict=False, **options):
    return torch.export.export(layer, (x,), options, strict=strict).module()(x, **options)[0]


OBSERVERS = {
    "dispatch mode": seen,
    "fake tensors": faked,
    "make_fx": lambda layer, x: make_fx(lambda x: layer(x)[0])(x)(x),
    "make_fx pre": lambda layer, x: make_fx(lambda x: layer(x)[0], pre_dispatch=True)(x)(x),
    "make_fx symbolic": functional,
    "functionalize": lambda layer, x: torch.func.functionalize(lambda x: layer(x)[0])(x),
    "jit.trace": lambda layer, x: torch.jit.trace(layer, (x,))(x)[0],
    "export": exported,
    "export strict": lambda layer, x: exported(layer, x, strict=True),
    "export lengths": lambda layer, x: exported(layer, x, lengths=torch.tensor([T] * B)),
    "a wrapping class": lambda layer, x: plain(layer(Wrapped(x))[0]),
}  # fmt: skip


@of_its_imports
@pytest.mark.filterwarnings("ignore:.torch.jit.trace")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("observer", OBSERVERS)
@pytest.mark.parametrize("backend", ["auto", "native", "scan", "triton"])
@every_cell
@every_gate
@pytest.mark.few(3)
def test_auto_takes_the_equations_and_the_others_say_that_they_cannot(
    make, observer, backend, kind, gate
):
    layer = make(kind, gate, num_layers=1, backend=backend)
    x = torch.randn(T, B, D, dtype=torch.float64)
    look = OBSERVERS[observer]
    if backend == "auto":
        own = look(layer, x)
        layer.backend = "equations"
        torch.testing.assert_close(own, layer(x)[0], rtol=0, atol=1e-12)
    elif observer == "export strict":  # whose tracer has its own words around ours
        with pytest.raises(RuntimeError, match="backend='equations' can be exported"):
            look(layer, x)
    else:
        with pytest.raises(BackendError, match=r"does not see what .* backend='equations'"):
            look(layer, x)


@every_cell
@every_gate
@pytest.mark.few(2)
def test_flops_are_those_of_the_equations(make, kind, gate):
    layer, x = make(kind, gate, backend="equations"), torch.randn(T, B, D, dtype=torch.float64)
    expected = flops(layer, x)
    for dtype in (torch.float64, torch.float32):
        layer, x = layer.to(dtype), x.to(dtype)
        for backend in ("auto", "native", "scan", "triton"):
            layer.backend = backend
            assert flops(layer, x) == expected > 0


@pytest.mark.parametrize("backend", ["native", "scan"])
def test_a_backward_pass_alone_is_not_seen_either(make, backend):
    output = make("gru", backend=backend)(torch.randn(T, B, D, dtype=torch.float64))[0]
    with FlopCounterMode(display=False), pytest.raises(BackendError, match="FlopCounterMode"):
        output.sum().backward()


@pytest.mark.parametrize("backend", ["native", "scan"])
def test_modes_of_functions_see_no_operations_and_change_nothing(make, backend):
    layer, x = make("gru", backend=backend), torch.randn(T, B, D, dtype=torch.float64)
    expected = layer(x)[0]
    with torch.overrides.BaseTorchFunctionMode():
        assert torch.equal(layer(x)[0], expected)


@pytest.mark.slow
@of_its_imports
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@every_cell
@every_gate
def test_an_exported_layer_takes_any_batch_and_any_lengths(make, kind, gate, strict, bidirectional):
    """Saved and loaded; exported with full sequences, whose lengths it must not remember."""
    layer = make(kind, gate, bidirectional=bidirectional).eval()
    batch = torch.export.Dim("batch")
    program = torch.export.export(
        layer,
        (torch.randn(T, 2, D, dtype=torch.float64),),
        {"lengths": torch.tensor([T, T]), "return_attention": True},
        dynamic_shapes={"input": {1: batch}, "lengths": {0: batch}, "return_attention": None},
        strict=strict,
    )
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    loaded = torch.export.load(file).module()
    for size in (1, 7):
        x = torch.randn(T, size, D, dtype=torch.float64)
        lengths = torch.randint(1, T + 1, (size,))
        own = loaded(x, lengths=lengths, return_attention=True)
        expected = layer(x, lengths=lengths, return_attention=True)
        torch.testing.assert_close(own, expected, rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore:.torch.jit.trace")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.slow
def test_a_traced_layer_does_not_remember_lengths(make):
    layer, x = make("gru").requires_grad_(False), torch.randn(T, B, D, dtype=torch.float64)
    full = torch.tensor([T] * B)

    def run(x, lengths):
        return layer(x, lengths=lengths)[0]

    for traced in (make_fx(run)(x, full), torch.jit.trace(run, (x, full))):
        torch.testing.assert_close(traced(x, LENGTHS), run(x, LENGTHS), rtol=0, atol=1e-12)


def test_a_packed_sequence_cannot_be_exported(make):
    packed = torch.nn.utils.rnn.pack_sequence([torch.randn(n, D).double() for n in (3, 2)])
    with pytest.raises(BackendError, match="give the padded batch and lengths="):
        torch.export.export(make("gru"), (packed,))


@of_its_imports
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the exporter
@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnxscript", "onnxruntime")),
    reason="pip install onnxscript onnxruntime",
)
@every_cell
@every_gate
def test_onnx(make, tmp_path, kind, gate):
    import onnxruntime

    layer = make(kind, gate, dtype=torch.float32).eval()
    batch, path = torch.export.Dim("batch"), tmp_path / "layer.onnx"
    torch.onnx.export(
        layer,
        (torch.randn(T, 2, D),),
        path,
        kwargs={"lengths": torch.tensor([T, T])},
        input_names=["input", "lengths"],
        dynamic_shapes={"input": {1: batch}, "lengths": {0: batch}},
        dynamo=True,
    )
    session = onnxruntime.InferenceSession(path)
    x = torch.randn(T, B, D)
    own = session.run(None, {"input": x.numpy(), "lengths": LENGTHS.numpy()})[0]
    expected = layer(x, lengths=LENGTHS)[0]
    torch.testing.assert_close(torch.from_numpy(own), expected, rtol=0, atol=1e-5)
