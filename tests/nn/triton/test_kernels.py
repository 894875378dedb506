"""The Triton kernels compiled for the GPU they are meant for (sm_90), which needs no GPU."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from eleatt_bench.nn import triton as triton_scan
from eleatt_bench.nn.contract import BLOCKS, Cell
from eleatt_bench.nn.triton.launch import KernelCall

from ..conftest import BY_HAND

triton = pytest.importorskip("triton")
pytestmark = pytest.mark.skipif(
    os.environ.get("TRITON_INTERPRET") == "1", reason="the interpreter compiles nothing"
)
OPTIONS = ("num_warps", "num_stages")
TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
POINTERS = {
    torch.float32: "*fp32",
    torch.bfloat16: "*bf16",
    torch.float16: "*fp16",
    torch.int32: "*i32",
    torch.int64: "*i64",
}
CELLS = [
    Cell(kind, gate, reset_after)
    for kind in BY_HAND
    for gate in (None, "sigmoid", "softmax")
    for reset_after in ((False, True) if kind == "gru" else (False,))
]
USUAL = Cell("gru", "sigmoid")


class Recorder:
    """In the place of a kernel: keeps the arguments of its launch, and does nothing."""

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel
        self.arguments: dict[str, Any] = {}

    def __getitem__(self, grid: tuple[int, ...]) -> Recorder:
        return self

    def __call__(self, *positional: Any, **named: Any) -> None:
        self.arguments = dict(zip(self.kernel.arg_names, positional, strict=False)) | named

    def compile(self) -> Any:
        """The kernel for sm_90, as that launch would have compiled it."""
        from triton.backends.compiler import GPUTarget
        from triton.compiler import ASTSource

        signature, constants, attributes = {}, {}, {}
        arguments = dict(self.arguments)
        options = {name: arguments.pop(name) for name in OPTIONS if name in arguments}
        for index, parameter in enumerate(self.kernel.params):
            value = arguments.pop(parameter.name)
            if isinstance(value, torch.Tensor):
                signature[parameter.name] = POINTERS[value.dtype]
                attributes[(index,)] = [["tt.divisibility", 16]]
            elif parameter.is_constexpr or value is None:
                signature[parameter.name] = "constexpr"
                constants[(index,)] = value
            else:
                signature[parameter.name] = "i32"
        assert not arguments
        source = ASTSource(self.kernel, signature, constants, attributes)
        return triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)


def launches(
    monkeypatch, cell: Cell, B: int, D: int, N: int, dtype, precision, **how
) -> list[Recorder]:
    """Of a forward and a backward pass, everything asked for: their kernels', and the last pack."""
    from eleatt_bench.nn.triton import backward, forward, pack

    recorders = []
    for module, name in ((forward, "forward"), (backward, "backward"), (pack, "pack")):
        recorders.append(Recorder(getattr(module, name)))
        monkeypatch.setattr(module, name, recorders[-1])
    rows = len(BLOCKS[cell.kind]) * N
    biases = (torch.zeros(rows), torch.zeros(rows) if cell.reset_after else None)
    gate = (torch.zeros(D, D), torch.zeros(D, N), torch.zeros(D)) if cell.gate else (None,) * 3
    tensors = [
        torch.zeros(3, B, D, requires_grad=True),
        torch.zeros(B, N),
        torch.zeros(B, N) if cell.kind == "lstm" else None,
        *(torch.zeros(rows, D), torch.zeros(rows, N), *biases, *gate),
    ]
    lengths = torch.arange(B) % 3 + 1
    call = KernelCall(cell, lengths, reverse=True, dtype=dtype, precision=precision, **how)
    results = triton_scan._Triton.apply(call, True, *tensors)
    sum(t.sum() for t in results if t is not None).backward()
    return recorders


def assert_fits(kernel: Any, folder: Path) -> None:
    """On a multiprocessor of sm_90: its shared memory, and its registers with few spills."""
    assert kernel.metadata.shared <= 227 * 1024
    binary = folder / "kernel.cubin"
    binary.write_bytes(kernel.asm["cubin"])
    command = [TOOLS / "cuobjdump", "-res-usage", binary]
    usage = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"REG:(\d+) STACK:(\d+)", usage)
    assert found, usage
    assert int(found[1]) * kernel.metadata.num_warps * 32 <= 65536
    assert int(found[2]) <= 128  # bytes per thread


@pytest.fixture
def toolchain(monkeypatch, tmp_path) -> None:
    for tool in ("ptxas", "cuobjdump"):
        if not (TOOLS / tool).exists():
            pytest.skip(f"this Triton comes without {tool}")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


def check(monkeypatch, tmp_path, cell, B, D, N, dtype, precision) -> None:
    for recorder in launches(monkeypatch, cell, B, D, N, dtype, precision):
        kernel = recorder.compile()
        assert_fits(kernel, tmp_path)
        if recorder.kernel.fn.__name__ == "pack":
            continue
        # Products on tensor cores, of operands that were loaded 16 bytes at once and ahead.
        assert ("mma.sync" in kernel.asm["ptx"]) == (precision != "ieee")
        if N >= 64:
            assert re.search(r"cp\.async\.cg\.shared\.global .*, 0x10", kernel.asm["ptx"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.few(1)
def test_the_kernels_compile_for_the_layers_of_the_paper(
    monkeypatch, tmp_path, toolchain, dtype
) -> None:
    check(monkeypatch, tmp_path, USUAL, 4, 150, 100, dtype, "tf32")


@pytest.mark.parametrize("tiles", [None, {"BLOCK_K": 64, "num_warps": 4}], ids=str)
def test_both_kernels_are_launched_with_the_tiles_that_are_asked_for(monkeypatch, tiles) -> None:
    usual = {"BLOCK_K": 32, "STAGES": 3, "num_warps": 8}  # 128 bytes of float32
    both = launches(monkeypatch, USUAL, 4, 20, 5, torch.float32, "tf32", tiles=tiles)[:2]
    for recorder in both:
        assert recorder.arguments.items() >= (usual | (tiles or {})).items()


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS, ids=str)
@pytest.mark.parametrize("size", [(150, 100), (60, 100), (1, 128), (512, 512)], ids=str)
@pytest.mark.parametrize(
    ("dtype", "precision"),
    [(torch.float32, "ieee"), (torch.float32, "tf32"), (torch.bfloat16, "tf32")],
    ids=["ieee", "tf32", "bfloat16"],
)
def test_the_kernels_compile_for(
    monkeypatch, tmp_path, toolchain, cell, size, dtype, precision
) -> None:
    """With tiles of 32 sequences, which need more of everything than those of 16."""
    check(monkeypatch, tmp_path, cell, 20, *size, dtype, precision)
