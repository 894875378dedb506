"""Jobs through a real SLURM: how they end, what they are given, who finds them again."""

from __future__ import annotations

import io
import json
import os
import random
import re
import signal
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from eleatt_bench.common.errors import UserError
from eleatt_bench.launch.endings import tries_file
from eleatt_bench.launch.engine import run_jobs
from eleatt_bench.launch.slurm import commands
from eleatt_bench.launch.slurm.cancelling import cancel
from eleatt_bench.launch.slurm.engine import Slurm

from .conftest import ODD, WANTED, ask, hurry, name_in, until

TICK = 0.05  # seconds; two files written closer together may bear the same time


def quiet() -> Console:
    return Console(file=io.StringIO())


def statuses(results) -> list[int | None]:
    return [result.returncode for result in results]


def test_an_array_with_one_failing_job(engine, jobs, capsys) -> None:
    made = jobs("echo one", "echo two; exit 3", "echo three")
    assert statuses(run_jobs(made, engine(), console=quiet())) == [0, 3, 0]
    assert [job.log_path.read_text() for job in made] == ["one\n", "two\n", "three\n"]
    assert "SLURM has 3 jobs as array" in capsys.readouterr().out


@pytest.mark.clusters
def test_what_needs_a_failed_job_is_left_out_and_what_needs_another_comes_after(
    engine, jobs, tmp_path: Path
) -> None:
    made = jobs("exit 4", f"sleep 1; touch {tmp_path}/first", "true", f"test -e {tmp_path}/first")
    made[2] = replace(made[2], needs=made[0])
    made[3] = replace(made[3], needs=made[1])
    assert statuses(run_jobs(made, engine(), console=quiet())) == [4, 0, None, 0]
    assert not made[2].log_path.exists()


def test_every_word_arrives_as_it_was_in_a_folder_of_any_name(
    slurm, jobs, tmp_path: Path, monkeypatch
) -> None:
    strange = tmp_path / "a folder, 100 %s {of} 'runs' $x"
    strange.mkdir()
    monkeypatch.chdir(strange)
    (job,) = jobs("")
    log = Path("runs/sweeps/sweep/odd.log")
    code = "import json, os, sys; print(json.dumps([sys.argv[1:], os.getcwd()]))"
    job = replace(
        job, arguments=(sys.executable, "-c", code, *ODD, "launcher.mem=1G"), log_path=log
    )
    made = Slurm(WANTED, Path("runs/sweeps"), name_in(tmp_path), at_once=1, most=None, say=print)
    (result,) = run_jobs([job], made, console=quiet())
    assert result.returncode == 0, log.read_text()
    assert json.loads(log.read_text()) == [ODD, str(strange)]


