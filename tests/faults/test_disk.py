"""A disk that is full, or may not be written to."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
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
    [12, 56, "all"],
    ids=["log", "checkpoint", "everything"],
)
@pytest.mark.slow
def test_a_full_disk_ends_in_one_sentence_and_the_run_continues(
    work, small_disk, undisturbed, assert_same, kilobytes
) -> None:
    """More and more room, until the run fits: each start goes on where the one before ended.

    Each failure needs room as well, 5 KiB in log.txt.
    """
    failures = 0
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
        failures += 1
    assert status == 0, work.output
    assert failures > (3 if kilobytes == "all" else 0), "the disk was never full"
    assert_same(work, undisturbed)


def to_somebody_else(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY)


@pytest.mark.slow
@root
def test_a_folder_that_may_not_be_written_to(work) -> None:
    (work.folder / "runs").mkdir()
    to_somebody_else(work.folder / "runs")
    assert work.do(powerless=True) == 1, work.output
    assert "Error: Cannot write to runs" in work.output
    assert "Permission denied" in work.output
    assert "Traceback" not in work.output


@root
@pytest.mark.slow
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


LIKE_SMALL = [
    "model.hidden_size=8", "model.dropout=0.3", "trainer.max_epochs=5", "trainer.num_threads=1",
    "scheduler=plateau", "scheduler.monitor=lr", "scheduler.options.patience=1",
    "scheduler.options.cooldown=0", "table.seeds=[0]",
]  # fmt: skip
WRITING = {  # a verb, what it writes, and what it says of another place
    "export": (["runs", "export", "RUN", "--out", "FULL/x.zip"], "FULL/x.zip", "--out FILE"),
    "report": (["report", "--out", "FULL/report"], "FULL/report", "--out FOLDER"),
    "figures": (["report", "figures", "digits", *LIKE_SMALL, "--out", "FULL"], "-accuracies.p",
                "--out FOLDER"),
    "table": (["table", "digits", "--format", "json", "--out", "FULL/t.json"], "FULL/t.json",
              "--out FILE"),
    "attention": (["attention", "run=RUN", "--out", "FULL/a"], "FULL/a", "--out FOLDER"),
    "publish": (["results", "add", "digits", *LIKE_SMALL, "--to", "FULL/r"], "FULL/r",
                "--to FOLDER"),
    "show": (["data", "show", "digits", "--out", "FULL/x.png"], "FULL/x.png", "--out FILE"),
}  # fmt: skip


@root
@pytest.mark.parametrize(
    ("verb", "room"),
    # What the others write may fit into 8 KiB.
    [
        *zip(WRITING, itertools.repeat(0)),
        *itertools.product(("report", "figures", "export", "publish"), (8,)),
    ],
)
@pytest.mark.few(1)
def test_a_full_disk_is_named_with_what_helps_by_whatever_writes(
    work, small_disk, undisturbed, data_dir, verb, room
) -> None:
    full = work.folder / "runs"
    small_disk("64k")
    with suppress(OSError):
        (full / "ballast").write_bytes(bytes(64 * 1024))
    (full / "ballast").write_bytes(bytes((60 - room) * 1024))
    command, file, elsewhere = WRITING[verb]
    run = undisturbed.run
    command = [word.replace("FULL", str(full)).replace("RUN", run.run_id) for word in command]
    places = {"ELEATT_RUNS": str(run.path.parent), "ELEATT_DATA": str(data_dir)}
    status = work.do(command, environment=places)
    assert status == 1, work.output
    said = next(line for line in work.output.splitlines() if line.startswith("Error: "))
    assert said.startswith("Error: Cannot write to "), said
    assert file.replace("FULL", str(full)) in said
    assert "No space left on device. Make room there, or choose another place with" in said
    assert elsewhere in said
    assert [path.name for path in full.iterdir() if not path.is_dir()] == ["ballast"], "half a file"
    assert not any(full.rglob(".*.tmp")), "hidden leftovers"


SLOW = pytest.mark.slow
CHANGING = {
    "eval": (["eval", "run=RUN"], "Cannot write to runs/RUN/eval-best.json: No space"),
    "train": (["train", "experiment=digits", "model.hidden_size=9"], "Cannot write to runs/digits"),
    "import": (["runs", "import", "SOURCE"], "Cannot write to runs/RUN"),
    "grid": (["train", "-m", "experiment=digits", "seed=0,1"], "Cannot write to runs/sweeps"),
    "reproduce": (["reproduce", "digits", "quick=true", "table.seeds=[0]"],
                  "Cannot write to runs/tables/digits-quick-"),
    "search": (["search", "digits", "optimizer.lr=choice(0.1,0.2)", "--trials", "1"],
               "runs/searches/digits-"),
}  # fmt: skip


@root
@pytest.mark.parametrize(
    ("verb", "room"),
    [
        ("eval", 0),
        ("train", 0),
        *(
            pytest.param(*case, marks=SLOW)
            for case in itertools.product(list(CHANGING)[1:], (4, 8))
        ),
        *(pytest.param(verb, 0, marks=SLOW) for verb in list(CHANGING)[2:]),
    ],
)
def test_a_full_folder_of_runs(work, small_disk, undisturbed, data_dir, verb, room) -> None:
    runs, run = work.folder / "runs", undisturbed.run
    small_disk("2m")
    shutil.copytree(run.path, runs / run.run_id)
    with suppress(OSError):
        (runs / "ballast").write_bytes(bytes(2 << 20))
    size = (runs / "ballast").stat().st_size // 4096 * 4096
    (runs / "ballast").write_bytes(bytes(size - room * 1024))
    command, says = CHANGING[verb]
    command = [word.replace("SOURCE", str(run.path)).replace("RUN", run.run_id) for word in command]
    status = work.do(command, environment={"ELEATT_DATA": str(data_dir)})
    assert status == 1, work.output
    assert says.replace("RUN", run.run_id) in work.output
    assert re.search(r"[Nn]o space (is )?left|disk is full", work.output)
    assert "ake room there" in work.output
    assert "Traceback" not in work.output
    if verb == "eval":
        assert work.output.index("test accuracy") < work.output.index("Error: ")


@root
def test_a_finished_run_in_a_folder_one_may_only_read(work, undisturbed) -> None:
    shutil.copytree(undisturbed.folder / "runs", work.folder / "runs")
    to_somebody_else(work.folder / "runs")
    assert work.do(powerless=True) == 0, work.output
    assert "test accuracy" in work.output
    assert work.do([*work.small, "-m", "seed=0"], powerless=True) == 0, work.output
    assert "1 of 1 runs are finished already" in work.output
    assert not (work.folder / "runs" / "sweeps").exists()
    assert work.do(["eval", f"run={work.run.run_id}"], powerless=True) == 1
    said = work.output
    assert said.index("test accuracy") < said.index("Error: Cannot write to runs/")


@root
@pytest.mark.parametrize("verb", ["report", "attention", pytest.param("figures", marks=SLOW)])
def test_a_place_that_may_not_be_written_to_is_named_before_the_work(
    work, undisturbed, data_dir, verb
) -> None:
    place = work.folder / "theirs"
    place.mkdir()
    to_somebody_else(place)
    command, _, elsewhere = WRITING[verb]
    words = [word.replace("FULL", str(place)).replace("RUN", undisturbed.run.run_id)
             for word in command]  # fmt: skip
    places = {"ELEATT_RUNS": str(undisturbed.folder / "runs"), "ELEATT_DATA": str(data_dir)}
    assert work.do(words, powerless=True, environment=places) == 1
    assert f"Error: Cannot write to {place}" in work.output
    assert elsewhere in work.output
    assert not list(place.iterdir())


@pytest.mark.slow
def test_what_a_killed_report_left_goes_with_the_next(work, undisturbed, data_dir) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    out = work.folder / "pages"
    left = [work.folder / f".pages{old}.{gone.pid}.tmp" for old in ("", "-old")]
    others = [work.folder / f".pages.{os.getpid()}.tmp", work.folder / f".other.{gone.pid}.tmp"]
    for path in (*left, *others):
        (path / "runs").mkdir(parents=True)
    places = {"ELEATT_RUNS": str(undisturbed.folder / "runs"), "ELEATT_DATA": str(data_dir)}
    assert work.do(["report", "--out", str(out)], environment=places) == 0, work.output
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in others), "somebody may be writing it"
