"""Locks where the file system has none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NOLOCK = """
#include <errno.h>
int flock(int descriptor, int operation) { errno = %s; return -1; }
"""


@pytest.fixture(params=["ENOLCK", "EOPNOTSUPP", "ENOSYS"])
def without_locks(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Environment variables with which `flock` answers as on a file system without locks."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs a C compiler, on Linux")
    source, library = tmp_path / "nolock.c", tmp_path / "nolock.so"
    source.write_text(NOLOCK % request.param)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    return {**os.environ, "LD_PRELOAD": str(library)}


LOOK = """
import sys
from pathlib import Path
from eleatt_bench.cli.runs import runs
from eleatt_bench.runs.record import all_runs
for folder in all_runs(Path(sys.argv[1])):
    print(folder.run_id, folder.status())
for action in ("list", "gc"):
    runs([action])
"""

WRITE = """
import sys
from pathlib import Path
from eleatt_bench.common.errors import UserError
from eleatt_bench.runs.record import RunFolder
for name in ("new", sys.argv[2]):
    for write in (lambda run: run.held().__enter__(), RunFolder.remove):
        try:
            write(RunFolder(Path(sys.argv[1]), name))
        except UserError as error:
            print(error)
"""


def test_who_looks_needs_none_and_who_writes_is_told(
    make_run, record_of, tmp_path: Path, without_locks: dict[str, str]
) -> None:
    finished, begun = make_run(seed=0), make_run(seed=1, status="running")
    for run in (finished, begun):
        with run.held():
            pass

    def python(code: str, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path), *arguments],
            env={**without_locks, "ELEATT_RUNS": str(tmp_path)}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    lines = python(LOOK).splitlines()
    assert f"{finished.run_id} finished" in lines
    assert f"{begun.run_id} unknown" in lines
    assert not (finished.checkpoints / "previous.ckpt").exists(), "gc went on"
    said = python(WRITE, begun.run_id).splitlines()
    assert len(said) == 4
    for line in said:
        assert " is on a file system without locks (" in line
        assert " at /" in line
        assert "Choose a folder on another one with runs_dir=FOLDER or ELEATT_RUNS" in line
    assert not (tmp_path / "new").exists()
    assert begun.record.exists()