def test_a_job_has_its_threads_its_name_and_nothing_that_it_did_not_ask_for(
    engine, jobs, monkeypatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    names = "$OMP_NUM_THREADS $ELEATT_NUM_THREADS $ELEATT_IN_SWEEP $ELEATT_PLANNED_RUN"
    (job,) = jobs(f'echo {names} "<$CUDA_VISIBLE_DEVICES>"')
    run_jobs([job], engine(wanted=replace(WANTED, threads=3)), console=quiet())
    assert job.log_path.read_text() == "3 3 1 run0 <>\n"


def test_a_device_is_one_jobs_at_a_time(engine, jobs, tmp_path: Path) -> None:
    line = (
        f'at={tmp_path}/$SLURMD_NODENAME-$CUDA_VISIBLE_DEVICES; mkdir "$at" || exit 9; '
        'sleep 0.3; rmdir "$at"; echo "$CUDA_VISIBLE_DEVICES"'
    )
    wanted = replace(WANTED, gpus=1, options=(*WANTED.options, "--gres=gpu:1"))
    made = jobs(*[line] * 8)
    assert statuses(run_jobs(made, engine(wanted=wanted), console=quiet())) == [0] * 8
    assert {job.log_path.read_text() for job in made} <= {"0\n", "1\n"}


@pytest.mark.clusters
def test_who_came_too_late_goes_back_into_the_queue(engine, jobs, tmp_path: Path) -> None:
    (job,) = jobs(f"echo try; test -e {tmp_path}/free || exit 75")
    with engine() as made:
        made.start(job)
        going_on(made, lambda: "requeue" in queue_of(made).lower()
              or "BeginTime" in queue_of(made))  # fmt: skip
        (tmp_path / "free").touch()
        hurry_all(made)
        assert ends(made) == {job: 0}
    assert job.log_path.read_text().count("try") == 2
    assert not tries_file(job.log_path).exists()


def queue_of(made: Slurm) -> str:
    return ask("squeue", "-h", "-r", f"--name={made._name}", "--format=%i %T %r")


def hurry_all(made: Slurm) -> None:
    for line in queue_of(made).splitlines():
        hurry(line.split()[0])


def ends(made: Slurm, seconds: float = 200) -> dict:
    """How its jobs end; one that was hurried in vain begins two minutes after it was put back."""
    found: dict = {}
    until(lambda: found.update(made.ended()) or not len(made), seconds)
    return found


@pytest.mark.clusters
def test_a_job_that_was_requeued_begins_again_and_counts_its_tries(engine, jobs) -> None:
    (job,) = jobs("echo begun; trap 'exit 143' TERM; sleep 60 & wait")
    with engine() as made:
        made.start(job)
        for count in range(1, 4):
            going_on(made, lambda count=count: logged(job).count("begun") == count)
            ask("scontrol", "requeue", queue_of(made).split()[0])
            going_on(made, lambda: "PENDING" in queue_of(made))
            hurry_all(made)
        assert ends(made) == {job: 1}
    assert "Begun 2 more times without coming to the end of an epoch" in logged(job)


def going_on(made: Slurm, condition) -> None:
    """Look at the queue until ``condition`` holds; no job may have ended by then."""
    ended: dict = {}
    until(lambda: ended.update(made.ended()) or ended or condition())
    assert not ended


def logged(job) -> str:
    return job.log_path.read_text() if job.log_path.exists() else ""


@pytest.mark.clusters
def test_a_job_that_gets_on_may_begin_as_often_as_it_takes(engine, jobs, tmp_path: Path) -> None:
    file = tmp_path / "epochs.csv"
    (job,) = jobs(
        f"sleep {TICK}; echo 1 >>{file}; echo begun; test $(wc -l <{file}) -gt 4 && exit 0; "
        "trap 'exit 143' TERM; sleep 60 & wait"
    )
    job = replace(job, grows=file)
    with engine() as made:
        made.start(job)
        for count in range(1, 5):
            going_on(made, lambda count=count: logged(job).count("begun") == count)
            time.sleep(0.1)
            ask("scontrol", "requeue", queue_of(made).split()[0])
            going_on(made, lambda: "PENDING" in queue_of(made))
            hurry_all(made)
        assert ends(made) == {job: 0}


@pytest.mark.clusters
def test_the_notice_stops_the_program_and_puts_the_job_back(engine, jobs, tmp_path: Path) -> None:
    (job,) = jobs(
        f"test -e {tmp_path}/stopped && exit 0; echo begun; "
        f"trap 'touch {tmp_path}/stopped; kill $!; exit 143' TERM; sleep 60 & wait"
    )
    with engine() as made:
        made.start(job)
        going_on(made, lambda: "begun" in logged(job))
        ask("scancel", "--batch", "--signal=USR1", queue_of(made).split()[0])
        going_on(made, lambda: "PENDING" in queue_of(made))
        assert "The time limit is near: back into the queue" in logged(job)
        hurry_all(made)
        assert ends(made) == {job: 0}


@pytest.mark.clusters
def test_force_holds_for_the_first_start_alone(engine, jobs, tmp_path: Path) -> None:
    file = tmp_path / "epochs.csv"
    (job,) = jobs("")
    body = f'sleep {TICK}; echo 1 >>{file}; echo "$*"; [ $# = 1 ] && exit 0; sleep 60'
    job = replace(job, arguments=("bash", "-c", body, "x", "y", "force=true"), grows=file)
    with engine() as made:
        made.start(job)
        going_on(made, lambda: "force" in logged(job))
        time.sleep(0.1)
        ask("scontrol", "requeue", queue_of(made).split()[0])
        going_on(made, lambda: "PENDING" in queue_of(made))
        hurry_all(made)
        assert ends(made) == {job: 0}
    assert logged(job) == "y force=true\ny\n"


def test_a_cancelled_job_has_failed_and_is_not_begun_again(engine, jobs) -> None:
    waiting, fine = jobs("echo begun; exec sleep 60", "true")
    ended: dict = {}
    with engine() as made:
        made.start(waiting)
        made.start(fine)
        until(lambda: ended.update(made.ended()) or "begun" in logged(waiting))
        (task,) = [line.split()[0] for line in queue_of(made).splitlines() if "_0 " in line]
        ask("scancel", task)
        assert ended | ends(made) == {waiting: -signal.SIGTERM, fine: 0}
    assert logged(waiting).endswith("SLURM: cancelled\n")


@pytest.mark.clusters
def test_leaving_leaves_the_jobs_and_the_same_sweep_finds_them(engine, jobs, capsys) -> None:
    made = jobs("echo once; sleep 1", "echo once; sleep 1")
    with engine() as first:
        for job in made:
            first.start(job)
        list(first.ended())
    assert "2 jobs stay in SLURM's queue or go on (squeue --jobs=" in capsys.readouterr().out
    results = run_jobs(made, engine(), console=quiet())
    assert statuses(results) == [0, 0]
    said = capsys.readouterr().out
    assert "SLURM has 2 of the jobs already" in said
    assert "as array" not in said
    assert [logged(job) for job in made] == ["once\n"] * 2


@pytest.mark.clusters
def test_what_another_sweep_has_queued_is_not_submitted_again(engine, jobs, capsys) -> None:
    made = jobs("echo once; sleep 1", "echo once")
    with engine() as first:
        first.start(made[0])
        list(first.ended())
        others = jobs("echo twice", "echo once", "echo once", sweep="other")
        assert statuses(run_jobs(others, engine("other"), console=quiet())) == [0] * 3
        assert logged(others[0]) == "once\n", "its log is the other's"
        assert ends(first) == {made[0]: 0}
    assert "SLURM has 2 jobs as array" in capsys.readouterr().out


def test_what_is_done_is_not_submitted(engine, jobs, tmp_path: Path) -> None:
    made = jobs("exit 9", "true")
    (tmp_path / "done0").touch()
    assert statuses(run_jobs(made, engine(), console=quiet())) == [0, 0]
    assert not made[0].log_path.exists()


def test_what_a_process_outside_is_at_waits(engine, jobs, tmp_path: Path) -> None:
    held, free = jobs("true", "true")
    held = replace(held, busy=lambda: not (tmp_path / "free").exists())
    with engine() as made:
        made.start(held)
        made.start(free)
        until(lambda: dict(made.ended()) == {free: 0})
        assert made.waits(held) == "another process is at it"
        (tmp_path / "free").touch()
        assert ends(made) == {held: 0}


def test_cancel_ends_what_a_sweep_has_submitted_and_no_more(engine, jobs, tmp_path: Path) -> None:
    made = jobs("sleep 60", "sleep 60")
    other = jobs("sleep 60", "sleep 60", "sleep 60", sweep="other")[2]
    with engine() as first, engine("other") as second:
        for job in made:
            first.start(job)
        second.start(other)
        list(first.ended()), list(second.ended())
        assert cancel(tmp_path / "runs" / "sweeps", first._name) == 2
        assert cancel(tmp_path / "runs" / "sweeps", "nothing") == 0
        until(lambda: not queue_of(first))
        assert ends(first) == dict.fromkeys(made, -signal.SIGTERM)
        assert len(queue_of(second).splitlines()) == 1
        second.stop(other)
        assert ends(second) == {other: -signal.SIGTERM}


@pytest.mark.clusters
def test_a_lost_job_is_submitted_again_and_not_for_ever(engine, jobs, monkeypatch) -> None:
    (job,) = jobs("sleep 60")
    monkeypatch.setattr("eleatt_bench.launch.slurm.tasks._PATIENCE", 0.1)
    real, ended = commands.queue, {}
    with engine() as made:
        made.start(job)
        list(made.ended())
        for _ in range(3):  # resubmit=2: with the first submission, three
            going_on(made, lambda: made.waits(job) is None)
            ask("scancel", "--quiet", f"--name={made._name}")
            until(lambda: not queue_of(made))
            monkeypatch.setattr(commands, "queue", lambda names: [])  # forgotten
            until(lambda: ended.update(made.ended()) or made.waits(job) or not len(made))
            monkeypatch.setattr(commands, "queue", real)
        assert ended == {job: 1}
    told = r"SLURM knows it no more \(node[12]\), 3 times without the end of an epoch between them"
    assert re.search(told, logged(job))


@pytest.fixture
def unreachable(slurm, tmp_path: Path, monkeypatch) -> Path:
    """While this file is there, squeue fails as with a controller that is away."""
    away = tmp_path / "away"
    shim = tmp_path / "bin" / "squeue"
    shim.parent.mkdir()
    real = subprocess.run(["which", "squeue"], capture_output=True, text=True).stdout.strip()
    shim.write_text(
        f"#!/bin/sh\n[ ! -e {away} ] || {{ echo 'slurm_load_jobs error: Unable to contact slurm "
        f'controller (connect failure)\' >&2; exit 1; }}\nexec {real} "$@"\n'
    )
    shim.chmod(shim.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{shim.parent}:{os.environ['PATH']}")
    return away


@pytest.mark.clusters
def test_a_controller_that_is_away_is_asked_again(engine, jobs, unreachable, capsys) -> None:
    (job,) = jobs("sleep 1")
    with engine() as made:
        made.start(job)
        list(made.ended())
        unreachable.touch()
        going_on(made, lambda: "asking again" in capsys.readouterr().out)
        time.sleep(2)
        assert not list(made.ended())
        unreachable.unlink()
        assert ends(made) == {job: 0}
    unreachable.touch()
    with pytest.raises(UserError, match="Unable to contact slurm controller"):
        run_jobs(jobs("true"), engine(), console=quiet())


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--partition=nosuch", "launcher.partition=NAME chooses one of: main, spare"),
        ("--gres=gpu:99", "launcher.gpus"),
        ("--time=soon", "ime"),
    ],
)
def test_what_the_cluster_does_not_take_is_said_with_what_helps(
    engine, jobs, option: str, said: str
) -> None:
    wanted = replace(WANTED, options=(*WANTED.options, option))
    with pytest.raises(UserError, match="sbatch") as caught:
        run_jobs(jobs("true"), engine(wanted=wanted), console=quiet())
    assert said in str(caught.value)


