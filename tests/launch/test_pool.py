"""The pool with real processes: how many, with what environment, and how they end."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from eleatt_bench.launch import process
from eleatt_bench.launch.devices import DevicePool, Memory
from eleatt_bench.launch.engine import run_jobs
from eleatt_bench.launch.journal import Journal
from eleatt_bench.launch.pool import Pool
from eleatt_bench.launch.process import Job

from .conftest import wait_for

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[Job]]:
    """Jobs whose command line is a Python script instead of eleatt-bench; started cold."""
    monkeypatch.setattr(process, "command", lambda arguments: [sys.executable, *arguments])

    def jobs(*scripts: str) -> list[Job]:
        return [
            Job(("-c", textwrap.dedent(script)), f"job {i}", tmp_path / f"{i}.log", warm_ok=False)
            for i, script in enumerate(scripts)
        ]

    return jobs


def quiet() -> Console:
    return Console(file=io.StringIO())


def test_results_come_in_the_order_of_the_jobs_and_a_failure_stops_nobody(scripted) -> None:
    jobs = scripted("import time; time.sleep(0.4)", "print('no'); raise SystemExit(3)", "pass")
    results = run_jobs(jobs, Pool(num_jobs=2, threads_per_job=1), console=quiet())
    assert [r.job for r in results] == jobs
    assert [r.returncode for r in results] == [0, 3, 0]
    assert results[0].seconds > 0.3
    assert jobs[1].log_path.read_text(encoding="utf-8") == "no\n"


def test_no_more_than_num_jobs_run_at_once(scripted, tmp_path: Path) -> None:
    script = f"""
        import os, time
        from pathlib import Path
        mine = Path({str(tmp_path)!r}) / f"running-{{os.getpid()}}"
        mine.touch()
        time.sleep(0.2)
        print(len(list(Path({str(tmp_path)!r}).glob("running-*"))))
        mine.unlink()
    """
    jobs = scripted(*[script] * 6)
    run_jobs(jobs, Pool(num_jobs=2, threads_per_job=1), console=quiet())
    together = [int(job.log_path.read_text(encoding="utf-8")) for job in jobs]
    assert max(together) == 2


def test_a_job_knows_its_threads_and_nothing_of_ranks(scripted, monkeypatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "SLURM_PROCID"):
        monkeypatch.setenv(name, "1")
    script = "import os; print(*sorted(f'{k}={v}' for k, v in os.environ.items()), sep='\\n')"
    jobs = scripted(script)
    run_jobs(jobs, Pool(num_jobs=1, threads_per_job=3), console=quiet())
    lines = jobs[0].log_path.read_text(encoding="utf-8").splitlines()
    environment = dict(line.split("=", 1) for line in lines if "=" in line)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "ELEATT_NUM_THREADS"):
        assert environment[name] == "3"
    assert not {"RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "SLURM_PROCID"} & set(
        environment
    )


def test_every_device_is_lent_to_so_many_jobs_and_no_more(scripted, tmp_path: Path) -> None:
    script = f"""
        import os, time
        from pathlib import Path
        device = os.environ["CUDA_VISIBLE_DEVICES"]
        mine = Path({str(tmp_path)!r}) / f"on-{{device}}-{{os.getpid()}}"
        mine.touch()
        time.sleep(0.3)
        print(device, len(list(Path({str(tmp_path)!r}).glob(f"on-{{device}}-*"))))
        mine.unlink()
    """
    jobs = scripted(*[script] * 8)
    devices = DevicePool(["4", "7"], jobs_per_device=2)
    run_jobs(jobs, Pool(num_jobs=4, threads_per_job=1, devices=devices), console=quiet())
    used = [job.log_path.read_text(encoding="utf-8").split() for job in jobs]
    assert {device for device, _ in used} == {"4", "7"}
    assert max(int(count) for _, count in used) == 2


def test_a_job_waits_for_the_one_it_needs(scripted, tmp_path: Path) -> None:
    done = tmp_path / "done"
    slow, needy, free = scripted(
        f"import time; time.sleep(0.5); open({str(done)!r}, 'w').close()",
        f"import os; print(os.path.exists({str(done)!r}))",
        f"import os; print(os.path.exists({str(done)!r}))",
    )
    needy = replace(needy, needs=slow)
    jobs = [slow, needy, free]
    results = run_jobs(jobs, Pool(num_jobs=2, threads_per_job=1), console=quiet())
    assert [r.returncode for r in results] == [0, 0, 0]
    assert [job.log_path.read_text(encoding="utf-8") for job in (needy, free)] == [
        "True\n",
        "False\n",  # did not wait for a job that it does not need
    ]


def test_what_needs_a_failed_job_is_not_started_and_the_others_are(scripted) -> None:
    failing, needy, next_one, free = scripted("raise SystemExit(3)", "pass", "pass", "pass")
    needy = replace(needy, needs=failing)
    next_one = replace(next_one, needs=needy)
    console = quiet()
    jobs = [failing, needy, next_one, free]
    results = run_jobs(jobs, Pool(num_jobs=1, threads_per_job=1), console=console)
    assert [r.returncode for r in results] == [3, None, None, 0]
    assert not needy.log_path.exists()
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "LEFT OUT  job 1: it needs job 0" in text
    assert "LEFT OUT  job 2: it needs job 1" in text
    assert "1 done, 1 failed, 2 left out in " in text


def test_what_another_process_is_at_waits_while_others_go_on(scripted, tmp_path: Path) -> None:
    done = tmp_path / "done"
    held, other = scripted(
        "pass", f"import time; time.sleep(0.3); open({str(done)!r}, 'w').close()"
    )
    held = replace(held, busy=lambda: not done.exists())
    console = quiet()
    results = run_jobs([held, other], Pool(num_jobs=1, threads_per_job=1), console=console)
    assert [r.returncode for r in results] == [0, 0]
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[0] == "0/2 waits  job 0: another process is at it"
    assert [line.split("  ")[0] for line in lines[1:5]] == [
        "1/2 started", "1/2 done", "2/2 started", "2/2 done",
    ]  # fmt: skip


def test_who_came_too_late_comes_again(scripted, tmp_path: Path) -> None:
    (job,) = scripted(f"""
        from pathlib import Path
        tries = Path({str(tmp_path)!r}) / "tries"
        tries.touch()
        tries.write_text(tries.read_text() + "I")
        raise SystemExit(75 if len(tries.read_text()) < 3 else 4)
    """)
    late = replace(job, busy=lambda: False)
    (result,) = run_jobs([late], Pool(num_jobs=1, threads_per_job=1), console=quiet())
    assert result.returncode == 4
    assert (tmp_path / "tries").read_text() == "III"
    (tmp_path / "tries").unlink()
    (result,) = run_jobs([job], Pool(num_jobs=1, threads_per_job=1), console=quiet())
    assert result.returncode == 75, "of a job that nobody else can be at it is a failure"


def test_a_job_waits_for_memory_while_smaller_ones_go_on(scripted, monkeypatch) -> None:
    monkeypatch.setattr("eleatt_bench.launch.pool.free_memory", lambda: 100)
    names = ("large", "larger", "small", "unknown")
    jobs = [
        replace(job, label=name, memory=Memory(host))
        for job, name, host in zip(
            scripted(*["import time; time.sleep(0.4)"] * 4), names, (70, 200, 30, None), strict=True
        )
    ]
    console = quiet()
    results = run_jobs(jobs, Pool(num_jobs=4, threads_per_job=1), console=console)
    assert [result.returncode for result in results] == [0] * 4
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    started = [line.split("  ")[-1] for line in lines if " started " in line]
    assert started == ["large", "small", "unknown", "larger"]
    assert "0/4 waits  larger: beside those that run there is no memory for it" in lines


def test_by_its_journal_no_device_was_held_by_more_jobs_than_it_serves(
    scripted, tmp_path: Path
) -> None:
    script = """
        import os, random, signal, time
        time.sleep(random.uniform(0, 0.1))
        if random.random() < 0.3:
            os.kill(os.getpid(), signal.SIGKILL)
    """
    journal = Journal(tmp_path / "jobs.jsonl")
    pool = DevicePool(["0", "1", "2", "3"], jobs_per_device=2)
    jobs = scripted(*[script] * 50)
    results = run_jobs(
        jobs, Pool(num_jobs=8, threads_per_job=1, devices=pool, journal=journal), console=quiet()
    )
    lines = (tmp_path / "jobs.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    held: dict[str, set[int]] = {device: set() for device in "0123"}
    most = 0
    for event in events:
        if event["event"] == "started":
            held[event["device"]].add(event["pid"])
        else:
            held[event["device"]].remove(event["pid"])
        most = max(most, *map(len, held.values()))
    assert most == 2
    assert not any(held.values())
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)
    ended = {event["job"]: event["returncode"] for event in events if event["event"] == "ended"}
    assert ended == {result.job.label: result.returncode for result in results}
    assert set(ended.values()) == {0, -9}


def test_the_journal_has_the_ends_of_jobs_that_ended_with_their_launcher(
    scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eleatt_bench.launch.pool.GRACE", 0.5)
    obeys, stubborn = scripted(
        "import time; print(1, flush=True); time.sleep(600)",
        """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print(1, flush=True)
        time.sleep(600)
        """,
    )
    journal = Journal(tmp_path / "jobs.jsonl")
    processes: list[process.Running] = []

    def be_interrupted() -> None:
        with Pool(num_jobs=2, threads_per_job=1, journal=journal) as running:
            for job in (obeys, stubborn):
                running.start(job)
            processes.extend(one for one, _ in running._running.values())
            wait_for(lambda: all(job.log_path.read_text() for job in (obeys, stubborn)), 30)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        be_interrupted()
    wait_for(lambda: all(one.poll() is not None for one in processes), 5)
    lines = (tmp_path / "jobs.jsonl").read_text(encoding="utf-8").splitlines()
    ends = [event for event in map(json.loads, lines) if event["event"] == "ended"]
    assert {event["job"]: event["returncode"] for event in ends} == {"job 0": -15, "job 1": -9}


def test_redirected_output_is_plain_lines(scripted) -> None:
    console = quiet()
    jobs = scripted("pass", "raise SystemExit(1)")
    run_jobs(jobs, Pool(num_jobs=1, threads_per_job=1), console=console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b" not in text
    lines = text.splitlines()
    starts = ["1/2 started  job 0", "1/2 done  job 0", "2/2 started  job 1", "2/2 FAILED  job 1"]
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=False))
    assert lines[4].startswith("1 done, 1 failed in ")
    assert len(lines) == 5


@linux_only
def test_nothing_that_a_job_leaves_behind_outlives_it(scripted, tmp_path: Path) -> None:
    left = tmp_path / "left"
    (job,) = scripted(f"""
        import subprocess, sys
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        open({str(left)!r}, "w").write(str(child.pid))
        raise SystemExit(1)
    """)
    run_jobs([job], Pool(num_jobs=1, threads_per_job=1), console=quiet())
    wait_for(lambda: not alive(int(left.read_text(encoding="utf-8"))), 5)


DRIVER = """
import sys
from pathlib import Path
from eleatt_bench.launch import pool, process
from eleatt_bench.launch.engine import run_jobs
from eleatt_bench.launch.pool import Pool
from eleatt_bench.launch.process import Job

