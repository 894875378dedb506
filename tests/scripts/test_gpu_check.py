"""The check for a GPU, rehearsed without one: what fails, hangs or dies costs only itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
PLANTED = """
import os, time
import {before}
import gpu_check
if "--worker" in gpu_check.sys.argv:
    import gpu_check_stages as stages
    def fails(): raise ValueError("planted")
    def hangs(): time.sleep(600)
    numbers = stages.STAGES[2]
    stages.STAGES[2] = lambda plan: [
        stages.Item("fault", 60, fails),
        stages.Item("hang", 2, hangs),
        stages.Item("crash", 60, os.abort),
        *[item for item in numbers(plan) if item.name.startswith(("RNN none", "GRU sigmoid trit"))],
    ]
gpu_check.main()
"""
BLOCKER = """
import sys
from importlib.machinery import PathFinder
class Found(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] not in {"pytest", "matplotlib", "pandas", "pytorch_lightning",
                                          "hydra", "h5py", "sklearn", "tensorboard"}:
            return super().find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Found
"""


def rehearse(
    folder: Path, *arguments: str, before: str = "sys"
) -> tuple[int, list[dict[str, Any]]]:
    """The exit code and the rows of the check with what is planted in its second stage."""
    script, out = folder / "planted.py", folder / "out.jsonl"
    script.write_text(PLANTED.replace("{before}", before))
    command = [sys.executable, str(script), "--rehearse", "--out", str(out), *arguments]
    path = os.pathsep.join([str(SCRIPTS), str(folder), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    assert done.stderr == ""
    return done.returncode, [json.loads(line) for line in out.read_text().splitlines()]


@pytest.mark.slow
def test_what_fails_hangs_or_dies_costs_only_itself(tmp_path: Path) -> None:
    pytest.importorskip("triton")
    (tmp_path / "blocker.py").write_text(BLOCKER)  # of what the numbers do not need
    code, rows = rehearse(tmp_path, "--stages", "0", "2", "--deadline", "250", before="blocker")
    states = {row["item"]: row["state"] for row in rows}
    assert code == 1
    assert (states["fault"], states["hang"], states["crash"]) == ("failed", "hung", "crashed")
    others = {item: s for item, s in states.items() if item not in ("fault", "hang", "crash")}
    assert set(others.values()) == {"passed", "left out"}
    assert {row["stage"] for row in rows} == {0, 2}
    fault = next(row for row in rows if row["item"] == "fault")
    assert fault["error"] == "ValueError: planted"


@pytest.mark.slow
def test_the_deadline_holds_and_says_what_was_not_reached(tmp_path: Path) -> None:
    pytest.importorskip("triton")
    began = time.monotonic()
    code, rows = rehearse(tmp_path, "--stages", "2", "3", "--deadline", "1")
    assert code == 1
    assert time.monotonic() - began < 15
    assert {row["stage"] for row in rows} == {2, 3}
    assert all(row["state"] != "passed" for row in rows)