def test_more_jobs_than_an_array_takes_are_several_arrays(engine, jobs, tmp_path: Path) -> None:
    made = jobs(*["sleep 60"] * 1003)
    wanted = replace(WANTED, parallel=7, options=(*WANTED.options, "--hold"))
    began = time.process_time()
    with engine(wanted=wanted) as first:
        first.submit(made)
        names = [first._name, f"{first._name}.1"]
        listed = ask("squeue", "-h", "-r", f"--name={','.join(names)}", "--format=%j %K")
        places = [f"{names[number // 1001]} {number % 1001}" for number in range(1003)]
        assert sorted(listed.splitlines()) == sorted(places)
        shares = [ask("scontrol", "show", "job", first._tasks[made[n]].name) for n in (5, 1002)]
        assert [re.findall(r"Throttle=(\d+)", said) for said in shares] == [["4"], ["3"]]
        assert not list(first.ended())
    with engine(wanted=wanted) as second:
        for job in made:
            second.start(job)
        assert not list(second.ended())
        assert len(second) == 1003
        assert cancel(tmp_path / "runs" / "sweeps", first._name) == 1003
        assert set(ends(second).values()) == {-signal.SIGTERM}
    assert time.process_time() - began < 5


COUNTED = (
    "echo $$ >{folder}/at$$; ls {folder} | grep -c ^at; sleep 0.2; rm {folder}/at$$; "
    "touch {folder}/done{number}"
)


