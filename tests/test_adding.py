"""The pages about adding things, followed step by step in a copy of the project."""

from __future__ import annotations

import os
import random
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

Run = Callable[..., subprocess.CompletedProcess[str]]

AT_HOME = """
import eleatt_bench as eb

layer = eb.load_run("digits-eleatt_mgu-seed1").network().recurrent
print(type(layer).__name__, layer.backend)
assert type(layer) is eb.EleAttMGU
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what a reader of the pages would change."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for folder in ("src", "configs"):
        shutil.copytree(ROOT / folder, tmp_path / "project" / folder, ignore=ignored)
    return tmp_path / "project"


@pytest.fixture
def run(project: Path) -> Run:
    """Run a command of the copy, in the copy."""

    def go(*command: str) -> subprocess.CompletedProcess[str]:
        ours = ("ELEATT_", "COMP_", "HYDRA_")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        environment["PYTHONPATH"] = str(project / "src")
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=project, env=environment, capture_output=True, text=True, timeout=600,
        )  # fmt: skip

    return go


def follow(page: str, project: Path) -> list[list[str]]:
    """Write the files that ``page`` shows and make its changes; the commands that it tells."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    for path, content in re.findall(r"^`([^`\n]+)`:\n\n```\w+\n(.*?)^```$", text, re.M | re.S):
        file = project / path
        assert not file.exists()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    changes = "".join(re.findall(r"^```diff\n(.*?)^```$", text, re.M | re.S))
    assert changes
    command = ["git", "apply", "--verbose", "-"]
    done = subprocess.run(command, cwd=project, input=changes, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    blocks = re.findall(r"^```console\n(.*?)^```$", text, re.M | re.S)
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines()]


@pytest.mark.slow
def test_adding_a_data_set(project: Path, run: Run) -> None:
    commands = follow("adding-a-data-set.md", project)
    (project / "raw").mkdir()
    for label, name in enumerate(("fist", "point", "wave")):
        for subject in range(1, 5):
            for take in range(1, 4):
                lines = []
                for _ in range(random.randint(5, 9)):
                    values = [random.uniform(label / 3, (label + 1) / 3) for _ in range(5)]
                    lines.append(",".join(f"{value:.3f}" for value in values))
                file = project / "raw" / f"{name}_s{subject:02d}_t{take:02d}.csv"
                file.write_text("\n".join(lines) + "\n")
    said = {}
    for command in commands:
        done = run("eleatt_bench", *command)
        assert done.returncode == 0, done.stderr
        said[" ".join(command[:2])] = done.stdout
    assert "36 sequences" in said["data prepare"]
    assert "27 to train and validate, 9 to test in each of 4 folds" in said["data verify"]
    assert "test accuracy" in said["train experiment=gloves"]
    assert "gloves   ready (36 sequences)" in run("eleatt_bench", "data", "list").stdout
    tested = run("pytest", "-q", "-c", os.devnull, "--rootdir", str(project), "tests")
    assert tested.returncode == 0, tested.stdout


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_adding_a_cell(project: Path, run: Run) -> None:
    commands = follow("adding-a-cell.md", project)
    tested = run("pytest", "-q", "-c", os.devnull, "--rootdir", str(project), "tests")
    assert tested.returncode == 0, tested.stdout
    said = {}
    for command in commands:
        done = run("eleatt_bench", *command)
        assert done.returncode == 0, done.stderr
        said[command[0]] = done.stdout
    assert "test accuracy" in said["eval"]
    assert list(project.glob("runs/digits-eleatt_mgu-seed1-*/attention/layer0/*.h5"))
    (project / "at_home.py").write_text(AT_HOME)
    done = run("at_home")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "EleAttMGU equations\n"
    long = ("experiment=mnist_rows", "model=mgu", "--cfg", "job")
    assert "chrono_steps: 28" in run("eleatt_bench", "train", *long).stdout
    table = run("eleatt_bench", "table", "digits")
    assert table.returncode == 0, table.stderr
    assert "None of 3 claims of digits tested." in table.stdout, "what was there still works"
    assert re.search(r"^ *EleAtt-GRU +0/3 seeds +4,594 ", table.stdout, re.MULTILINE)
    refused = run(
        "eleatt_bench", "train", "experiment=digits", "model=mgu", "model.backend=scan", "seed=9"
    )
    assert refused.returncode == 1
    assert "an MGU has the backend 'equations' alone" in refused.stderr
