"""What `bench_layer.py` compares: layers, the sizes they run at, and one pass of one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import torch
from bench_onednn import OneDnn
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from eleatt_bench import EleAttGRU, EleAttLSTM, EleAttRNN
from eleatt_bench.nn import equations
from eleatt_bench.nn.backends import BACKENDS

OWN = {"GRU": EleAttGRU, "GRU reset_after": EleAttGRU, "LSTM": EleAttLSTM, "RNN": EleAttRNN}
TORCH = {"GRU": nn.GRU, "GRU reset_after": nn.GRU, "LSTM": nn.LSTM, "RNN": nn.RNN}
MODES = ("train", "train, first layer", "inference")
PRECISIONS = {"cpu": ("float32",), "cuda": ("tf32", "ieee", "bf16")}
STEPS = ("attention_gate", "rnn_step", "lstm_step", "gru_step", "gru_step_reset_after")
PLAIN: dict[str, Callable[..., Any]] = {name: getattr(equations, name) for name in STEPS}
"""The steps as they are before `Job.run` puts compiled ones into their module."""
GRAPH = "CUDA graph"
COMPILED = "steps compiled"
ONEDNN = "oneDNN"


class Shape(NamedTuple):
    """T steps, B sequences, D inputs, H units; ragged sequences have T / 5 to T steps."""

    T: int
    B: int
    D: int
    H: int
    layers: int = 1
    ragged: bool = False

    @classmethod
    def parse(cls, text: str) -> Shape:
        ragged = text.endswith("r")
        return cls(*map(int, text.removesuffix("r").split(",")), ragged=ragged)  # type: ignore[arg-type]

    def __str__(self) -> str:
        return ",".join(map(str, self[:5])) + ("r" if self.ragged else "")


SHAPES = {
    "cpu": [
        Shape(100, 256, 150, 100),
        Shape(100, 256, 150, 100, ragged=True),
        Shape(100, 32, 60, 100),
        Shape(100, 32, 60, 100, ragged=True),
        Shape(784, 100, 1, 100),  # MNIST, by pixels and by rows, is never ragged
        Shape(28, 128, 28, 100),
    ],
    "cuda": [
        Shape(100, 256, 150, 100, 3),
        Shape(50, 32, 60, 100, 3),
        Shape(784, 128, 1, 128),
        Shape(300, 256, 150, 100, 3, ragged=True),
    ],
}  # fmt: skip


class Contender(NamedTuple):
    cell: str
    gate: str  # an activation, "none", or "torch" for torch's own layer
    backend: str  # and, after a comma, what is done to it

    @property
    def name(self) -> str:
        return f"{self.cell} {self.gate} {self.backend}"

    def layer(self, shape: Shape, device: str) -> nn.Module:
        torch.manual_seed(0)
        options: dict[str, Any] = {"num_layers": shape.layers, "device": device}
        if self.gate == "torch":
            return TORCH[self.cell](shape.D, shape.H, **options)
        if self.cell == "GRU reset_after":
            options["reset_after"] = True
        if self.backend == ONEDNN:
            return OneDnn(self.cell, OWN[self.cell](shape.D, shape.H, gate=None, **options))
        options["backend"] = self.backend.partition(",")[0]
        options["gate"] = None if self.gate == "none" else self.gate
        return OWN[self.cell](shape.D, shape.H, **options)


def contenders(device: str, precision: str, *, compiled: bool, onednn: bool) -> list[Contender]:
    """Torch's own layers, oneDNN's, then every cell, gated and plain, on every backend.

    `scan` computes in the precision of the state, so it is left out of bf16.
    """
    elsewhere = {"cpu": {"auto", "triton"}, "cuda": {"auto", "native"}}[device]
    backends = [name for name in BACKENDS if name not in elsewhere]
    if device == "cuda":
        backends += [f"scan, {GRAPH}", f"triton, {GRAPH}"]
    if precision == "bf16":
        backends = [name for name in backends if not name.startswith("scan")]
    if compiled:
        backends.append(f"equations, {COMPILED}")
    others = [Contender(cell, "torch", "torch") for cell in OWN]
    if onednn:
        others += [Contender(cell, "none", ONEDNN) for cell in OWN]
    return others + [
        Contender(cell, gate, backend)
        for cell in OWN
        for gate in ("sigmoid", "none")
        for backend in backends
    ]


@cache
def steps(compiled: bool) -> dict[str, Callable[..., Any]]:
    """The functions that the loop calls in every step; ``compiled`` compiles them at first call."""
    if not compiled:
        return PLAIN
    return {name: torch.compile(f, dynamic=False) for name, f in PLAIN.items()}


@contextmanager
def products_in(precision: str) -> Iterator[None]:
    """Float32 products on a GPU in "tf32" or "ieee", in recurrent layers and elsewhere."""
    owners = (torch.backends.cudnn.rnn, torch.backends.cuda.matmul)
    before = [owner.fp32_precision for owner in owners]
    try:
        if precision in ("tf32", "ieee"):
            for owner in owners:
                owner.fp32_precision = precision
        yield
    finally:
        for owner, old in zip(owners, before, strict=True):
            owner.fp32_precision = old


class Job:
    """One contender with its input; `run` does one pass, and `results` has what it gave.

    A backend with ``CUDA graph`` records the first pass and replays it from then on.
    """

    def __init__(
        self,
        contender: Contender,
        shape: Shape,
        mode: str = "train",
        device: str = "cpu",
        precision: str = "float32",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.contender, self.device, self.precision = contender, device, precision
        self.layer = contender.layer(shape, device).to(dtype)
        self.training = mode != "inference"
        generator = torch.Generator().manual_seed(1)
        self.inputs = [
            torch.randn(shape.T, shape.B, shape.D, generator=generator).to(device, dtype)
            for _ in range(4 if device == "cuda" else 1)  # rotating, so that no cache holds them
        ]
        for x in self.inputs:
            x.requires_grad_(mode == "train")
        self.x = self.inputs[0]
        self.lengths = None
        if shape.ragged:
            lengths = torch.randint(shape.T // 5, shape.T + 1, (shape.B,), generator=generator)
            self.lengths = lengths.clamp(min=1).sort(descending=True)[0]
            self.lengths[0] = shape.T
        self.d_output = torch.randn(shape.T, shape.B, shape.H, generator=generator).to(device)
        self.output = self.d_output
        self.turn = 0
        self.graph: torch.cuda.CUDAGraph | None = None

    @property
    def frames(self) -> int:
        """How many frames of the batch are real."""
        T, B, _ = self.x.shape
        return T * B if self.lengths is None else int(self.lengths.sum())

    def run(self) -> None:
        vars(equations).update(steps(COMPILED in self.contender.backend))
        x = self.inputs[self.turn % len(self.inputs)]
        self.turn += 1
        if GRAPH not in self.contender.backend:
            self.x = x
            self._pass()
            return
        if self.graph is None:
            self._record()  # the graph keeps the precision of its products
        assert self.graph is not None
        with torch.no_grad():
            self.x.copy_(x)
        self.graph.replay()

    def _record(self) -> None:
        self.x = self.x.detach().clone().requires_grad_(self.x.requires_grad)  # the graph reads it
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self._pass()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._pass()
        self.graph = graph

    def _pass(self) -> None:
        with products_in(self.precision):
            if not self.training:
                with torch.inference_mode():
                    self.output = self._forward(self.x)
                return
            self.x.grad = None
            self.layer.zero_grad()
            output = self._forward(self.x)
            if output.dim() < self.d_output.dim():  # torch's packed output
                self.d_output = self.d_output.flatten(0, 1)[: len(output)]
            self.d_output = self.d_output.to(output.dtype)  # a copy in the first pass at most
            output.backward(self.d_output)
            self.output = output.detach()

    def _forward(self, x: Tensor) -> Tensor:
        with torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bf16"):
            if self.lengths is None:
                return self.layer(x)[0]
            if self.contender.gate == "torch":
                return self.layer(pack_padded_sequence(x, self.lengths))[0].data
            return self.layer(x, lengths=self.lengths)[0]

    def results(self) -> list[Tensor]:
        """Output and gradients of the last pass."""
        gradients = [t.grad for t in (self.x, *self.layer.parameters()) if t.grad is not None]
        return [t.double() for t in (self.output, *gradients)]