process.command = lambda arguments: [sys.executable, *arguments]
folder, script, pool.GRACE = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
jobs = [Job(("-c", script, str(folder)), str(i), folder / f"{i}.log", False) for i in range(3)]
run_jobs(jobs, Pool(num_jobs=2, threads_per_job=1))
"""

INTERRUPTED = """
import signal, time
begin = pool.start
def begin_and_be_interrupted(*arguments, **more):
    process = begin(*arguments, **more)
    while not any(p.read_text() for p in folder.glob("pid-*")):
        time.sleep(0.02)
    signal.raise_signal(signal.SIGINT)
    return process
pool.start = begin_and_be_interrupted
"""

SLEEPER = """
import os, subprocess, sys, time
from pathlib import Path
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
Path(sys.argv[1], f"pid-{os.getpid()}").write_text(str(child.pid))
time.sleep(600)
"""

STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEPER


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """A process that runs three jobs, two at once; started when both have begun."""
    started: list[subprocess.Popen[str]] = []

    def start(script: str, grace: float = 1.0) -> subprocess.Popen[str]:
        driving = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(tmp_path), script, str(grace)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
        started.append(driving)
        wait_for(lambda: len(family(tmp_path)) == 4)
        return driving

    yield start
    for one in started:
        one.kill()
        one.communicate()
    for pid in family(tmp_path):
        if alive(pid):
            os.kill(pid, signal.SIGKILL)


def family(folder: Path) -> list[int]:
    """The process ids of the jobs that have started, and of their children."""
    files = [p for p in folder.glob("pid-*") if p.read_text(encoding="utf-8")]
    jobs = [int(p.name.removeprefix("pid-")) for p in files]
    return jobs + [int(p.read_text(encoding="utf-8")) for p in files]


def alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@linux_only
def test_ctrl_c_ends_all_jobs_and_what_they_started(driver, tmp_path: Path) -> None:
    driving = driver(SLEEPER)
    pids = family(tmp_path)
    driving.send_signal(signal.SIGINT)
    _, error = driving.communicate(timeout=20)
    assert driving.returncode != 0
    assert "KeyboardInterrupt" in error
    wait_for(lambda: not any(alive(pid) for pid in pids), 5)
    assert len(family(tmp_path)) == 4, "no further job may start"


@linux_only
def test_a_job_that_does_not_want_to_end_is_killed(driver, tmp_path: Path) -> None:
    driving = driver(STUBBORN)
    pids = family(tmp_path)
    driving.send_signal(signal.SIGINT)
    driving.communicate(timeout=20)
    wait_for(lambda: not any(alive(pid) for pid in pids), 5)


@linux_only
def test_ctrl_c_while_a_job_starts_ends_it_too(tmp_path: Path) -> None:
    driven = DRIVER.replace("run_jobs(", INTERRUPTED + "run_jobs(")
    done = subprocess.run(
        [sys.executable, "-c", driven, str(tmp_path), STUBBORN, "0.5"],
        capture_output=True, text=True, timeout=60,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert "KeyboardInterrupt" in done.stderr
    pids = family(tmp_path)
    assert len(pids) == 2, "no further job may start"
    try:
        wait_for(lambda: not any(alive(pid) for pid in pids), 5)
    finally:
        for pid in filter(alive, pids):
            os.kill(pid, signal.SIGKILL)


@linux_only
def test_a_second_ctrl_c_waits_no_longer(driver, tmp_path: Path) -> None:
    driving = driver(STUBBORN, grace=300)
    pids = family(tmp_path)
    driving.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert driving.poll() is None
    assert all(alive(pid) for pid in pids[:2])
    driving.send_signal(signal.SIGINT)
    driving.communicate(timeout=20)
    wait_for(lambda: not any(alive(pid) for pid in pids), 5)


@linux_only
def test_jobs_and_what_they_started_die_with_a_killed_launcher(driver, tmp_path: Path) -> None:
    driving = driver(SLEEPER)
    pids = family(tmp_path)
    for _ in range(2):  # what it has not been told of when the launcher dies, no guard can end
        assert "started" in driving.stdout.readline()
    driving.kill()
    driving.communicate()
    wait_for(lambda: not any(alive(pid) for pid in pids), 5)


def test_a_job_told_to_stop_ends_by_itself_or_is_killed_and_leaves_its_room(
    scripted, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("eleatt_bench.launch.pool.GRACE", 0.3)
    ready = "; from pathlib import Path; Path({!r}).touch(); time.sleep(60)"
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    files = [str(tmp_path / name) for name in ("polite", "deaf")]
    polite, deaf_one, after = scripted(
        "import time" + ready.format(files[0]), deaf + ready.format(files[1]), "pass"
    )
    ended: dict[Job, int] = {}
    with Pool(num_jobs=2, threads_per_job=1, devices=DevicePool(["0", "1"], 1)) as pool:
        pool.start(polite)
        pool.start(deaf_one)
        assert not pool.has_room
        wait_for(lambda: all(Path(file).exists() for file in files))
        pool.stop(polite)
        pool.stop(deaf_one)
        pool.stop(deaf_one)  # twice is as once
        wait_for(lambda: bool(ended.update(pool.ended()) or len(ended) == 2))
        assert ended == {polite: -signal.SIGTERM, deaf_one: -signal.SIGKILL}
        assert pool.has_room
        pool.start(after)
        wait_for(lambda: bool(ended.update(pool.ended()) or not len(pool)))
        assert ended[after] == 0


SUSPENDED = """
import sys
from pathlib import Path
from eleatt_bench.launch import process
from eleatt_bench.launch.engine import run_jobs
from eleatt_bench.launch.pool import Pool
from eleatt_bench.launch.process import Job

