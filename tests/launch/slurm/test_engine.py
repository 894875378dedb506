"""What the engine does that needs no SLURM, or one that is not well."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from eleatt_bench.config.composer import Composer
from eleatt_bench.launch.endings import AGAIN, CANCELLED_STATUS, ended_file
from eleatt_bench.launch.engines import engine_for
from eleatt_bench.launch.process import Job
from eleatt_bench.launch.slurm import commands
from eleatt_bench.launch.slurm.book import Book, read_book
from eleatt_bench.launch.slurm.commands import SlurmError
from eleatt_bench.launch.slurm.engine import Slurm
from eleatt_bench.launch.slurm.script import Request
from eleatt_bench.launch.slurm.tasks import Task

WANTED = Request((), (), 0, 2, 3, None, 1.0)


@pytest.mark.parametrize(
    ("most", "ends"), [(None, "they are ended with --cancel"), (4, "by scancel 17_3 9_0")]
)
def test_it_says_how_the_jobs_and_no_others_are_ended(
    tmp_path: Path, most: int | None, ends: str
) -> None:
    said: list[str] = []
    with Slurm(WANTED, tmp_path, "sweep", at_once=2, most=most, say=said.append) as engine:
        for number, task in enumerate((Task("17", 3, "sweep"), Task("9", 0, "another"))):
            engine._tasks[Job(("train", f"seed={number}"), "", tmp_path / "job.log")] = task
    (told,) = said
    assert told.startswith("2 jobs stay in SLURM's queue or go on (squeue --jobs=9,17): ")
    assert told.endswith(ends)


def test_it_ends_no_job_that_another_sweep_submitted(tmp_path: Path) -> None:
    said: list[str] = []
    for foreign, ends in ((False, "by scancel 17_3"), (True, "by the sweeps that submitted them")):
        with Slurm(WANTED, tmp_path, "search", at_once=2, most=4, say=said.append) as engine:
            for array, other in (("17", foreign), ("9", True)):
                task = Task(array, 3, "sweep", foreign=other)
                engine._tasks[Job(("train", array), "", tmp_path / "job.log")] = task
        assert said[-1].endswith(ends)


@pytest.mark.parametrize("left", ["", "no exit status", "AGAIN"])
def test_a_job_is_stopped_also_if_slurm_does_not_answer_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    asked, state = tmp_path / "asked.txt", tmp_path / "state.txt"
    state.write_text("RUNNING")
    ends = "TIMEOUT" if left else "CANCELLED"
    (tmp_path / "scancel").write_text(
        f"#!/bin/sh\necho $@ >>{asked}\n[ $(wc -l <{asked}) -gt 2 ] || exit 1\n"
        f"printf {ends} >{state}\n"
    )
    (tmp_path / "squeue").write_text(f'#!/bin/sh\necho "17|3|sweep|$(cat {state})|None|n1|0:09"\n')
    for name in ("scancel", "squeue"):
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    job = Job(("train", "seed=0"), "", tmp_path / "job.log")
    engine = Slurm(WANTED, tmp_path, "sweep", at_once=2, most=4, say=print)
    engine._tasks[job] = Task("17", 3, "sweep", state="RUNNING")
    if left == "AGAIN":
        ended_file(job.log_path).write_text(AGAIN)
    engine.stop(job)
    assert asked.exists(), "at once, as the engine may be left"
    assert list(engine.ended()) == []  # scancel failed, and so did the next one
    engine._next = 0.0
    assert list(engine.ended()) == [(job, CANCELLED_STATUS)]
    assert asked.read_text().splitlines() == ["--quiet 17_3"] * 3


def test_the_job_of_another_sweep_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # without scancel
    job = Job(("train", "seed=0"), "", tmp_path / "job.log")
    engine = Slurm(WANTED, tmp_path, "search", at_once=2, most=4, say=print)
    engine._tasks[job] = Task("17", 3, "sweep", foreign=True)
    engine._next = math.inf
    engine.stop(job)
    assert list(engine.ended()) == [(job, CANCELLED_STATUS)]


def test_who_adopts_a_job_reads_the_log_that_it_was_submitted_with_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scontrol").write_text("#!/bin/sh\necho MaxArraySize = 1001\n")
    (tmp_path / "sbatch").write_text("#!/bin/sh\necho 18\n")
    queue = tmp_path / "squeue"
    queue.write_text("#!/bin/sh\n")
    for name in ("scontrol", "sbatch", "squeue"):
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    book = Book(tmp_path / "search.json", 1001, {"other": "other.log", "run": "search/0.log"})
    book.logs["third"] = "third.log"
    book.write()
    old, new = (tmp_path / "search" / f"{number}.log" for number in (0, 7))
    old.parent.mkdir()
    ended_file(old).write_text("1\n")  # the first trial of that run failed
    search = Slurm(WANTED, tmp_path, "search", at_once=2, most=4, say=print)
    search.submit([Job(("train",), "", new, run_id="run")])
    read = read_book(book.path)
    assert read is not None
    assert list(read.logs) == ["other", "run", "third"], "the indices of queued tasks stay"
    queue.write_text('#!/bin/sh\necho "18|1|search|RUNNING|None|n1|0:09"\n')
    adopted = Job(("train",), "", tmp_path / "sweep" / "run.log", run_id="run")
    sweep = Slurm(WANTED, tmp_path, "sweep", at_once=2, most=None, say=print)
    sweep.submit([adopted])
    queue.write_text("#!/bin/sh\n")
    ended_file(new).write_text("0\n")
    assert list(sweep.ended()) == [(adopted, 0)]


def test_slurm_is_asked_again_also_while_no_job_is_queued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    job = Job(("train", "seed=0"), "", tmp_path / "job.log")
    said: list[str] = []
    engine = Slurm(WANTED, tmp_path, "sweep", at_once=2, most=None, say=said.append)

    def away(*words: str, **_: object) -> str:
        raise SlurmError("Socket timed out on send/recv operation")

    monkeypatch.setattr(commands, "ask", away)
    engine.start(job)
    with pytest.raises(SlurmError, match="timed out"):  # nothing has worked yet
        list(engine.ended())
    engine._take(job, Task("17", 3, "sweep", state="RUNNING"))
    engine._go_on(job, "node lost")
    assert list(engine.ended()) == []
    assert said[-1].endswith("asking again")


def test_trials_are_limited_by_the_search_and_not_by_arrays(tmp_path: Path) -> None:
    words = ["launcher=slurm", "launcher.parallel=4", "launcher.gpus=0"]
    config = Composer().config(["experiment=digits", *words])
    of_search, of_sweep = (
        engine_for(config, 60, folder=tmp_path, name="a", trials=trials) for trials in (True, False)
    )
    assert isinstance(of_search, Slurm)
    assert isinstance(of_sweep, Slurm)
    assert (of_search._most, of_search.at_once, of_search._wanted.parallel) == (4, 4, None)
    assert (of_sweep._most, of_sweep.at_once, of_sweep._wanted.parallel) == (None, 4, 4)
