"""Jobs through a real Ray: how they end, what they lease, what happens when Ray loses them."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from eleatt_bench.launch.devices import Memory
from eleatt_bench.launch.engine import run_jobs
from eleatt_bench.launch.process import Job

from .conftest import ODD, RAY_LEASE, until

pytestmark = [pytest.mark.clusters, pytest.mark.timeout(600)]


def outcome(jobs: list[Job], engine: Any) -> list[int | None]:
    done = run_jobs(jobs, engine, console=Console(file=io.StringIO()))
    return [result.returncode for result in done]


def logged(job: Job) -> str:
    return job.log_path.read_text() if job.log_path.exists() else ""


def journal(job: Job) -> list[dict[str, Any]]:
    path = job.log_path.parent / "jobs.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_jobs_with_one_failing(ray_engine, jobs) -> None:
    made = jobs("echo one", "echo two; exit 3", "echo three", "kill -9 $$")
    assert outcome(made, ray_engine()) == [0, 3, 0, -9]
    assert [logged(job) for job in made] == ["one\n", "two\n", "three\n", ""]
    lines = journal(made[0])
    assert sorted(line["event"] for line in lines) == ["ended"] * 4 + ["started"] * 4
    assert {line["job"]: line["returncode"] for line in lines if line["event"] == "ended"} == {
        "job 0": 0, "job 1": 3, "job 2": 0, "job 3": -9
    }  # fmt: skip
    exits = [job.log_path.with_suffix(".exit").read_text() for job in made]
    assert exits == ["0\n", "3\n", "0\n", "137\n"]


def test_what_needs_a_failed_job_is_left_out_and_what_needs_another_comes_after(
    ray_engine, jobs, tmp_path: Path
) -> None:
    made = jobs("exit 4", f"sleep 1; touch {tmp_path}/first", "true", f"test -e {tmp_path}/first")
    made[2] = replace(made[2], needs=made[0])
    made[3] = replace(made[3], needs=made[1])
    assert outcome(made, ray_engine()) == [4, 0, None, 0]
    assert not made[2].log_path.exists()


def test_every_word_arrives_as_it_was_in_a_folder_of_any_name(
    ray_engine, jobs, tmp_path: Path, monkeypatch
) -> None:
    strange = tmp_path / "a folder, 100 %s {of} 'runs' $x"
    strange.mkdir()
    monkeypatch.chdir(strange)
    (job,) = jobs("")
    code = "import json, os, sys; print(json.dumps([sys.argv[1:], os.getcwd()]))"
    words = (sys.executable, "-c", code, *ODD, "launcher.memory=1G")
    job = replace(job, arguments=words, log_path=Path("runs/sweeps/sweep/odd.log"))
    assert outcome([job], ray_engine()) == [0], logged(job)
    assert json.loads(logged(job)) == [ODD, str(strange)]


def test_a_job_has_its_threads_its_name_and_nothing_that_it_did_not_ask_for(
    ray_engine, jobs
) -> None:
    names = "$OMP_NUM_THREADS $ELEATT_NUM_THREADS $ELEATT_IN_SWEEP $ELEATT_PLANNED_RUN $OWN"
    (job,) = jobs(f'echo {names} "<$CUDA_VISIBLE_DEVICES>" "<$RANK$SLURM_PROCID$WORLD_SIZE>"')
    made = ray_engine(lease=replace(RAY_LEASE, threads=3), variables={"OWN": "mine"})
    assert outcome([job], made) == [0]
    assert logged(job) == "3 3 1 run0 mine <> <>\n"


@pytest.mark.parametrize(("gpus", "sharing"), [(1, 1), (0.5, 2), (2, 1)])
def test_a_device_has_no_more_jobs_than_were_asked_for(
    ray_engine, jobs, tmp_path: Path, gpus: float, sharing: int
) -> None:
    """Each notes whom it meets there; the nodes on this host are told apart by their raylets."""
    line = (
        "for d in ${CUDA_VISIBLE_DEVICES//,/ }; do "
        f"at={tmp_path}/$RAY_RAYLET_PID-$d; mkdir -p $at; touch $at/$$; done; sleep 0.3; "
        f"for d in ${{CUDA_VISIBLE_DEVICES//,/ }}; do at={tmp_path}/$RAY_RAYLET_PID-$d; "
        'ls $at | wc -l; rm $at/$$; done; echo "gpus $CUDA_VISIBLE_DEVICES"'
    )
    made = jobs(*[line] * 9)
    assert outcome(made, ray_engine(lease=replace(RAY_LEASE, cpus=1, gpus=gpus))) == [0] * 9
    said = [logged(job).splitlines() for job in made]
    assert max(int(count) for lines in said for count in lines[:-1]) <= sharing
    leased = [lines[-1].removeprefix("gpus ").split(",") for lines in said]
    assert all(len(devices) == max(1, gpus) for devices in leased)
    assert {device for devices in leased for device in devices} <= {"0", "1"}
    assert {line["device"] for line in journal(made[0])} <= {",".join(one) for one in leased}


def test_memory_is_leased_too(ray_engine, jobs, tmp_path: Path) -> None:
    line = (
        f"mkdir {tmp_path}/$RAY_RAYLET_PID || exit 9; sleep 0.5; rmdir {tmp_path}/$RAY_RAYLET_PID"
    )
    made = [replace(job, memory=Memory(host=1 << 50)) for job in jobs(*[line] * 4)]
    assert outcome(made, ray_engine()) == [0] * 4, "more than there is, alone on its node each"


def test_what_no_node_has_is_told_and_waits(ray_engine, jobs, capsys) -> None:
    (job,) = jobs("true")
    with ray_engine(lease=replace(RAY_LEASE, cpus=99)) as made:
        made.start(job)
        time.sleep(1.5)
        assert not list(made.ended())
        why = made.waits(job)
        assert "no node has 99 CPUs: the largest has 4 CPUs, 2 GPUs and" in why
        made.stop(job)
        assert ends(made) == {job: -signal.SIGTERM}
    assert "The jobs wait for one that has" in capsys.readouterr().out


def ends(made: Any, seconds: float = 60) -> dict[Job, int | None]:
    found: dict[Job, int | None] = {}
    until(lambda: found.update(made.ended()) or not len(made), seconds)
    return found


def test_who_came_too_late_comes_again_when_the_other_is_done(
    ray_engine, jobs, tmp_path: Path
) -> None:
    free, tried = tmp_path / "free", tmp_path / "tried"
    (job,) = jobs(f"touch {tried}; test -e {free} || exit 75")

    def busy() -> bool:
        if tried.exists():
            free.touch()
        return False

    assert outcome([replace(job, busy=busy)], ray_engine()) == [0]
    assert job.log_path.with_suffix(".exit").read_text() == "0\n"


STUBBORN = "trap '' TERM; (trap '' TERM HUP INT; sleep 6543 & sleep 6543); sleep 6543"


def living(mark: str = "sleep 6543") -> int:
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return listed.stdout.splitlines().count(mark)


def test_a_killed_worker_takes_its_group_with_it_and_the_job_begins_again(
    ray_engine, jobs, tmp_path: Path, capsys
) -> None:
    """Its parent is the worker."""
    second = f"test -e {tmp_path}/second && exit 0; touch {tmp_path}/second"
    (job,) = jobs(f"{second}; (trap '' TERM; sleep 6543) & echo $PPID; kill -9 $PPID; sleep 6543")
    assert outcome([job], ray_engine()) == [0]
    assert "submitted again  job 0: its worker was killed" in capsys.readouterr().out
    until(lambda: living() == 0, 10)
    ended = [line["returncode"] for line in journal(job) if line["event"] == "ended"]
    assert ended == [-9, 0]


def test_losing_a_job_has_an_end_unless_it_gets_on(ray_engine, jobs, tmp_path: Path) -> None:
    epochs = tmp_path / "epochs.csv"
    lost, getting_on = jobs(
        "kill -9 $PPID; sleep 60",
        f"echo 1 >>{epochs}; test $(wc -l <{epochs}) -gt 4 && exit 0; sleep 0.1; kill -9 $PPID; "
        "sleep 60",
    )
    made = [lost, replace(getting_on, grows=epochs)]
    assert outcome(made, ray_engine()) == [1, 0]
    told = "its worker was killed, 3 times without the end of an epoch between them"
    assert told in logged(lost)


def test_force_holds_for_the_first_start_alone(ray_engine, jobs, tmp_path: Path) -> None:
    file = tmp_path / "epochs.csv"
    body = f'echo "$*"; echo 1 >>{file}; [ $# = 1 ] && exit 0; sleep 0.1; kill -9 $PPID; sleep 60'
    (job,) = jobs("")
    job = replace(job, arguments=("bash", "-c", body, "x", "y", "force=true"), grows=file)
    assert outcome([job], ray_engine()) == [0]
    assert logged(job) == "y force=true\ny\n"


def test_the_jobs_of_a_lost_node_begin_again_on_another(
    ray_engine, jobs, ray_nodes: Callable[[str], str], tmp_path: Path, capfd
) -> None:
    """Two jobs of all GPUs of a node each: one on either."""
    line = "echo $RAY_RAYLET_PID; sleep 6"
    made = jobs(line, line)
    engine = ray_engine(lease=replace(RAY_LEASE, gpus=2))
    ended: dict[Job, int | None] = {}
    with engine:
        for job in made:
            engine.start(job)
        until(lambda: ended.update(engine.ended()) or all(map(logged, made)))
        assert not ended
        ray_nodes("node-down")
        try:
            ended = ends(engine)
        finally:
            ray_nodes("node-up")
    assert ended == dict.fromkeys(made, 0)
    where = [logged(job).split() for job in made]
    assert sorted(map(len, where)) == [1, 2], "the other was left alone"
    assert len({pid for one in where for pid in one}) == 2
    said = capfd.readouterr()
    assert "its node was lost" in said.out
    assert "raylet" not in said.out + said.err, "what Ray says of it is not for the terminal"


DRIVER = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.clusters.conftest import made_ray
from eleatt_bench.cli import _handle_stops
from eleatt_bench.launch.engine import run_jobs
from eleatt_bench.launch.process import Job

folder, stops = Path(sys.argv[1]), _handle_stops()
logs = folder / "runs" / "sweeps" / "sweep"
jobs = [Job(("bash", "-c", line), f"job {n}", logs / f"run{n}.log", run_id=f"run{n}")
        for n, line in enumerate(sys.argv[3:])]
results = run_jobs(jobs, made_ray(folder))
sys.exit(any(result.returncode != 0 for result in results))
"""


