"""The items of each stage of `gpu_check.py`: a name, a limit in seconds, and the work."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from bench_contenders import GRAPH, OWN, SHAPES, Contender, Job, Shape, products_in
from bench_layer import TOLERANCE, deviation, machine, measure
from torch.profiler import ProfilerActivity, profile

from eleatt_bench.nn import triton

Found = dict[str, Any]

GOALS = (1.0, 0.7, 0.5, 0.5)
"""Goals for the time of an EleAtt-GRU's train step in TF32 over cuDNN's GRU, at each shape."""

SMALL = (
    Shape(4, 18, 5, 6, 2),
    Shape(3, 2, 4, 6, 2),
    Shape(6, 3, 1, 8),
    Shape(5, 18, 5, 6, 2, True),
)
EPOCHS = 5


class Item(NamedTuple):
    name: str
    seconds: float  # after which it is ended
    work: Callable[[], Found]


class LeftOutError(Exception):
    """An item cannot be done here, and nothing is wrong with that."""


class Plan(NamedTuple):
    """The device and the sizes: a GPU's, or small ones to rehearse."""

    rehearse: bool

    @property
    def device(self) -> str:
        return "cpu" if self.rehearse else "cuda"

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return SMALL if self.rehearse else tuple(SHAPES["cuda"])

    def limit(self, seconds: float) -> float:
        return 60 if self.rehearse else seconds  # the interpreter takes its time

    def job(
        self, contender: Contender, shape: Shape, precision: str, mode: str = "train", **how: Any
    ) -> Job:
        if self.rehearse and precision == "bf16":
            raise LeftOutError("Triton's interpreter multiplies bfloat16 wrongly")
        if self.rehearse and GRAPH in contender.backend:
            raise LeftOutError("a CUDA graph needs a GPU")
        return Job(contender, shape, mode, self.device, precision, **how)


def items(stage: int, rehearse: bool) -> list[Item]:
    """What ``stage`` does, the most important first."""
    if not rehearse and not torch.cuda.is_available():
        raise RuntimeError("torch sees no GPU; --rehearse does without one")
    return list(STAGES[stage](Plan(rehearse)))


def device_works() -> bool:
    """Whether the device still answers: after a fault, it never does again in the same process."""
    try:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
    except RuntimeError:
        return False
    return True


# 0: what is here


def about(plan: Plan) -> Iterator[Item]:
    yield Item("versions", 20, versions)
    yield Item("device", 20, functools.partial(machine, plan.device, torch.get_num_threads()))


