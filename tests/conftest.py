"""What several rooms' tests share: the command line as a real process, real data, and videos."""

from __future__ import annotations

import gc
import io
import os
import shutil
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import settings

# For tests that set no number. `make test-slow` draws Hypothesis's default, ten times as many.
settings.register_profile("quick", max_examples=10, deadline=None)
settings.load_profile("quick")

# A shell lets its background jobs ignore Ctrl-C, and every program that they start inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Three workers for two cores: a third of the time, tests wait for processes they started."""
    from eleatt_bench.common import parallel

    return parallel.cores() * 3 // 2


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that all workers of a session have in common."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session", autouse=True)
def own_cache(shared: Path) -> Iterator[None]:
    """The tests of a session share a cache of their own; the user's is left alone.

    So are the user's folders of data, runs and configs.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(shared / "cache"))
        for variable in ("ELEATT_DATA", "ELEATT_RUNS", "ELEATT_CONFIGS"):
            patch.delenv(variable, raising=False)
        yield


@pytest.fixture(scope="session")
def composer(own_cache: None) -> Any:
    """One composer for all tests, so that each choice of groups is composed once."""
    from eleatt_bench.config.composer import Composer

    return Composer()


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder is one of the test's own, with nothing in it."""
    monkeypatch.chdir(tmp_path)


