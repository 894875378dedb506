"""The script of an array, run by bash alone: SLURM is not needed for what it does."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eleatt_bench.common.errors import UserError
from eleatt_bench.config.compose import compose_config
from eleatt_bench.launch.process import Job
from eleatt_bench.launch.slurm.script import Request, request, script

from ..conftest import wait_for

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")

WANTED = Request((), ("python=(bash -c 'shift 2; \"$@\"' -)",), 0, 2, 3, None, 1.0)

Start = Callable[..., subprocess.Popen[bytes]]


def start_in(folder: Path, job: Job, wanted: Request = WANTED) -> subprocess.Popen[bytes]:
    """Start task 4 as SLURM does; its ``scontrol`` notes what it is asked, and does it."""
    bin_folder = folder / "bin"
    bin_folder.mkdir(exist_ok=True)
    scontrol = bin_folder / "scontrol"
    scontrol.write_text(f'#!/bin/sh\necho "$@" >>"{folder}/asked"\nkill -TERM $PPID\n')
    scontrol.chmod(0o755)
    path = folder / "script.sh"
    path.write_text(script({3: replace(job, arguments=("false",)), 4: job}, wanted), "utf-8")
    job.log_path.parent.mkdir(exist_ok=True, parents=True)
    environment = {
        **os.environ, "SLURM_ARRAY_TASK_ID": "4", "SLURM_ARRAY_JOB_ID": "17",
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
    }  # fmt: skip
    return subprocess.Popen(["bash", str(path)], env=environment, cwd="/")


def job_of(folder: Path, *words: str, **more: object) -> Job:
    return Job(words, "job", folder / "logs" / "run.log", run_id="run", **more)  # type: ignore[arg-type]


def ended(job: Job) -> str:
    path = job.log_path.with_suffix(".exit")
    return path.read_text().strip() if path.exists() else ""


@given(words=st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"))))
@settings(max_examples=25, deadline=None)
@pytest.mark.slow
def test_every_word_arrives_as_it_was(words: list[str], tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("words")
    code = "import json, sys; print(json.dumps([a for a in sys.argv[1:]]))"
    job = job_of(folder, sys.executable, "-c", code, *words)
    assert start_in(folder, job).wait(30) == 0
    told = [word for word in words if not word.lstrip("+~").startswith(("launcher=", "launcher."))]
    assert json.loads(job.log_path.read_text("utf-8")) == told
    assert ended(job) == "0"


@pytest.mark.parametrize("status", [0, 1, 70, 137, 143])
def test_how_it_ended_is_left_beside_the_log(tmp_path: Path, status: int) -> None:
    job = job_of(tmp_path, "bash", "-c", f"exit {status}")
    assert start_in(tmp_path, job).wait(30) == status
    assert ended(job) == str(status)
    assert not (tmp_path / "asked").exists()


def test_it_imports_nothing_from_the_working_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "selectors.py").write_text("raise SystemExit('not the selectors of Python')\n")
    job = job_of(tmp_path, sys.executable, "-c", "import selectors")
    assert start_in(tmp_path, job).wait(30) == 0, logged(job)


def test_what_the_setup_switches_on_loses_no_status(tmp_path: Path) -> None:
    strict = replace(WANTED, setup=("set -euo pipefail", *WANTED.setup))
    job = job_of(tmp_path, "bash", "-c", "exit 7")
    assert start_in(tmp_path, job, strict).wait(30) == 7
    assert ended(job) == "7"


def test_an_option_of_sbatch_may_be_zero() -> None:
    said = ["+launcher.options.mem=0", "+launcher.options.a=false"]
    config = compose_config(["launcher=slurm", "trainer.accelerator=cpu", *said])
    options = request(config).options
    assert "--mem=0" in options
    assert not any(option.startswith("--a") for option in options)


def test_another_cluster_is_named_for_all_commands() -> None:
    config = compose_config(["launcher=slurm", "trainer=cpu", "+launcher.options.clusters=big"])
    with pytest.raises(UserError, match="type SLURM_CLUSTERS=big before the command"):
        request(config)


def test_gpus_are_whole() -> None:
    config = compose_config(["launcher=slurm", "trainer=gpu", "launcher.gpus=1.0"])
    assert "--gres=gpu:1" in request(config).options


def test_no_password_is_written_into_the_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
    text = script({4: job_of(tmp_path, "true")}, WANTED)
    assert "http://server" in text
    assert "secret" not in text


def status_once_told(folder: Path, job: Job) -> int:
    """How a job that says ``in`` ends after it was told that its limit is near."""
    running = start_in(folder, job)
    wait_for(lambda: "in" in logged(job))
    running.send_signal(signal.SIGUSR1)
    return running.wait(30)


def test_who_is_told_of_the_limit_ends_and_goes_back(tmp_path: Path) -> None:
    job = job_of(tmp_path, "bash", "-c", "trap 'echo told; exit 143' TERM; echo in; sleep 9 & wait")
    assert status_once_told(tmp_path, job) == 143
    assert "told\nThe time limit is near: back into the queue\n" in logged(job)
    assert (tmp_path / "asked").read_text() == "requeue 17_4\n"
    assert ended(job) == ""


def test_who_ends_well_at_that_moment_has_ended(tmp_path: Path) -> None:
    job = job_of(tmp_path, "bash", "-c", "trap 'exit 0' TERM; echo in; sleep 9 & wait")
    assert status_once_told(tmp_path, job) == 0
    assert ended(job) == "0"


def test_who_is_cancelled_says_nothing_of_its_end(tmp_path: Path) -> None:
    job = job_of(tmp_path, "bash", "-c", "trap 'exit 143' TERM; echo in; sleep 9 & wait")
    running = start_in(tmp_path, job)
    wait_for(lambda: "in" in logged(job))
    child = subprocess.check_output(["pgrep", "-P", str(running.pid)], text=True).split()
    for pid in (running.pid, *map(int, child)):
        os.kill(pid, signal.SIGTERM)
    assert running.wait(30) == 143
    assert ended(job) == ""


def test_what_another_process_is_at_goes_back_and_is_no_try(tmp_path: Path) -> None:
    job = job_of(tmp_path, "bash", "-c", "exit 75")
    for _ in range(6):
        assert start_in(tmp_path, job).wait(30) == 143
    assert (tmp_path / "asked").read_text() == "requeue 17_4\n" * 6


def test_beginning_in_vain_has_an_end_and_getting_on_has_not(tmp_path: Path) -> None:
    grows = tmp_path / "epochs.csv"
    job = job_of(tmp_path, "bash", "-c", "kill -TERM $PPID; exit 143", "force=true", grows=grows)
    for _ in range(4):
        assert start_in(tmp_path, job).wait(30) == 143
        assert ended(job) == ""
    assert start_in(tmp_path, job).wait(30) == 1
    assert "Begun 3 more times without coming to the end of an epoch" in logged(job)
    job.log_path.with_suffix(".tries").unlink()
    line = f"kill -TERM $PPID; sleep 0.05; echo 1 >>'{grows}'; exit 143"
    job = replace(job, arguments=("bash", "-c", line))
    for _ in range(6):
        assert start_in(tmp_path, job).wait(30) == 143
        assert ended(job) == ""


def test_a_folder_that_is_not_there_is_said(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    job = job_of(tmp_path, "true")
    text = script({4: job}, WANTED)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gone").rmdir()
    job.log_path.parent.mkdir()
    (tmp_path / "s.sh").write_text(text)
    environment = {**os.environ, "SLURM_ARRAY_TASK_ID": "4"}
    assert subprocess.run(["bash", "s.sh"], env=environment).returncode == 71
    assert "gone" in logged(job)
    assert ended(job) == "71"


def logged(job: Job) -> str:
    return job.log_path.read_text() if job.log_path.exists() else ""
