"""``eleatt-bench doctor``: what is here, what is missing, and what to do about it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement

from eleatt_bench.cli.arguments import Parser
from eleatt_bench.cli.offers import overrides
from eleatt_bench.common.locations import config_dir, data_dir, runs_dir
from eleatt_bench.data import catalog
from eleatt_bench.training.environment import cpu_name, git_commit, versions


def doctor(arguments: list[str]) -> int:
    """``eleatt-bench doctor``."""
    parser = Parser(
        "eleatt-bench doctor",
        description="Show what is here, what is missing, and what to do about it.",
    )
    parser.add_argument(
        "--build", action="store_true", help="compile the fast layers for CPUs now (seconds)"
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="launcher=slurm or launcher=ray, and what else a sweep is to be given: a job is "
        "sent to the cluster to see what is there",
        offers=overrides(),
    )
    parser.add_argument("--probe", type=Path, help=argparse.SUPPRESS)  # for that job alone
    given = parser.parse(arguments)
    if given.probe or given.overrides:
        from eleatt_bench.cli import doctor_cluster

        if given.probe:
            doctor_cluster.answer(given.probe)
            return 0
        return 0 if doctor_cluster.ask_cluster(given.overrides) else 1
    print("Versions")
    for name, version in versions().items():
        print(f"  {name:<18} {version}")
    print(f"  {'commit':<18} {git_commit() or 'an installed package, or git does not answer'}")
    print("Devices")
    for line in _devices(given.build):
        print(f"  {line}")
    print("Extras")
    for name, state in _extras().items():
        print(f"  {name:<18} {state}")
    print("Data sets")
    for name in catalog.names():
        print(f"  {name:<18} {catalog.status(data_dir(), name)}")
    print("Folders")
    for line in _folders():
        print(f"  {line}")
    return 0


def _folders() -> Iterator[str]:
    for name, path, variable in (
        ("configs", config_dir(), ""),
        ("data", data_dir().resolve(), "ELEATT_DATA"),
        ("runs", runs_dir().resolve(), "ELEATT_RUNS"),
    ):
        state = "" if path.exists() else "  (made when needed)"
        if path.exists() and variable and not os.access(path, os.W_OK):
            state = f"  NOT WRITABLE: choose another folder with {variable}"
        yield f"{name:<18} {path}{state}"


def _devices(build: bool) -> list[str]:
    import torch

    from eleatt_bench.nn.backends import resolve_backend

    lines = [f"cpu   {cpu_name()}, {torch.get_num_threads()} threads; {_cpu_layers(build)}"]
    for index in range(torch.cuda.device_count()):
        backend = resolve_backend("auto", f"cuda:{index}")
        lines.append(
            f"cuda  {index}: {torch.cuda.get_device_name(index)}; layers run on: {backend}, "
            f"or model.backend=triton ({_triton()})"
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


def _extras() -> dict[str, str]:
    """For each extra of the package, whether its libraries are here, in versions that it takes."""
    found = {}
    package = metadata.distribution("eleatt-bench")
    needed = [Requirement(text) for text in package.requires or ()]
    for extra in package.metadata.get_all("Provides-Extra") or ():
        own = [one for one in needed if one.marker and one.marker.evaluate({"extra": extra})]
        wrong = "; ".join(filter(None, map(_wrong, own)))
        found[extra] = f"{wrong}: pip install 'eleatt-bench[{extra}]'" if wrong else "ready"
    return {extra: state for extra, state in found.items() if extra != "dev"}


def _wrong(needed: Requirement) -> str:
    """What keeps an installed library from being the ``needed`` one; empty if nothing does."""
    try:
        version = metadata.version(needed.name)
    except metadata.PackageNotFoundError:
        return f"lacks {needed.name}"
    if needed.specifier.contains(version, prereleases=True):
        return ""
    return f"has {needed.name} {version}, needs {needed.specifier}"


def _cpu_layers(build: bool) -> str:
    """What layers run on, and why; with ``build``, the library of ``native`` is compiled first."""
    from eleatt_bench.nn.contract import BackendError
    from eleatt_bench.nn.native import why_not
    from eleatt_bench.nn.native.build import library_path

    try:
        path = library_path()
    except BackendError as error:
        return f"layers run on: scan, because {error}"
    if not build and not path.exists():
        return (
            "layers run on: native, which is compiled at its first use, "
            "or now with eleatt-bench doctor --build"
        )
    reason = why_not()
    if reason is not None:
        return f"layers run on: scan, because native cannot be had ({reason})"
    return f"layers run on: native ({path})"


def _triton() -> str:
    """The version of Triton, or how to install it."""
    if find_spec("triton") is None:
        return "not installed: pip install 'eleatt-bench[triton]'"
    return f"triton {metadata.version('triton')}"