Once = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def once(shared: Path) -> Once:
    """Make a named folder once for all workers of a session; tests must not change it."""

    def made(name: str, make: Callable[[Path], object]) -> Path:
        folder, done = shared / name, shared / f"{name}.made"
        with FileLock(shared / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def trained(once: Once) -> Path:
    """A folder with ``data`` and ``runs``; its one run is trained from Python, as by a user."""
    import eleatt_bench as eb

    def train(folder: Path) -> None:
        where = [f"runs_dir={folder / 'runs'}", f"data_dir={folder / 'data'}"]
        said = ["experiment=digits", "quick=true", "model=eleatt_gru"]
        assert eb.train([*said, *where], quiet=True).status == "finished"

    return once("trained", train)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Exclude what collection makes from garbage collection, since all of it stays in use."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)  # before slow tests are left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the quick cases of a test with the mark ``few(n)`` as slow, except n, evenly spread."""
    cases: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if item.get_closest_marker("few") and not item.get_closest_marker("slow"):
            cases[item.nodeid.partition("[")[0]].append(item)
    for of_one in cases.values():
        (count,) = of_one[0].get_closest_marker("few").args  # type: ignore[union-attr]
        quick = {len(of_one) * number // count for number in range(count)}
        for number, item in enumerate(of_one):
            if number not in quick:
                item.add_marker(pytest.mark.slow)


MakeRecord = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def record_of() -> MakeRecord:
    """Make the whole record of a run ``run_id``; ``more`` adds keys or replaces values."""

    def make(run_id: str, accuracy: float = 0.5, **more: Any) -> dict[str, Any]:
        record = {
            "run_id": run_id, "status": "finished", "overrides": [], "command": "eleatt-bench",
            "identity": {
                "data": {"name": "digits", "sequence": "frames", "digest": None},
                "model": {"cell": "gru", "gated_layers": []}, "seed": 0, "recipe_version": 2,
            },
            "data_digest": "d" * 64, "epochs": 3, "parameters": 321, "device": "a CPU",
            "metrics": {stage: {"accuracy": accuracy} for stage in ("val", "test")},
            "accelerator": "cpu", "num_threads": 1, "backend": "scan", "timing": {},
        }  # fmt: skip
        return record | more

    return make


MakeFinished = Callable[..., Any]


@pytest.fixture(scope="session")
def finished_run(record_of: MakeRecord) -> MakeFinished:
    """Write a finished run of the digits whose files agree with each other, without training.

    There are two classes; ``right`` says for each test sample whether its prediction is right.
    ``before`` is the identity of the run whose weights this one begins with.
    """
    from omegaconf import OmegaConf

    from eleatt_bench.config.compose import compose_config
    from eleatt_bench.runs.curves import HEADER, as_line
    from eleatt_bench.runs.identity import identity, run_id
    from eleatt_bench.runs.predictions import Predictions, write_predictions
    from eleatt_bench.runs.record import RunFolder

    config = compose_config(["experiment=digits", "model=eleatt_gru"])

    def make(
        runs_dir: Path,
        seed: int = 0,
        right: tuple[int, ...] = (1, 1, 0, 1),
        config: Mapping[str, Any] = config,
        digest: str = "d" * 64,
        labels: np.ndarray | None = None,
        before: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> RunFolder:
        mine = {**config, "seed": seed}
        this = identity(mine, digest, before)
        if before is not None:
            more["pretraining"] = run_id(before)
        folder = RunFolder(runs_dir, run_id(this))
        random = np.random.default_rng(seed)
        if labels is None:  # the same in all runs, as they share the data
            labels = np.random.default_rng(0).integers(0, 2, len(right))
        logits = random.normal(size=(len(right), 2)).astype(np.float32)
        wrong = logits.argmax(axis=1) != np.where(right, labels, 1 - labels)
        logits[wrong] = logits[wrong, ::-1]
        names = np.array([f"s{index}".encode() for index in range(len(right))])
        folder.path.mkdir(parents=True)
        digest = write_predictions(
            folder.predictions, Predictions(names, labels, logits, ("no", "yes")), "digits"
        )
        folder.epochs.write_text(HEADER + "".join(as_line(e, {}) for e in (1, 2, 3)))
        folder.config.write_text(OmegaConf.to_yaml(OmegaConf.create(mine)), encoding="utf-8")
        folder.write(
            record_of(
                folder.run_id, float(np.mean(right)), identity=this, seed=seed,
                predictions_digest=digest, **{"data_digest": this["data"]["digest"], **more},
            )
        )  # fmt: skip
        return folder

    return make


CommandLine = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def user_environment() -> dict[str, str]:
    """This process's environment without the variables that move data, runs and logs.

    The width of the terminal, which pytest-xdist tells its workers, is left out as well.
    """
    ours = ("ELEATT_", "COMP_", "HYDRA_", "MLFLOW_", "WANDB_", "COLUMNS", "LINES")
    return {key: value for key, value in os.environ.items() if not key.startswith(ours)}


@pytest.fixture
def command_line(tmp_path: Path, user_environment: dict[str, str]) -> CommandLine:
    """Run ``eleatt-bench`` with the given arguments in an empty folder, as a user would."""

    def run(
        *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "eleatt_bench", *arguments],
            cwd=tmp_path,
            env=user_environment | dict(env or {}),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def published() -> Path:
    """The folder of the published data sets; without it the test is skipped."""
    root = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("ELEATT_SHARED_DATA", root.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no published data sets in {folder} (ELEATT_SHARED_DATA names the folder)")
    return folder


@pytest.fixture(scope="session")
def encoded() -> Callable[..., bytes]:
    """Encode pictures (T, H, W, 3) uint8 as an AVI file; losslessly, unless told otherwise."""
    import av

    def encode(pictures: np.ndarray, codec: str = "ffv1", pixels: str = "bgr0") -> bytes:
        file = io.BytesIO()
        with av.open(file, "w", format="avi") as container:
            stream = container.add_stream(codec, rate=25)
            stream.height, stream.width = pictures.shape[1:3]
            stream.pix_fmt = pixels
            container.start_encoding()
            for picture in pictures:
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return file.getvalue()

    return encode


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Export a network that takes pictures of 16 × 16 to a file, as a user would."""
    import torch
    from torch import nn

    def export(network: nn.Module, *, sides: object = None, example: object = None) -> Path:
        batch = torch.export.Dim("batch")
        inputs = example if example is not None else torch.zeros(2, 3, 16, 16)
        shapes = {0: batch, **(sides or {})} if sides != "fixed" else None
        program = torch.export.export(
            network, (inputs,), dynamic_shapes=(shapes,) if shapes else None
        )
        path = tmp_path_factory.mktemp("exported") / "net.pt2"
        torch.export.save(program, path)
        return path

    return export


@pytest.fixture(scope="session")
def colours(exported: Callable[..., Path]) -> Path:
    """An exported network whose five features are taken from a picture's mean colour."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    return exported(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 5)).eval())
