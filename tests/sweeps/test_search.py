"""A search as it goes: trials that are done already, cannot be, wait, are pruned, fail."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from eleatt_bench.common.errors import HeldElsewhereError
from eleatt_bench.common.files import write_text
from eleatt_bench.config.composer import Composer
from eleatt_bench.data.protocols import PROTOCOLS
from eleatt_bench.launch.pool import Pool
from eleatt_bench.launch.process import Job
from eleatt_bench.runs.curves import HEADER, as_line
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.runs.wanted import WantedRun
from eleatt_bench.sweeps.search import Search
from eleatt_bench.sweeps.space import Space, read_space
from eleatt_bench.sweeps.trials import STARTUP_TRIALS, Trials
from eleatt_bench.training.folder import wanted_run

SMALL = ["model.hidden_size=4", "trainer.max_epochs=4", "trainer.num_threads=1"]


class Scripted(Pool):
    """Its jobs are functions of the test: a real one cannot be made to end at a given moment.

    ``do`` is called with each job that starts, and gives its exit status, or None to go on until it
    is told to stop.
    """

    def __init__(self, do: Callable[[Job], int | None] = lambda job: pytest.fail(job.label)):
        super().__init__(num_jobs=1, threads_per_job=1)
        self.do, self.jobs = do, dict[Job, int | None]()
        self.started: list[Job] = []

    @property
    def has_room(self) -> bool:
        return not self.jobs

    def start(self, job: Job) -> None:
        job.log_path.parent.mkdir(parents=True, exist_ok=True)
        job.log_path.write_text("the last line\n")
        self.started.append(job)
        self.jobs[job] = self.do(job)

    def stop(self, job: Job) -> None:
        self.jobs[job] = 143

    def ended(self) -> Iterator[tuple[Job, int]]:
        for job, status in list(self.jobs.items()):
            if status is not None:
                del self.jobs[job]
                yield job, status


@pytest.fixture(autouse=True)
def own_folders(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ELEATT_DATA", str(tmp_path_factory.getbasetemp() / "searched"))
    monkeypatch.delenv("ELEATT_RUNS", raising=False)


@cache
def composer() -> Composer:
    """One for all: each choice of groups is composed once."""
    return Composer()


def space_of(*sweeps: str) -> Space:
    return read_space(["experiment=digits"], [*SMALL, *sweeps])


def folder_of(*overrides: str) -> RunFolder:
    return wanted_of(*overrides)[0]


def wanted_of(*overrides: str) -> tuple[RunFolder, WantedRun]:
    config = composer().config(["experiment=digits", *SMALL, *overrides])
    return wanted_run([], config, composer())


@pytest.fixture
def finish(record_of) -> Callable[..., None]:
    """Leave the record of the run that overrides compose, with a validation accuracy of 62.5 %."""

    def leave(*overrides: str, **more: Any) -> None:
        folder, run = wanted_of(*overrides)
        of_data = {"data_digest": run.identity["data"]["digest"]}
        record = record_of(folder.run_id, 0.625, identity=run.identity, epochs=4, **of_data)
        folder.write(record | more)

    return leave


def curve(folder: RunFolder, *accuracies: float) -> None:
    lines = (as_line(epoch, {"val/accuracy": a}) for epoch, a in enumerate(accuracies, 1))
    write_text(folder.epochs, HEADER + "".join(lines))


def go(trials: Trials, pool: Pool, space: Space, most: int) -> list[str]:
    said: list[str] = []
    Search(
        space, trials, pool, most=most, warm_ok=True, composer=composer(), say=said.append
    ).go()  # fmt: skip
    return [line for text in said for line in text.splitlines()]


@pytest.fixture
def trials(tmp_path: Path) -> Iterator[Trials]:
    with Trials(tmp_path / "runs" / "searches" / "a.db", seed=0) as opened:
        yield opened


@pytest.mark.slow
def test_a_protocol_to_choose_by_is_what_trials_are_judged_by(
    trials: Trials, finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixed = PROTOCOLS["digits"]["fixed"]
    monkeypatch.setitem(PROTOCOLS["digits"], "fixed", fixed._replace(development=True))
    tested = {"val": {"accuracy": 0.625}, "test": {"accuracy": 0.75}}
    finish("optimizer.lr=0.01", status="running")
    curve(folder_of("optimizer.lr=0.01"), 0.0, 0.0, 0.0)
    others(trials, 0.9)
    pool = Scripted(lambda job: (finish("optimizer.lr=0.01", metrics=tested), 0)[1])
    said = go(trials, pool, space_of("optimizer.lr=choice(0.01)"), STARTUP_TRIALS + 1)
    assert len(pool.started) == 1, "a bad validation curve ends nothing here"
    assert said[-1].startswith("trial 6/6 complete  test 75.00%")
    assert trials.all()[-1].value == 0.75


def others(trials: Trials, accuracy: float) -> None:
    """As many complete trials as pruning needs, all of that accuracy."""
    for _ in range(STARTUP_TRIALS):
        trial = trials.take(99)
        assert trial is not None
        trials.report(trial, dict.fromkeys(range(1, 5), accuracy))
        trials.complete(trial, accuracy)


def test_a_finished_run_costs_nothing_and_its_curve_counts(trials: Trials, finish) -> None:
    folder = folder_of("optimizer.lr=0.01")
    finish("optimizer.lr=0.01")
    curve(folder, 0.25, 0.5, 0.625, 0.5)
    said = go(trials, Scripted(), space_of("optimizer.lr=choice(0.01)"), 2)
    assert said == [f"trial {n}/2 complete  val 62.50%  finished already" for n in (1, 2)]
    for trial in trials.all():
        assert trial.value == 0.625
        assert trial.user_attrs["run"] == folder.run_id
        assert trial.intermediate_values == {1: 0.25, 2: 0.5, 3: 0.625, 4: 0.5}
    assert go(trials, Scripted(), space_of("optimizer.lr=choice(0.01)"), 2) == []


def test_a_run_that_is_queued_already_is_waited_for(trials: Trials, finish) -> None:
    """A cluster may let it wait for hours: nobody is at it, and it is to be done once."""
    pool = Queue(lambda job: None)
    pool.then, pool.at_once = lambda: finish("optimizer.lr=0.01"), 3
    said = go(trials, pool, space_of("optimizer.lr=choice(0.01)"), 3)
    assert len(pool.started) == 1
    assert sum("waits     another job is at the same run" in line for line in said) == 2
    assert sum("finished by another job" in line for line in said) == 2
    assert [trial.value for trial in trials.all()] == [0.625] * 3


class Queue(Scripted):
    """Takes whatever it is given, and ends it at the fourth look."""

    then: Callable[[], None]
    looks = 0
    has_room = True  # type: ignore[assignment]

    def ended(self) -> Iterator[tuple[Job, int]]:
        self.looks += 1
        if self.looks == 4:
            self.then()
            self.jobs = dict.fromkeys(self.jobs, 0)
        yield from super().ended()


@pytest.mark.slow
def test_values_that_do_not_go_together_fail_their_trial_alone(trials: Trials, finish) -> None:
    two = "model.num_layers=2"
    space = space_of(
        two, "model=eleatt_gru,gru", "model.gated_layers=null,[0]", "optimizer.lr=0.01"
    )
    for overrides in (["model=eleatt_gru", "model.gated_layers=[0]"], ["model=eleatt_gru"]):
        finish(*overrides, two, "optimizer.lr=0.01")
    finish("model=gru", two, "optimizer.lr=0.01")
    space.check(Composer())  # every value composes beside the others' first ones
    said = go(trials, Scripted(), space, 8)
    counts = trials.counts()
    assert counts["complete"] + counts["failed"] == 8
    assert counts["complete"]
    assert counts["failed"]
    failed = [i for i, line in enumerate(said) if "FAILED" in line]
    assert all("model.gated_layers is set, but model.gate is not" in said[i] for i in failed)
    assert all("again: eleatt-bench train experiment=digits" in said[i + 1] for i in failed)


@pytest.mark.slow
def test_an_interrupted_run_with_a_bad_curve_is_pruned_before_it_is_started(
    trials: Trials, finish
) -> None:
    others(trials, 0.9)
    folder = folder_of("optimizer.lr=0.01")
    finish("optimizer.lr=0.01", status="running")
    curve(folder, 0.1, 0.1, 0.1)
    said = go(trials, Scripted(), space_of("optimizer.lr=choice(0.01)"), STARTUP_TRIALS + 1)
    assert said == ["trial 6/6 pruned    after epoch 2: below the median of the others"]
    assert trials.counts() == {"complete": 5, "pruned": 1}
    assert folder.status() == "pruned"


def test_a_running_job_is_stopped_by_the_curve_that_it_writes(trials: Trials) -> None:
    others(trials, 0.9)
    folder = folder_of("optimizer.lr=0.01")

    def write(job: Job) -> None:
        curve(folder, 0.1)
        folder.epochs.write_bytes(folder.epochs.read_bytes() + b"2,,,,,0.1")  # being written

    space = space_of("optimizer.lr=choice(0.01)")
    pool = Scripted(write)
    observed = trials.judge
    looks: list[dict[int, float]] = []

    def judge(trial: Any, found: dict[int, float], max_epochs: int) -> int | None:
        looks.append(found)
        if len(looks) == 2:
            curve(folder, 0.1, 0.1)
        return observed(trial, found, max_epochs)

    trials.judge = judge  # type: ignore[method-assign, assignment]
    said = go(trials, pool, space, STARTUP_TRIALS + 1)
    assert looks == [{}, {1: 0.1}, {1: 0.1, 2: 0.1}], "whole lines count"
    assert "trial 6/6 pruned    after epoch 2: below the median of the others" in said
    assert len(pool.started) == 1


@pytest.mark.slow
def test_a_job_that_ended_before_it_could_be_stopped_is_complete(trials: Trials, finish) -> None:
    others(trials, 0.9)
    folder = folder_of("optimizer.lr=0.01")
    pool = Scripted(lambda job: curve(folder, 0.1, 0.1, 0.1))
    pool.stop = lambda job: (finish("optimizer.lr=0.01"), pool.jobs.update({job: 0}))  # type: ignore[assignment, return-value]
    said = go(trials, pool, space_of("optimizer.lr=choice(0.01)"), STARTUP_TRIALS + 1)
    assert said[-1].startswith("trial 6/6 complete  val 62.50%")
    assert trials.counts() == {"complete": STARTUP_TRIALS + 1}


@pytest.mark.parametrize("status", [1, -11, 0])
@pytest.mark.few(2)
def test_a_job_that_ends_without_a_result_is_a_failed_trial(trials: Trials, status: int) -> None:
    folder = folder_of("optimizer.lr=0.01")
    said = go(trials, Scripted(lambda job: status), space_of("optimizer.lr=choice(0.01)"), 1)
    how = "signal 11" if status < 0 else f"exit status {status}"
    assert said[1:] == [
        f"trial 1/1 FAILED    {how}: the last line",
        f"  log: {trials.path.with_suffix('') / '1.log'}",
        f"  again: eleatt-bench train experiment=digits {' '.join(SMALL)} optimizer.lr=0.01",
    ]
    (trial,) = trials.all()
    assert trial.user_attrs == trial.user_attrs | {
        "run": folder.run_id, "failure": f"{how}: the last line"
    }  # fmt: skip


@pytest.mark.parametrize("ended", [-signal.SIGKILL, -signal.SIGTERM])
def test_a_trial_whose_job_somebody_ended_is_gone_on_with(
    trials: Trials, finish, ended: int
) -> None:
    space = space_of("optimizer.lr=choice(0.01)")
    with Trials(trials.path, seed=0) as first:
        search = Search(
            space, first, Scripted(lambda job: ended),
            most=1, warm_ok=True, composer=composer(), say=print,
        )  # fmt: skip
        search.go()
        assert search.cancelled == 1
    assert trials.counts() == {"unfinished": 1}
    if ended == -signal.SIGKILL:  # it may want more memory than there is
        with Trials(trials.path, seed=0) as again:
            said = go(again, Scripted(lambda job: ended), space, 2)
        assert said[1] == "trial 1/2 FAILED    signal 9: the last line"
        assert trials.counts() == {"failed": 1, "unfinished": 1}
        return
    said = go(trials, Scripted(lambda job: finish("optimizer.lr=0.01") or 0), space, 1)
    assert said[-1].startswith("trial 1/1 complete")


@pytest.mark.slow
def test_not_all_trials_are_drawn_while_each_waits(trials: Trials, finish) -> None:
    """Later ones are to learn from those that have ended."""
    pool = Queue(lambda job: None)
    pool.then, pool.at_once = lambda: finish("optimizer.lr=0.01"), 2
    known: list[int] = []
    pool.start = lambda job: (known.append(len(trials.all())), Scripted.start(pool, job))  # type: ignore[method-assign, assignment, return-value]
    drawn: list[int] = []
    observed = pool.ended
    pool.ended = lambda: (drawn.append(len(trials.all())), observed())[1]  # type: ignore[method-assign]
    go(trials, pool, space_of("optimizer.lr=choice(0.01)"), 9)
    assert (known, max(drawn[:4])) == ([1], 3), "one is queued, and two wait for it"
    assert trials.counts() == {"complete": 9}


def test_a_queue_is_asked_again_for_what_it_has_already(trials: Trials) -> None:
    """A cluster goes on with the jobs of a search that was left, and holds their runs."""
    space = space_of("optimizer.lr=interval(0.01,0.1)")
    with Trials(trials.path, seed=0) as left, ExitStack() as cluster:
        for _ in range(2):
            trial = left.take(9)
            assert trial is not None
            folder, _ = wanted_run(space.overrides(trial), composer().config(
                space.overrides(trial)), composer())  # fmt: skip
            cluster.enter_context(folder.held())
        left.__exit__()
        pool = Queue(lambda job: None)
        pool.queues, pool.then = True, lambda: None
        go(trials, pool, space, 2)
        assert len(pool.started) == 2, "which takes its own jobs over"
        assert all(job.busy is not None and job.busy() for job in pool.started)


def test_a_trial_waits_for_another_process_and_takes_its_result(trials: Trials, finish) -> None:
    folder = folder_of("optimizer.lr=0.01")
    held = folder.held()

    def too_late(job: Job) -> int:
        held.__enter__()
        return HeldElsewhereError.exit_status

    space, pool = space_of("optimizer.lr=choice(0.01)"), Scripted(too_late)
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if line.startswith("trial 1/1 waits"):
            finish("optimizer.lr=0.01")
            held.__exit__(None, None, None)

    Search(space, trials, pool, most=1, warm_ok=True, composer=composer(), say=say).go()
    assert said[1:] == [
        f"trial 1/1 waits     another job is at the same run, {folder.run_id}",
        "trial 1/1 complete  val 62.50%  finished by another job",
    ]
    assert len(pool.started) == 1


def test_a_trial_waits_for_whoever_trains_what_it_begins_with(trials: Trials) -> None:
    """Else it would be started, and end at once, again and again."""
    config = composer().config(["experiment=digits", *SMALL, "pretraining=digits"])
    before = wanted_run([], config, composer())[1].before
    assert before is not None
    source = before.folder(Path(config["runs_dir"]))
    held = source.held()
    states: list[bool] = []

    def job(job: Job) -> int:
        states.append(source.is_locked())
        if len(states) == 1:  # somebody else was quicker
            held.__enter__()
            return HeldElsewhereError.exit_status
        return 1

    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if line.startswith("trial 1/1 waits"):
            held.__exit__(None, None, None)

    space = space_of("pretraining=digits", "optimizer.lr=choice(0.01)")
    search = Search(
        space, trials, Scripted(job), most=1, warm_ok=True, composer=composer(), say=say
    )  # fmt: skip
    search.go()
    assert states == [False, False], "not while it was held"
    waits = f"trial 1/1 waits     another job is at the run that it begins with, {source.run_id}"
    assert [line for line in said if line.startswith("trial 1/1 waits")] == [waits]


def test_what_a_dead_process_left_is_gone_on_with_before_anything_new(
    trials: Trials, tmp_path: Path
) -> None:
    space = space_of("optimizer.lr=interval(0.01,0.1)")
    with Trials(trials.path, seed=0) as dead:
        left = dead.take(9)
        assert left is not None
        overrides = space.overrides(left)
    pool = Scripted(lambda job: 1)
    go(trials, pool, space, 2)
    assert len(pool.started) == 2
    assert list(pool.started[0].arguments) == ["train", *overrides]
    assert pool.started[1].arguments != pool.started[0].arguments


@pytest.mark.slow
def test_real_jobs_share_a_pretraining_and_each_is_trained_once(trials: Trials) -> None:
    space = space_of("pretraining=digits", "optimizer.lr=choice(0.01,0.02,0.03)", "model=gru")
    with Pool(num_jobs=2, threads_per_job=1) as pool:
        said = go(trials, pool, space, 3)
    assert trials.counts() == {"complete": 3}, said
    waits = [line for line in said if " waits  " in line]
    assert len(waits) <= 3, "once each, not in circles"
    for trial in trials.all():
        folder = RunFolder(Path("runs"), trial.user_attrs["run"])
        record = folder.read()
        assert record is not None
        assert trial.value == record["metrics"]["val"]["accuracy"]
        assert record["pretraining"]
        assert list(trial.intermediate_values) == [1, 2, 3, 4]
