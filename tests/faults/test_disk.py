"""A disk that is full, or may not be written to."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount and to change owners")
NOBODY = 65534


@pytest.fixture
def small_disk(work) -> Iterator[Callable[[str], None]]:
    """``runs`` on a disk of its own; a function that gives it another size."""
    runs = work.folder / "runs"
    runs.mkdir()

    def mount(options: str) -> subprocess.CompletedProcess[str]:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(runs)]
        return subprocess.run(command, capture_output=True, text=True)

    mounted = mount("size=4k")
    if mounted.returncode:
        pytest.skip(f"tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    yield lambda size: mount(f"remount,size={size}").check_returncode()
    subprocess.run(["umount", str(runs)], check=True)


@root
@pytest.mark.parametrize(
    "kilobytes",
    [12, 56, pytest.param("all", marks=pytest.mark.slow)],
    ids=["log", "checkpoint", "everything"],
)
def test_a_full_disk_ends_in_one_sentence_and_the_run_continues(
    work, small_disk, undisturbed, assert_same, kilobytes
) -> None:
    """More and more room, until the run fits: each start goes on where the one before ended.

    Each failure needs room as well, 5 KiB in log.txt.
    """
    sizes = range(4, 900, 9) if kilobytes == "all" else (kilobytes, 100_000)
    for size in sizes:
        small_disk(f"{size}k")
        status = work.do()
        if status == 0:
            break
        assert status == 1, work.output
        said = work.output.splitlines()[-2]
        assert said.startswith("Error: Cannot write to runs"), work.output
        assert "No space left on device" in said
        assert "the same command continues the run" in said
        assert "Traceback" not in work.output
    assert status == 0, work.output
    assert_same(work, undisturbed)


def to_somebody_else(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY)


@root
def test_a_folder_that_may_not_be_written_to(work) -> None:
    (work.folder / "runs").mkdir()
    to_somebody_else(work.folder / "runs")
    assert work.do(powerless=True) == 1, work.output
    assert "Error: Cannot write to runs" in work.output
    assert "Permission denied" in work.output
    assert "Traceback" not in work.output


@root
def test_a_run_that_became_somebody_elses(work, undisturbed, assert_same) -> None:
    """While it was interrupted."""
    assert work.do(kill_at=30) < 0
    to_somebody_else(work.folder / "runs")
    assert work.do(powerless=True) == 1, work.output
    assert "Error: Cannot write to " in work.output
    assert "Permission denied" in work.output
    assert "Traceback" not in work.output
    assert work.do() == 0, work.output
    assert_same(work, undisturbed)