def versions() -> Found:
    found = {"python": sys.version.split()[0], "cudnn": torch.backends.cudnn.version()}
    for package in ("torch", "triton", "numpy", "hydra-core", "pytorch-lightning", "h5py"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


# 1: compile the kernels of later stages into Triton's cache


def builds(plan: Plan) -> Iterator[Item]:
    """Each layer, shape, precision and tiling once, on sequences of two frames."""
    seen = set()
    wanted = [(c, n, p, {}) for c, n, p in right(plan)]
    wanted += [(c, n, p, {}) for _, c, n, p, _ in races(plan) if c.backend == "triton"]
    wanted += [(GATED, number, "tf32", tiles) for number, tiles in tilings()]
    for contender, number, precision, tiles in wanted:
        shape = plan.shapes[number]._replace(T=2)
        key = (contender, shape, precision, *tiles.items())
        if key not in seen:
            seen.add(key)
            name = f"{contender.name} {shape} {precision} {told(tiles)}".rstrip()
            yield Item(name, plan.limit(50), functools.partial(
                build, plan, contender, shape, precision, tiles))  # fmt: skip


def build(plan: Plan, contender: Contender, shape: Shape, precision: str, tiles: Found) -> Found:
    with tiled(tiles):
        plan.job(contender, shape, precision).run()
    return {}


# 2: right numbers


GATED = Contender("GRU", "sigmoid", "triton")


def right(plan: Plan) -> Iterator[tuple[Contender, int, str]]:
    for precision, cell in product(("tf32", "bf16", "ieee"), ("GRU", "LSTM")):
        for number in range(len(plan.shapes)):
            yield Contender(cell, "sigmoid", "triton"), number, precision


def numbers(plan: Plan) -> Iterator[Item]:
    for cell, gate in product(OWN, ("sigmoid", "none", "softmax")):
        contender = Contender(cell, gate, "triton")
        yield Item(f"{cell} {gate}, both directions, ragged", plan.limit(20), functools.partial(
            small, plan, contender))  # fmt: skip
    for contender, number, precision in right(plan):
        shape = plan.shapes[number]
        yield Item(f"{contender.name} {shape} {precision}", plan.limit(20), functools.partial(
            against_scan, plan, contender, shape, precision))  # fmt: skip
    for shape in plan.shapes:
        yield Item(f"{GATED.name} {shape} as a graph", plan.limit(20), functools.partial(
            captured, plan, shape))  # fmt: skip


def small(plan: Plan, contender: Contender) -> Found:
    """A layer in both directions on ragged sequences, IEEE, against float64 equations."""
    torch.manual_seed(0)
    gate = None if contender.gate == "none" else contender.gate
    form = {"reset_after": True} if contender.cell == "GRU reset_after" else {}
    layer = OWN[contender.cell](7, 5, bidirectional=True, gate=gate, **form)
    for parameter in layer.parameters():
        torch.nn.init.uniform_(parameter, -0.5, 0.5)
    x, d_output, lengths = torch.randn(6, 20, 7), torch.randn(6, 20, 10), torch.arange(20) % 6 + 1

    def results(backend: str, dtype: torch.dtype) -> list[torch.Tensor]:
        own = deepcopy(layer).to(plan.device, dtype)
        own.backend = backend
        frames = x.to(plan.device, dtype, copy=True).requires_grad_()
        output = own(frames, lengths=lengths)[0]
        output.backward(d_output.to(plan.device, dtype))
        given = (output.detach(), frames.grad, *(p.grad for p in own.parameters()))
        return [t.double() for t in given]

    with poisoned(), products_in("ieee"):
        pairs = zip(
            results("triton", torch.float32), results("equations", torch.double), strict=True
        )
        wrong = float(torch.stack([(a - b).abs().max() / b.abs().max() for a, b in pairs]).max())
    return checked(wrong, 1e-5)


def against_scan(plan: Plan, contender: Contender, shape: Shape, precision: str) -> Found:
    """A layer against `scan` in float64, in memory full of NaN; a second pass has the same bits."""
    with poisoned():
        job = plan.job(contender, shape, precision)
        exact = plan.job(contender._replace(backend="scan"), shape, "float32", dtype=torch.double)
        found = checked(deviation(job, exact), TOLERANCE[precision])
        once = job.results()
        job.turn -= 1  # the same input again
        job.run()
    if not all(torch.equal(a, b) for a, b in zip(once, job.results(), strict=True)):
        raise ArithmeticError("a second pass gives other bits")
    return found


def captured(plan: Plan, shape: Shape) -> Found:
    graph = plan.job(GATED._replace(backend=f"triton, {GRAPH}"), shape, "tf32")
    eager = plan.job(GATED, shape, "tf32")
    for _ in range(3):  # the later ones on inputs other than the recorded one
        graph.run()
        eager.run()
    if not all(torch.equal(a, b) for a, b in zip(graph.results(), eager.results(), strict=True)):
        raise ArithmeticError("a replayed step gives other bits than the step")
    return {}


def checked(wrong: float, tolerance: float) -> Found:
    if not wrong < tolerance:
        raise ArithmeticError(f"relative error {wrong:.1e}, at most {tolerance:.0e} is right")
    return {"error": wrong}


@contextmanager
def poisoned() -> Iterator[None]:
    """While it holds, memory that was not written to is NaN."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


# 3: against cuDNN


def races(plan: Plan) -> Iterator[tuple[str, Contender, int, str, str]]:
    """Name, contender, index of the shape, precision and mode of each race."""
    every = range(len(plan.shapes))
    graph = GATED._replace(backend=f"triton, {GRAPH}")
    lstm, plain = GATED._replace(cell="LSTM"), GATED._replace(gate="none")
    kinds = [
        (GATED, "tf32", "train"), (lstm, "tf32", "train"), (graph, "tf32", "train"),
        (GATED, "bf16", "train"), (plain, "tf32", "train"),
        (lstm._replace(gate="none"), "tf32", "train"), (GATED, "tf32", "inference"),
        (GATED, "ieee", "train"), (GATED._replace(backend=f"scan, {GRAPH}"), "tf32", "train"),
    ]  # fmt: skip
    for contender, precision, mode in kinds:
        for number in every:
            name = f"{contender.name} {plan.shapes[number]} {precision} {mode}"
            yield name, contender, number, precision, mode


def speeds(plan: Plan) -> Iterator[Item]:
    for name, contender, number, precision, mode in races(plan):
        yield Item(name, plan.limit(20), functools.partial(
            race, plan, contender, number, precision, mode))  # fmt: skip


def race(plan: Plan, contender: Contender, number: int, precision: str, mode: str) -> Found:
    """A layer in turns with cuDNN's: median times and ratio, and the kernels of a pass of each."""
    shape = plan.shapes[number]
    jobs = [
        plan.job(c, shape, precision, mode)
        for c in (Contender(contender.cell, "torch", "torch"), contender)
    ]
    for job in jobs:
        for _ in range(3):  # compiled, recorded, warm
            job.run()
    theirs, ours = measure(jobs, 3 if plan.rehearse else 15, budget=2.0)
    found: Found = {
        "ratio": ours["ratio_median"],
        "q1": ours["ratio_q1"],
        "q3": ours["ratio_q3"],
        "ms": 1e3 * ours["seconds_median"],
        "torch_ms": 1e3 * theirs["seconds_median"],
    }
    if (contender, precision, mode) == (GATED, "tf32", "train"):
        found["goal"] = GOALS[number]
    return found | kernels(jobs[1], "") | kernels(jobs[0], "torch_")


def kernels(job: Job, whose: str) -> Found:
    """Of one pass: milliseconds in kernels, the number of launches, and the slowest kernels.

    On a CPU operations take the place of kernels.
    """
    on_gpu = job.device == "cuda"
    with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as trace:
        job.run()
        if on_gpu:
            torch.cuda.synchronize()
    events = trace.key_averages()
    took = {
        e.key: (e.self_device_time_total if on_gpu else e.self_cpu_time_total) / 1e3 for e in events
    }
    longest = sorted(took, key=took.__getitem__, reverse=True)[:4]
    return {
        f"{whose}kernel_ms": sum(took.values()),
        f"{whose}launches": sum(e.count for e in events),
        f"{whose}kernels": {name[:80]: round(took[name], 3) for name in longest},
    }


# 4: how the kernels cut up their work


def tilings() -> Iterator[tuple[int, dict[str, int]]]:
    """Index of a shape, and values that replace those of `eleatt_bench.nn.triton.launch.tiling`."""
    for block, stages, warps, number in product((32, 64, 16), (3, 2, 4), (8, 4, 16), (0, 2)):
        yield number, {"BLOCK_K": block, "STAGES": stages, "num_warps": warps}


@contextmanager
def tiled(other: dict[str, int]) -> Iterator[None]:
    """While it holds, layers ask for ``other`` tiles."""
    with patch.object(triton, "run", functools.partial(triton.run, tiles=other)):
        yield


def cuts(plan: Plan) -> Iterator[Item]:
    for number, tiles in tilings():
        name = f"{GATED.name} {plan.shapes[number]} tf32 {told(tiles)}"
        yield Item(name, plan.limit(10), functools.partial(cut, plan, number, tiles))


def cut(plan: Plan, number: int, tiles: dict[str, int]) -> Found:
    with tiled(tiles):
        job = plan.job(GATED, plan.shapes[number], "tf32")
        for _ in range(1 if plan.rehearse else 4):
            job.run()
        return kernels(job, "")


def told(tiles: Found) -> str:
    return " ".join(f"{name}={value}" for name, value in tiles.items())


# 5: a run as people start it


def runs(plan: Plan) -> Iterator[Item]:
    for backend in ("triton", "scan"):
        name, seconds = f"eleatt-bench train with {backend}", 120 if plan.rehearse else 60
        yield Item(name, seconds, functools.partial(train, plan, backend))


def train(plan: Plan, backend: str) -> Found:
    """Train for `EPOCHS` epochs on N-UCLA; in a rehearsal, on a few batches of digits."""
    words = ["experiment=nucla", "trainer=gpu", f"trainer.max_epochs={EPOCHS}"]
    if plan.rehearse:
        words = ["experiment=digits", "quick=true", "model.hidden_size=4", "trainer.max_epochs=1"]
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "eleatt_bench", "train", *words, "model=eleatt_gru",
            f"model.backend={backend}", f"runs_dir={folder}",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.stderr.write(done.stdout + done.stderr)
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            raise RuntimeError(" ".join(lines[-3:]) or f"exit code {done.returncode}")
        (path,) = Path(folder).glob("*/record.json")
        record = json.loads(path.read_text(encoding="utf-8"))
    return {
        "seconds_per_epoch": record["timing"]["seconds_per_epoch"],
        "accuracy": record["metrics"]["test"]["accuracy"],
    }


STAGES: dict[int, Callable[[Plan], Iterator[Item]]] = {
    0: about,
    1: builds,
    2: numbers,
    3: speeds,
    4: cuts,
    5: runs,
}