process.command = lambda arguments: [sys.executable, *arguments]
count = '''
import sys, time
for i in range(2000):
    print(i, flush=True)
    time.sleep(0.01)
    if i > 20 and len(sys.argv) > 1:
        break
'''
folder = Path(sys.argv[1])
jobs = [Job(("-c", count, *sys.argv[2:]), str(i), folder / f"{i}.log", warm_ok=False)
        for i in range(2)]
results = run_jobs(jobs, Pool(num_jobs=2, threads_per_job=1))
print([result.returncode for result in results])
"""


@pytest.mark.parametrize("then", ["go on", "end"])
def test_jobs_stop_and_go_on_with_their_launcher(tmp_path: Path, then: str) -> None:
    """Ctrl-Z is for the launcher alone: jobs have no terminal that could tell them."""
    command = [
        sys.executable,
        "-c",
        SUSPENDED,
        str(tmp_path),
        *(["short"] if then != "end" else []),
    ]
    launcher = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, process_group=0)
    logs = [tmp_path / f"{i}.log" for i in range(2)]

    def sizes() -> list[int]:
        return [log.stat().st_size if log.exists() else 0 for log in logs]

    wait_for(lambda: all(size > 10 for size in sizes()))
    os.kill(launcher.pid, signal.SIGTSTP)
    assert os.WIFSTOPPED(os.waitpid(launcher.pid, os.WUNTRACED)[1])
    time.sleep(0.2)
    before = sizes()
    time.sleep(0.5)
    assert sizes() == before
    if then == "end":
        launcher.terminate()  # is pending until it goes on
    launcher.send_signal(signal.SIGCONT)
    said, _ = launcher.communicate(timeout=30)
    if then == "end":
        assert launcher.returncode == -signal.SIGTERM
        assert sizes()[0] < 2000
    else:
        assert said.endswith("[0, 0]\n")
        assert [log.read_text().split()[-1] for log in logs] == ["21", "21"]
