"""Work on several processes: in order, a few pieces ahead, and nothing left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from eleatt_bench.common import parallel
from eleatt_bench.common.errors import UserError
from eleatt_bench.common.parallel import available_cores

# Functions of the standard library: a spawned process must be able to import them.


def test_in_order_and_in_other_processes() -> None:
    numbers = list(range(-20, 20))
    assert list(parallel.in_order(abs, numbers, 2)) == list(map(abs, numbers))
    places = set(parallel.in_order(eval, ["__import__('os').getpid()"] * 8, 2))
    assert os.getpid() not in places
    assert not multiprocessing.active_children()


def test_one_process_is_this_one() -> None:
    assert list(parallel.in_order(eval, ["__import__('os').getpid()"], 1)) == [os.getpid()]
    assert 1 <= parallel.cores() <= 8


def test_pieces_are_read_only_a_few_ahead() -> None:
    taken = []

    def pieces() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    results = parallel.in_order(abs, pieces(), 2)
    assert [next(results) for _ in range(10)] == list(range(10))
    assert len(taken) <= 10 + 2 * 3 + 1
    results.close()
    assert not multiprocessing.active_children()


def test_an_error_is_raised_in_its_turn_and_ends_the_processes() -> None:
    results = parallel.in_order(int, ["1", "2", "x", "4"], 2)
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(ValueError, match="invalid literal"):
        next(results)
    assert not multiprocessing.active_children()


def test_a_process_that_is_killed() -> None:
    with pytest.raises(UserError, match=r"One of 2 processes .* was killed, perhaps for want of"):
        list(parallel.in_order(os._exit, [9] * 4, 2))
    assert not multiprocessing.active_children()


SCRIPT = """
    import sys, time
    from eleatt_bench.common import parallel

    if __name__ == "__main__":
        for pid in parallel.in_order(eval, ["__import__('os').getpid()"] * 4, 2):
            print(pid, flush=True)
        for done in parallel.in_order(eval, ["__import__('time').sleep(0.2)"] * 9999, 2):
            print("working", flush=True)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_behind(tmp_path: Path, how: signal.Signals) -> None:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    with subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # might be ignored here
    ) as process:
        assert process.stdout is not None
        while process.stdout.readline() != "working\n":
            pass
        if how == signal.SIGINT:
            os.killpg(process.pid, how)  # as a terminal does
        else:
            process.send_signal(how)
        _, errors = process.communicate(timeout=60)
    if how == signal.SIGINT:
        assert errors.count("Traceback") == 1  # of the script itself
        assert errors.rstrip().endswith("KeyboardInterrupt")
    deadline = time.monotonic() + 30
    while remaining(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not remaining(process.pid)


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


def test_available_cores_are_those_of_this_process() -> None:
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_a_process_bound_to_a_core_has_one() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from eleatt_bench.common.parallel import available_cores; print(available_cores())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


@pytest.mark.parametrize(
    ("outer", "inner", "cores"),
    [
        ("max 100000", "max 100000", 64),
        ("max 100000", "350000 100000", 3),
        ("200000 100000", "800000 100000", 2),
        ("50000 100000", "max 100000", 1),
    ],
)
def test_a_container_has_the_cores_of_its_quota(
    monkeypatch, tmp_path: Path, outer: str, inner: str, cores: int
) -> None:
    (tmp_path / "box/job").mkdir(parents=True)
    (tmp_path / "box/cpu.max").write_text(f"{outer}\n", encoding="utf-8")
    (tmp_path / "box/job/cpu.max").write_text(f"{inner}\n", encoding="utf-8")
    (tmp_path / "cgroup").write_text("0::/box/job\n", encoding="utf-8")
    monkeypatch.setattr(parallel, "_CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(parallel, "_CGROUPS", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    assert available_cores() == cores
    assert parallel.cores() == min(cores, 8)