def driver(folder: Path, *lines: str) -> subprocess.Popen[str]:
    top = str(Path(__file__).resolve().parents[2])
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(folder), top, *lines],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def test_a_killed_driver_leaves_nothing_and_the_same_command_does_what_is_left(
    ray_nodes: object, tmp_path: Path
) -> None:
    first = driver(tmp_path, STUBBORN, f"test -e {tmp_path}/again || sleep 6543")
    until(lambda: living() == 3)
    first.kill()
    first.communicate()
    until(lambda: living() == 0, 20)
    (tmp_path / "again").touch()
    second = driver(tmp_path, "true", f"test -e {tmp_path}/again || sleep 6543")
    said, _ = second.communicate(timeout=90)
    assert second.returncode == 0, said
    assert "2 done, 0 failed" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_stops_the_driver_ends_the_jobs(
    ray_nodes: object, tmp_path: Path, number: signal.Signals
) -> None:
    """Those that can end by themselves do; the others are killed."""
    polite = f"trap 'echo bye; touch {tmp_path}/bye; exit 143' TERM; echo in; sleep 6543 & wait"
    waiting = ["sleep 6543"] * 12  # more than there is room for
    this = driver(tmp_path, polite, STUBBORN, *waiting)
    log = tmp_path / "runs" / "sweeps" / "sweep" / "run0.log"
    until(lambda: log.exists() and "in" in log.read_text() and living() >= 8)
    os.kill(this.pid, number)
    said, _ = this.communicate(timeout=60)
    assert this.returncode != 0
    assert "14 not finished" in said
    until(lambda: living() == 0, 10)
    assert (tmp_path / "bye").exists()


def test_the_overhead_of_a_job_is_small(ray_engine, jobs, capsys) -> None:
    made, engine = jobs(*["true"] * 200), ray_engine()
    began = time.monotonic()
    assert outcome(made, engine) == [0] * 200
    each = (time.monotonic() - began) / 200
    with capsys.disabled():
        print(f"\n{each:.3f} s for each of 200 jobs, {engine.at_once} at once")
    assert each < 2
