"""The folder of a run, with real locks held by real processes."""

from __future__ import annotations

import fcntl
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.runs.record import RunFolder, all_runs, find_run

HOLDER = """
import sys, time
from pathlib import Path
from eleatt_bench.runs.record import RunFolder
with RunFolder(Path(sys.argv[1]), "run").held():
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that works on the run."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_record_is_read_as_it_was_written(tmp_path: Path, record_of) -> None:
    run = RunFolder(tmp_path, "run")
    assert run.read() is None
    assert run.status() == "not started"
    record = record_of("run", 0.25, name="é")
    run.write(record)
    assert run.read() == record
    assert run.status() == "finished"


def test_numbers_that_are_none_are_never_written(tmp_path: Path, record_of) -> None:
    run = RunFolder(tmp_path, "run")
    record = record_of("run", status="running")
    run.write(record)
    with pytest.raises(ValueError, match="not JSON compliant"):
        run.write({**record, "accuracy": float("nan")})
    assert run.read() == record


def test_running_means_that_a_living_process_holds_the_lock(
    tmp_path: Path, holder: subprocess.Popen[str], record_of
) -> None:
    run = RunFolder(tmp_path, "run")
    run.write(record_of("run", status="running"))
    assert run.status() == "running"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert run.status() == "interrupted"


def test_a_finished_run_that_is_trained_anew_is_running(
    tmp_path: Path, holder: subprocess.Popen[str], record_of
) -> None:
    run = RunFolder(tmp_path, "run")
    run.write(record_of("run", status="finished"))
    assert run.status() == "running"
    holder.kill()
    holder.wait()
    assert run.status() == "finished"


def test_what_a_killed_process_held_is_free_at_once(
    tmp_path: Path, holder: subprocess.Popen[str], capsys: pytest.CaptureFixture[str]
) -> None:
    holder.kill()
    holder.wait()
    with RunFolder(tmp_path, "run").held(on_wait="waiting"):
        assert RunFolder(tmp_path, "run").status() == "running"
    assert capsys.readouterr().out == ""


def test_a_run_goes_from_state_to_state(tmp_path: Path, record_of) -> None:
    run = RunFolder(tmp_path, "run")
    states = [run.status()]
    with run.held():
        states.append(run.status())
        run.write(record_of("run", status="running"))
        states.append(run.status())
    states.append(run.status())
    for status in ("failed", "finished"):
        run.write(record_of("run", status=status))
        states.append(run.status())
    run.clear()
    states.append(run.status())
    assert states == [
        "not started", "running", "running", "interrupted", "failed", "finished", "interrupted",
    ]  # fmt: skip


def test_a_failure_frees_the_lock(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, "run")

    def fail() -> None:
        with run.held():
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert run.status() == "interrupted"


def test_looking_at_a_run_that_never_started_creates_nothing(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, "run")
    run.status()
    run.read()
    assert all_runs(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_the_lock_is_waited_for(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    waiting = subprocess.Popen(
        [sys.executable, "-c", HOLDER.replace(".held()", ".held(on_wait='waiting')"),
         str(tmp_path)], stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert waiting.stdout is not None
    said = waiting.stdout.readline()
    assert said.startswith(f"waiting (process {holder.pid} on {socket.gethostname()}, user ")
    holder.kill()
    assert waiting.stdout.readline() == "held\n"
    waiting.kill()
    waiting.communicate()


def test_clear_leaves_the_lock_alone(tmp_path: Path, record_of) -> None:
    run = RunFolder(tmp_path, "run")
    with run.held():
        run.write(record_of("run", status="finished"))
        for path in (run.predictions, run.log, run.config, run.path / "eval-best.json"):
            path.write_text("x", encoding="utf-8")
        run.checkpoints.mkdir()
        (run.checkpoints / "last.ckpt").write_text("x", encoding="utf-8")
        run.clear()
        assert [p.name for p in run.path.iterdir()] == [".lock"]
        assert run.status() == "running"


def test_a_run_is_found_by_its_name_or_a_beginning_of_it(tmp_path: Path, record_of) -> None:
    for name in ("digits-gru-seed0-abc123", "digits-gru-seed1-abd456", "sweeps-not-a-run"):
        (tmp_path / name).mkdir()
    names = ["digits-gru-seed0-abc123", "digits-gru-seed1-abd456"]
    for name in names:
        RunFolder(tmp_path, name).write(record_of(name))
    assert [run.run_id for run in all_runs(tmp_path)] == names
    for name in (names[0], "digits-gru-seed0", "abc123", "abc"):
        assert find_run(tmp_path, name).run_id == names[0]
    with pytest.raises(UserError, match="the beginning of 2 runs"):
        find_run(tmp_path, "ab")
    with pytest.raises(UserError, match=f"Did you mean '{names[1]}'"):
        find_run(tmp_path, "digits-gru-sed1-abd456")
    for unknown in ("", "xyz", "bc123"):  # neither nothing nor the middle of a name is a name
        with pytest.raises(UserError, match="Unknown run"):
            find_run(tmp_path, unknown)
    with pytest.raises(UserError, match="There are no runs"):
        find_run(tmp_path / "none", "x")


def test_whole_words_of_a_name_win_over_what_is_longer(tmp_path: Path, record_of) -> None:
    """As pages say it: seed 1 is found by its seed also where there are seeds 10 and 11."""
    names = [f"digits-{net}-seed{n}-abc{n:03}" for net in ("gru", "gru_w") for n in (1, 10, 11)]
    for name in names:
        RunFolder(tmp_path, name).write(record_of(name))
    for name in names:
        assert find_run(tmp_path, name.rpartition("-")[0]).run_id == name
    for name, count in (("digits-gru-seed", 3), ("digits-gru-", 3), ("digits-gru", 3), ("d", 6)):
        with pytest.raises(UserError, match=f"the beginning of {count} runs"):
            find_run(tmp_path, name)
    RunFolder(tmp_path, "digits-gru-seed1-def").write(record_of("digits-gru-seed1-def"))
    with pytest.raises(UserError, match="'digits-gru-seed1' is the beginning of 2 runs"):
        find_run(tmp_path, "digits-gru-seed1")


def test_no_name_is_no_name_even_of_the_only_run(tmp_path: Path, record_of) -> None:
    RunFolder(tmp_path, "digits-gru-seed0-abc123").write(record_of("digits-gru-seed0-abc123"))
    with pytest.raises(UserError, match="Unknown run ''"):
        find_run(tmp_path, "")


def test_looking_writes_nothing_and_needs_no_permission(
    tmp_path: Path, holder: subprocess.Popen[str], record_of
) -> None:
    free = RunFolder(tmp_path, "free")
    with free.held():
        free.write(record_of("free", status="finished"))
    folders = [free.path, tmp_path / "run"]
    for path in folders:
        (path / ".lock").chmod(0o444)
        path.chmod(0o555)
    try:
        before = [path.stat() for folder in folders for path in (folder, folder / ".lock")]
        code = POWERLESS + (
            "from eleatt_bench.runs.record import RunFolder\n"
            "print(*(RunFolder(Path(sys.argv[1]), n).status() for n in ('free', 'run')))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True
        )
        assert done.stdout == "finished running\n", done.stderr
        after = [path.stat() for folder in folders for path in (folder, folder / ".lock")]
        assert [(s.st_mtime_ns, s.st_ctime_ns) for s in before] == [
            (s.st_mtime_ns, s.st_ctime_ns) for s in after
        ]
    finally:
        for path in folders:
            path.chmod(0o755)


# Root may write anywhere: without its privileges permissions count (capset(2), Linux alone).
POWERLESS = """
import ctypes, os, sys
from pathlib import Path
if os.geteuid() == 0 and sys.platform == "linux":
    header, nothing = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert ctypes.CDLL(None).capset(header, nothing) == 0
"""


def test_those_who_look_do_not_see_each_other(tmp_path: Path, record_of) -> None:
    run = RunFolder(tmp_path, "run")
    with run.held():
        run.write(record_of("run", status="finished"))
    with (run.path / ".lock").open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert run.status() == "finished"


def test_a_removed_run_is_gone_and_may_begin_anew(
    tmp_path: Path, holder: subprocess.Popen[str], record_of
) -> None:
    run = RunFolder(tmp_path, "run")
    run.write(record_of("run", status="running"))
    with pytest.raises(UserError, match="run is running: stop it first"):
        run.remove()
    assert run.record.exists()
    waiting = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    holder.kill()
    holder.wait()
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "held\n"
    waiting.kill()
    waiting.communicate()
    run.remove()
    assert list(tmp_path.iterdir()) == []
    with run.held():
        assert run.status() == "running"


def test_a_half_removed_run_is_no_run(tmp_path: Path, record_of) -> None:
    RunFolder(tmp_path, ".digits.1.tmp").write(record_of(".digits.1.tmp"))
    assert all_runs(tmp_path) == []
