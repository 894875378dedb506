"""The layers inside a model that `torch.compile` compiles: they run eagerly, between two graphs."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend

from eleatt_bench.nn.backends import BACKENDS

pytestmark = [
    # torch's own, of any tensor of a graph that goes on after a break; hidden unless an error.
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
    pytest.mark.usefixtures("fresh"),
]

HERE = [name for name in BACKENDS if name not in ("auto", "triton")]


@pytest.fixture
def fresh():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


class Model(nn.Module):
    """Something to compile before and after the layer."""

    def __init__(self, layer):
        super().__init__()
        self.before = nn.Linear(4, 4, dtype=torch.float64)
        self.layer = layer
        self.after = nn.Linear(6, 2, dtype=torch.float64)

    def forward(self, x, hx=None, lengths=None):
        output, _, attention = self.layer(
            self.before(x).tanh(), hx, lengths=lengths, return_attention=True
        )
        return self.after(output).relu().sum(0) + attention[0].mean()


def gradients(model, run, x, **options):
    result = run(x, **options)
    return [result, *torch.autograd.grad(result.sin().sum(), [x, *model.parameters()])]


@pytest.mark.parametrize("backend", HERE)
@pytest.mark.parametrize(
    ("kind", "dynamic"), [("gru", True), pytest.param("lstm", None, marks=pytest.mark.slow)]
)
@pytest.mark.slow
def test_forward_and_backward_in_several_shapes(make, backend, kind, dynamic):
    model = Model(make(kind, backend=backend))
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(model, backend=counter, dynamic=dynamic)
    for batch, steps in ((4, 9), (3, 5), (2, 7)):
        x = torch.randn(steps, batch, 4, dtype=torch.float64, requires_grad=True)
        lengths = torch.tensor([steps] + [steps - 3] * (batch - 1))
        for given in (lengths, None) if batch == 3 else (lengths,):
            own = gradients(model, compiled, x, lengths=given)
            for tensor, true in zip(own, gradients(model, model, x, lengths=given), strict=True):
                torch.testing.assert_close(tensor, true, rtol=0, atol=1e-10)
    assert counter.frame_count >= 2  # what stands before the layer, and what stands after


@pytest.mark.parametrize("backend", HERE)
@pytest.mark.few(1)
def test_training_it(make, backend):
    model, other = (Model(make("gru", backend=backend, dropout=0.5)) for _ in range(2))
    other.load_state_dict(model.state_dict())
    x = torch.randn(6, 3, 4, dtype=torch.float64)
    losses = []
    for trained, run in ((model, model), (other, torch.compile(other, backend="aot_eager"))):
        optimizer = torch.optim.Adam(trained.parameters())
        torch.manual_seed(0)
        for _ in range(2):
            loss = run(x, lengths=[6, 2, 4]).square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
    assert losses[:2] == pytest.approx(losses[2:], rel=1e-10)
    assert losses[1] != losses[0]


@pytest.mark.parametrize("backend", HERE)
@pytest.mark.parametrize("lengths", [None, [6, 3, 5]])
def test_a_step_that_is_compiled_as_a_whole(make, backend, lengths):
    """Autograd then runs backward under the compiler, which drops what no code names any more."""
    layer = make("gru", backend=backend, batch_first=True)
    x, factors = (torch.randn(3, 6, n, dtype=torch.float64) for n in (4, 6))

    def step(x, *factors):
        output, _ = layer(x, lengths=lengths)
        (output * factors[0] if factors else output).sum().backward()

    compiled = torch.compile(step, backend="eager")
    for given in ((factors,), (), (factors,), (), ()):
        found = []
        for run in (step, compiled):
            layer.zero_grad()
            run(x, *given)
            found.append([parameter.grad.clone() for parameter in layer.parameters()])
        torch.testing.assert_close(*found, rtol=0, atol=1e-10)


@pytest.mark.parametrize("backend", HERE)
def test_under_autocast_and_without_gradients(make, backend):
    layer = make("gru", backend=backend, dtype=torch.float32)
    x = torch.randn(6, 3, 4)

    def run(x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return layer(x.tanh(), lengths=[6, 2, 4])[0] + 1

    with torch.no_grad():
        assert torch.equal(torch.compile(run, backend="aot_eager")(x), run(x))


def test_one_graph_cannot_be_had(make):
    model = Model(make("gru"))
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    with pytest.raises(RuntimeError, match="recurrent layers run eagerly"):
        compiled(torch.randn(6, 3, 4, dtype=torch.float64))


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("c++"), reason="inductor needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # of its imports
def test_with_inductor(make):
    model = Model(make("gru"))
    x = torch.randn(6, 3, 4, dtype=torch.float64, requires_grad=True)
    own = gradients(model, torch.compile(model), x, lengths=[6, 2, 4])
    for tensor, true in zip(own, gradients(model, model, x, lengths=[6, 2, 4]), strict=True):
        torch.testing.assert_close(tensor, true, rtol=0, atol=1e-10)