@pytest.mark.parametrize(
    ("count", "size", "parallel"),
    [
        (8, 3, 2),
        pytest.param(20, 7, 3, marks=pytest.mark.clusters),
        pytest.param(1003, 1001, None, marks=pytest.mark.clusters),
    ],
)
@pytest.mark.clusters
def test_the_jobs_of_several_arrays_are_done(
    engine, jobs, tmp_path: Path, monkeypatch, count: int, size: int, parallel: int | None
) -> None:
    """Each once, and no more at once than ``parallel``, also of those that wait for others."""
    monkeypatch.setattr(commands, "largest_array", lambda: size)
    lines = [COUNTED.format(folder=tmp_path, number=number) for number in range(count)]
    made = jobs(*lines) if parallel else jobs(*[f"touch {tmp_path}/done{n}" for n in range(count)])
    if parallel:
        late = 3 * count // 4
        made[late:] = [replace(job, needs=made[n % 4]) for n, job in enumerate(made[late:])]
    began = time.monotonic()
    results = run_jobs(made, engine(wanted=replace(WANTED, parallel=parallel)), console=quiet())
    assert statuses(results) == [0] * count
    assert len(list(tmp_path.glob("done*"))) == count
    if parallel:
        assert max(int(logged(job)) for job in made) <= parallel
    else:
        print(f"{(time.monotonic() - began) / count:.3f} s for each of {count} jobs")


