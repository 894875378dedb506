"""``eleatt-bench doctor``: what is here, what is missing, and what to do about it."""

from __future__ import annotations

import os

from eleatt_bench.cli.arguments import Parser, data_dir, runs_dir
from eleatt_bench.composition import config_dir
from eleatt_bench.data import catalog
from eleatt_bench.training.environment import cpu_name, git_commit, versions


def doctor(arguments: list[str]) -> int:
    """``eleatt-bench doctor``."""
    Parser("eleatt-bench doctor", description="Versions, devices, data sets.").parse(arguments)
    print("Versions")
    for name, version in versions().items():
        print(f"  {name:<18} {version}")
    print(f"  {'commit':<18} {git_commit() or 'an installed package'}")
    print("Devices")
    for line in _devices():
        print(f"  {line}")
    print("Data sets")
    for name in catalog.names():
        print(f"  {name:<18} {catalog.status(data_dir(), name)}")
    print("Folders")
    for name, path, variable in (
        ("configs", config_dir(), ""),
        ("data", data_dir().resolve(), "ELEATT_DATA"),
        ("runs", runs_dir().resolve(), "ELEATT_RUNS"),
    ):
        state = "" if path.exists() else "  (made when needed)"
        if path.exists() and variable and not os.access(path, os.W_OK):
            state = f"  NOT WRITABLE: choose another folder with {variable}"
        print(f"  {name:<18} {path}{state}")
    return 0


def _devices() -> list[str]:
    import torch

    from eleatt_bench.nn.backends import resolve_backend

    backend = resolve_backend("auto", "cpu")
    lines = [f"cpu   {cpu_name()}, {torch.get_num_threads()} threads; layers run on: {backend}"]
    for index in range(torch.cuda.device_count()):
        backend = resolve_backend("auto", f"cuda:{index}")
        lines.append(
            f"cuda  {index}: {torch.cuda.get_device_name(index)}; layers run on: {backend}"
        )
    if not torch.cuda.is_available():
        built = torch.version.cuda is not None
        lines.append(
            "cuda  none: "
            + (
                "this torch supports it, but finds no device (nvidia-smi should list one)"
                if built
                else "this torch is built for CPUs; on a GPU machine install torch's CUDA build"
            )
        )
    return lines
