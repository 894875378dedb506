"""oneDNN's own recurrent layers, to be timed beside ours and torch's by `bench_layer.py --onednn`.

On CPUs, torch's `nn.GRU` and `nn.RNN` multiply step by step. They do not call oneDNN's recurrent
primitives, the fastest that others offer there. This module builds `onednn/rnn.cpp` against the
packages `onednn-cpu-gomp` and `onednn-devel-cpu-gomp`, which `make bench` installs. They hold
oneDNN 3.2 with torch's OpenMP; later versions also need 2 GB of SYCL, and took the same time.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from eleatt_bench.nn.contract import BackendError
from eleatt_bench.nn.native.build import compiler

SOURCE = Path(__file__).parent / "onednn" / "rnn.cpp"
CELLS = ("RNN", "LSTM", "GRU", "GRU reset_after")


@cache
def library() -> ctypes.CDLL:
    """The compiled library, which uses as many threads as torch.

    Raises:
        SystemExit: the packages are not installed, there is no compiler, or it fails.
    """
    root = Path(sys.prefix)
    if not (root / "include/oneapi/dnnl/dnnl.hpp").exists():
        sys.exit("oneDNN is not here: pip install onednn-cpu-gomp onednn-devel-cpu-gomp")
    with tempfile.TemporaryDirectory() as folder:  # private, since its content is run
        built = f"{folder}/rnn.so"
        try:
            command = [
                *compiler(), "-O2", "-std=c++17", "-shared", "-fPIC", "-fopenmp",
                f"-I{root}/include", str(SOURCE), "-o", built,
                f"-L{root}/lib", "-ldnnl", f"-Wl,-rpath,{root}/lib",
            ]  # fmt: skip
            subprocess.run(command, check=True)
        except (BackendError, subprocess.CalledProcessError) as error:
            sys.exit(f"{SOURCE} cannot be built: {error}")
        made = ctypes.CDLL(built)
    for function in (made.onednn_failure, made.onednn_version):
        function.restype = ctypes.c_char_p
    made.onednn_new.restype = ctypes.c_void_p
    made.onednn_threads(torch.get_num_threads())
    return made


def version() -> str:
    return bytes(library().onednn_version()).decode()


class OneDnn(nn.Module):
    """A layer by oneDNN with the parameters of ``inner``, a layer of ours without a gate.

    It takes batches (T, B, D) of sequences of one length, and returns ``(output,)``.
    """

    def __init__(self, cell: str, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.cell = inner, CELLS.index(cell)
        self.made: dict[tuple[int, ...], ctypes.c_void_p] = {}

    def forward(self, x: Tensor) -> tuple[Tensor]:
        training = torch.is_grad_enabled()
        key = (*x.shape, int(training))
        if key not in self.made:
            H = self.inner.hidden_size
            handle = library().onednn_new(self.cell, *x.shape, H, int(training))
            self.made[key] = ctypes.c_void_p(checked(handle is None, handle))
        p = self.inner
        bias, bias_hh = getattr(p, "bias_l0", None), getattr(p, "bias_hh_l0", None)
        if bias is None:
            bias = p.bias_ih_l0
        output = _Pass.apply(self.made[key], x, p.weight_ih_l0, p.weight_hh_l0, bias, bias_hh)
        return (output,)

    def __del__(self) -> None:
        for handle in self.made.values():
            library().onednn_delete(handle)


def checked(failed: object, value: Any = None) -> Any:
    if failed:
        raise RuntimeError(f"oneDNN: {library().onednn_failure().decode()}")
    return value


def pointers(*tensors: Tensor | None) -> list[ctypes.c_void_p]:
    return [ctypes.c_void_p(None if t is None else t.data_ptr()) for t in tensors]


class _Pass(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, handle: ctypes.c_void_p, x: Tensor, *weights: Tensor | None) -> Tensor:
        assert all(t is None or t.is_contiguous() for t in (x, *weights))
        output = x.new_empty(*x.shape[:2], weights[1].shape[1])
        checked(library().onednn_forward(handle, *pointers(x, *weights, output)))
        ctx.save_for_backward(x, output, *weights)
        ctx.handle = handle
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_output: Tensor) -> tuple[Any, ...]:
        x, _, *weights = ctx.saved_tensors
        gradients = [None if t is None else torch.empty_like(t) for t in (x, *weights)]
        checked(library().onednn_backward(ctx.handle, *pointers(d_output, *gradients)))
        return (None, *gradients)
