"""``data prepare`` on several cores, stopped at any moment: no half store, nobody left behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eleatt_bench.data import catalog
from eleatt_bench.data.sources import ntu
from eleatt_bench.data.writing import write_store

FILES = 1100  # enough for two processes
OLD = b"the old store"
EXIT = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -signal.SIGKILL}

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ntu")
    joint = "{:.4f} {:.4f} 3.1 277.4 191.8 1036.2 519.1 -0.2 0.1 0.9 -0.1 2"
    for number in range(FILES):
        lines = ["2"]
        for frame in range(2):
            lines += ["1", "72057594037931101 0 1 1 1 1 0 0.027 0.057 2", "25"]
            lines += [joint.format(number / 100, k * (1 + frame) / 10) for k in range(25)]
        name = f"S001C001P{1 + number // 60:03d}R001A{1 + number % 60:03d}"
        (folder / f"{name}.skeleton").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def digest(release: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of the store that this one process makes."""
    read = ntu.read(release, processes=1)
    store = write_store(
        tmp_path_factory.mktemp("alone") / "ntu.h5",
        name="ntu",
        samples=read.samples,
        class_names=read.class_names,
        layout=read.layout,
        source=read.description,
    )
    return store.content_digest


def remaining(session: int) -> list[str]:
    """The processes of a session that have not ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        state, _, _, of = text.rpartition(")")[2].split()[:4]
        if int(of) == session and state != "Z":
            found.append(text)
    return found


class Preparing:
    """The command, in a session of its own."""

    def __init__(self, release: Path, data_dir: Path, environment: dict[str, str]) -> None:
        self.path = catalog.store_path(data_dir, "ntu")
        command = ["-m", "eleatt_bench", "data", "prepare", "ntu", "--source", str(release)]
        self.process = subprocess.Popen(
            [sys.executable, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment | {"ELEATT_DATA": str(data_dir)},
            start_new_session=True,
        )

    def stop(self, number: signal.Signals) -> None:
        """As a terminal's Ctrl-C, which all processes get, or as a command's kill."""
        if number == signal.SIGINT:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """The exit status and what was said; nobody may be left a moment later."""
        out, err = self.process.communicate(timeout=60)
        deadline = time.monotonic() + 10
        while remaining(self.process.pid):
            assert time.monotonic() < deadline, remaining(self.process.pid)
            time.sleep(0.02)
        return self.process.returncode, out + err


def disturb(release: Path, data_dir: Path, environment: dict[str, str], number, digest) -> bool:
    """Stop it at any moment; whether it had not ended before."""
    path = catalog.store_path(data_dir, "ntu")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(OLD)
    preparing = Preparing(release, data_dir, environment)
    time.sleep(random.uniform(0.3, 2.5))
    preparing.stop(number)
    status, said = preparing.end()
    if number != signal.SIGKILL:  # a process that was being started loses its parent
        assert "Traceback" not in said, said
    if status == 0:
        assert catalog.open_store(data_dir, "ntu").content_digest == digest
        return False
    assert status in (EXIT[number], -number), said  # the latter: before anything was imported
    if status > 0:
        assert said.splitlines()[-1].startswith("Interrupted: nothing has changed")
    if path.read_bytes() != OLD:  # it was stopped after the last step
        assert catalog.open_store(data_dir, "ntu").content_digest == digest
    return True


@pytest.mark.slow
def test_stopped_at_any_moment_and_then_not(
    release: Path, digest: str, tmp_path: Path, user_environment: dict[str, str]
) -> None:
    for number in EXIT:
        disturb(release, tmp_path, user_environment, number, digest)
    preparing = Preparing(release, tmp_path, user_environment)
    while len(remaining(preparing.process.pid)) < 2 and preparing.process.poll() is None:
        time.sleep(0.001)
    assert preparing.process.poll() is None, "it has used one core only"
    status, said = preparing.end()
    assert status == 0, said
    assert catalog.open_store(tmp_path, "ntu").content_digest == digest
    assert {p.name for p in preparing.path.parent.iterdir()} <= {"ntu.h5", ".ntu.lock"}


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_stopped_at_fifty_random_moments(
    release: Path, digest: str, tmp_path: Path, user_environment: dict[str, str]
) -> None:
    stopped = 0
    while stopped < 50:
        number = random.choice(list(EXIT))
        stopped += disturb(release, tmp_path, user_environment, number, digest)
    preparing = Preparing(release, tmp_path, user_environment)
    status, said = preparing.end()
    assert status == 0, said
    assert {p.name for p in preparing.path.parent.iterdir()} <= {"ntu.h5", ".ntu.lock"}
