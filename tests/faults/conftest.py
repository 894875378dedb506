"""Small real runs for the faults to hit; they start within a tenth of a second."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from eleatt_bench.runs.record import RunFolder

SMALL = [
    "train", "experiment=digits", "model=eleatt_gru", "model.hidden_size=8", "model.dropout=0.3",
    "trainer.max_epochs=5", "trainer.num_threads=1", "scheduler=plateau", "scheduler.monitor=lr",
    "scheduler.options.patience=1", "scheduler.options.cooldown=0",  # a tenth from epoch 4 on
]  # fmt: skip


class Work:
    """A folder in which the server (server.py) runs ``eleatt-bench``; it holds the runs."""

    small = SMALL

    def __init__(self, server: subprocess.Popen[str], folder: Path, data_dir: Path) -> None:
        self._server, self.folder, self._data_dir = server, folder, data_dir
        folder.mkdir(parents=True, exist_ok=True)

    def start(
        self,
        arguments: list[str] = SMALL,
        *,
        kill_at: int | None = None,
        powerless: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> int:
        """Start ``eleatt-bench``; the id of its process, which leads a process group of its own."""
        (self.folder / "output.txt").unlink(missing_ok=True)
        environment = dict(environment or {})
        data = [] if "ELEATT_DATA" in environment else [f"data_dir={self._data_dir}"]
        return self._ask(
            {"arguments": [*arguments, *data], "folder": str(self.folder),
             "kill_at": kill_at, "powerless": powerless, "environment": environment}
        )  # fmt: skip

    def wait(self) -> int:
        """Wait for the process; its exit status, negative for a signal."""
        return self._ask("wait")

    def do(self, arguments: list[str] = SMALL, **options: Any) -> int:
        self.start(arguments, **options)
        return self.wait()

    @property
    def output(self) -> str:
        """What ``eleatt-bench`` wrote; empty if it was stopped before it opened the file."""
        path = self.folder / "output.txt"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    @property
    def run(self) -> RunFolder:
        """The one run."""
        (record,) = (self.folder / "runs").glob("*/record.json")
        return RunFolder(record.parents[1], record.parent.name)

    def clear(self) -> None:
        shutil.rmtree(self.folder / "runs", ignore_errors=True)

    def _ask(self, request: Any) -> int:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())


@pytest.fixture(scope="session")
def server() -> Iterator[subprocess.Popen[str]]:
    ours = ("ELEATT_", "COMP_", "HYDRA_")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    command = [sys.executable, str(Path(__file__).with_name("server.py"))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield process


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the digits are prepared once; every user may read it."""
    folder = tmp_path_factory.mktemp("data")
    for path in (folder, folder.parent, folder.parent.parent):
        path.chmod(0o755)
    return folder


@pytest.fixture
def work(server: subprocess.Popen[str], data_dir: Path, tmp_path: Path) -> Work:
    return Work(server, tmp_path / "work", data_dir)


@pytest.fixture(scope="session")
def undisturbed(
    server: subprocess.Popen[str], data_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Work:
    """The run that nothing happened to."""
    work = Work(server, tmp_path_factory.mktemp("undisturbed"), data_dir)
    assert work.do() == 0, work.output
    return work


@pytest.fixture
def hold_out(work: Work, undisturbed: Work, assert_same) -> Callable[[Callable[[], int]], int]:
    """Resume runs until ``disturb`` has stopped them a hundred times; how many runs finished.

    ``disturb`` starts the run, and returns the exit status that the run has if it was stopped.
    Every run that finishes must be the same as the undisturbed one.
    """

    def check(disturb: Callable[[], int]) -> int:
        stops = runs = 0
        while stops < 100:
            stopped = disturb()
            status = work.wait()
            assert status in (0, stopped), work.output
            assert "Traceback" not in work.output
            if status == stopped:
                stops += 1
                continue
            assert_same(work, undisturbed)
            work.clear()
            runs += 1
        assert work.do() == 0, work.output
        assert_same(work, undisturbed)
        return runs + 1

    return check


def epochs_of(folder: RunFolder) -> list[str]:
    """The lines of epochs.csv without the seconds, which must be there in full precision."""
    content = folder.epochs.read_text(encoding="utf-8")
    assert content.endswith("\n")
    lines = [line.rpartition(",") for line in content.splitlines()]
    assert all(repr(float(seconds)) == seconds for _, _, seconds in lines[1:])
    return [rest for rest, _, _ in lines]


@pytest.fixture(scope="session")
def assert_same():
    """Check that two folders hold the same run to the last bit, except for the time it took."""

    def check(one: Work, two: Work) -> None:
        a, b = one.run, two.run
        assert a.run_id == b.run_id
        for name in ("last", "best"):
            states = [torch.load(f.checkpoints / f"{name}.ckpt", weights_only=True) for f in (a, b)]
            assert states[0]["epoch"] == states[1]["epoch"]
            weights = [state["model"] for state in states]
            assert weights[0].keys() == weights[1].keys()
            assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
        with h5py.File(a.predictions) as x, h5py.File(b.predictions) as y:
            assert x.keys() == y.keys()
            assert all(np.array_equal(x[key][()], y[key][()]) for key in x)
        records = [folder.read() for folder in (a, b)]
        assert all(record is not None and record.pop("timing") for record in records)
        assert records[0] == records[1]
        tables = [epochs_of(folder) for folder in (a, b)]
        assert tables[0] == tables[1]
        assert [line.split(",")[0] for line in tables[0]] == ["epoch", "1", "2", "3", "4", "5"]
        curves = [EventAccumulator(str(folder.tensorboard)).Reload() for folder in (a, b)]
        steps = [[(e.step, e.value) for e in c.Scalars("train/loss")] for c in curves]
        assert steps[0] == steps[1]

    return check