DRIVER = """
import os, sys
from pathlib import Path
from dataclasses import replace
sys.path.insert(0, sys.argv[3])
from tests.clusters.conftest import WANTED
from eleatt_bench.launch.engine import run_jobs
from eleatt_bench.launch.process import Job
from eleatt_bench.launch.slurm.engine import Slurm

folder, name = Path(sys.argv[1]), sys.argv[2]
numbers = range(*map(int, sys.argv[4:6]))
sweeps = folder / "runs" / "sweeps"
def job(n, needs=None):
    line = f"echo once >>{folder}/ran{n}; sleep 0.5; touch {folder}/done{n}"
    return Job(("bash", "-c", line), f"job {n}", sweeps / name / f"run{n}.log", run_id=f"run{n}",
               done=(folder / f"done{n}").exists, needs=needs)
first = job(0)
jobs = [first, *(job(n, first if n % 2 else None) for n in numbers)]
jobs = [j for j in jobs if not j.done()]
jobs = [replace(j, needs=None) if j.needs and j.needs.done() else j for j in jobs]
(folder / f"about{os.getpid()}").touch()
results = run_jobs(jobs, Slurm(WANTED, sweeps, name, at_once=9, most=None, say=print))
sys.exit(any(result.returncode != 0 for result in results))
"""


def driver(folder: Path, name: str, first: int, last: int) -> subprocess.Popen[bytes]:
    top = str(Path(__file__).resolve().parents[2])
    words = [sys.executable, "-c", DRIVER, str(folder), name, top, str(first), str(last)]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL)


def assert_once(folder: Path, count: int) -> None:
    ran = {number: (folder / f"ran{number}").read_text() for number in range(count)}
    assert ran == dict.fromkeys(range(count), "once\n")


@pytest.mark.clusters
def test_two_sweeps_that_share_jobs_do_each_once(slurm, tmp_path: Path) -> None:
    names = [name_in(tmp_path, name) for name in ("one", "two")]
    both = [driver(tmp_path, names[0], 1, 5), driver(tmp_path, names[1], 3, 8)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert_once(tmp_path, 8)


@pytest.mark.parametrize("times", [2, pytest.param(20, marks=pytest.mark.clusters)])
def test_killed_at_any_moment_nothing_is_submitted_twice_and_nothing_lost(
    slurm, tmp_path: Path, times: int
) -> None:
    """Before, in and after sbatch: a quarter of a second from the lock that comes before it."""
    chance = random.Random(times)
    for number in range(times):
        process = driver(tmp_path, name_in(tmp_path), 1, 5 + number)
        until((tmp_path / f"about{process.pid}").exists)
        time.sleep(chance.uniform(0.0, 0.3))
        process.kill()
        process.wait()
    last = 5 + times
    assert driver(tmp_path, name_in(tmp_path), 1, last).wait(90) == 0
    assert_once(tmp_path, last)
