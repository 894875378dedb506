"""Trials in a real database: shared, limited, taken over from the dead, pruned, damaged."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from optuna.trial import TrialState

from eleatt_bench.common.errors import UserError
from eleatt_bench.sweeps.trials import STARTUP_TRIALS, Trials, require_optuna


def opened(path: Path, seed: int = 0) -> Trials:
    return Trials(path, seed=seed)


def test_two_at_once_share_the_trials_and_draw_other_values(tmp_path: Path) -> None:
    path = tmp_path / "searches" / "it's {50%} #1?.db"
    with opened(path) as one, opened(path) as two:
        taken = [t for trials in (one, two) * 3 if (t := trials.take(4))]
        assert sorted(trial.number for trial in taken) == [0, 1, 2, 3]
        assert len({trial.suggest_float("x", 0, 1) for trial in taken}) == 4
        one.complete(taken[0], 0.5)
        one.fail(taken[2], "no")
        two.prune(taken[1])
        assert two.counts() == {"complete": 1, "pruned": 1, "failed": 1, "unfinished": 1}
        assert two.take(4) is None
        assert [trial.value for trial in two.best()] == [0.5]
    assert path.exists()


@pytest.mark.slow
def test_the_same_seed_draws_the_same_values_when_it_is_continued(tmp_path: Path) -> None:
    def drawn(path: Path, times: int, each: int, seed: int = 0) -> list[float]:
        values = []
        for _ in range(times):
            with opened(path, seed) as trials:
                for _ in range(each):
                    trial = trials.take(12)
                    assert trial is not None
                    values.append(trial.suggest_float("x", 0, 1))
                    trials.complete(trial, 1 - values[-1])
        return values

    at_once = drawn(tmp_path / "a.db", 1, 4)
    assert drawn(tmp_path / "b.db", 2, 2) == at_once
    assert drawn(tmp_path / "c.db", 1, 1, seed=1) != at_once[:1]


def test_the_trial_of_a_killed_process_is_continued_by_one_other(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    script = """
        import sys, time
        from pathlib import Path
        from eleatt_bench.sweeps.trials import Trials
        with Trials(Path(sys.argv[1]), seed=0) as trials:
            trial = trials.take(3)
            value = trial.suggest_float("x", 0, 1)
            trials.report(trial, {1: 0.25})
            print(repr(value), flush=True)
            time.sleep(60)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(path)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    value = float(process.stdout.readline())
    with opened(path) as one, opened(path) as two:
        other = two.take(3)
        assert other is not None
        assert other.number == 1  # the first one's process lives
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        trial = one.take(3)
        assert trial is not None
        assert trial.number == 0
        assert trial.suggest_float("x", 0, 1) == value
        one.report(trial, {1: 0.25, 2: 0.5})
        assert one.all()[0].intermediate_values == {1: 0.25, 2: 0.5}
        third = two.take(3)
        assert third is not None
        assert third.number == 2
        assert len(list(tmp_path.glob("a.*.lock"))) == 2
    assert not list(tmp_path.glob("a.*.lock"))


def test_values_not_drawn_before_a_process_died_are_those_it_would_have_drawn(
    tmp_path: Path,
) -> None:
    def first(path: Path) -> float:
        with opened(path) as trials:
            trial = trials.take(1)
            assert trial is not None
            return trial.suggest_float("x", 0, 1)

    with opened(tmp_path / "died.db") as trials:
        assert trials.take(1) is not None
    assert first(tmp_path / "died.db") == first(tmp_path / "undisturbed.db")


@pytest.mark.slow
def test_many_processes_share_the_trials_and_each_is_done_once(tmp_path: Path) -> None:
    script = """
        import sys
        from pathlib import Path
        from eleatt_bench.sweeps.trials import Trials
        with Trials(Path(sys.argv[1]), seed=0) as trials:
            while (trial := trials.take(12)) is not None:
                value = trial.suggest_float("x", 0, 1)
                trials.report(trial, {1: value})
                trials.complete(trial, value)
                print(trial.number, flush=True)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "a.db")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    done = [int(line) for p in processes for line in p.communicate(timeout=120)[0].split()]
    assert [p.returncode for p in processes] == [0, 0, 0]
    assert sorted(done) == list(range(12))
    with opened(tmp_path / "a.db") as trials:
        assert trials.counts() == {"complete": 12}
        assert len({trial.params["x"] for trial in trials.all()}) == 12
        assert [t.value for t in trials.best()] == sorted(
            (t.params["x"] for t in trials.all()), reverse=True
        )


def test_a_lock_that_a_dead_process_left_is_no_life_sign(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with opened(path) as trials:
        assert trials.take(1) is not None
        token = trials.all()[0].user_attrs["owner"]
    lock = path.with_suffix(f".{token}.lock")
    lock.touch()
    with opened(path) as trials:
        again = trials.take(1)
        assert again is not None
        assert again.number == 0
        assert not lock.exists()
        assert trials.take(1) is None, "it is this process's now"


@pytest.mark.slow
def test_each_trial_is_spared_for_the_first_quarter_of_its_own_epochs(tmp_path: Path) -> None:
    with opened(tmp_path / "a.db") as trials:
        for _ in range(STARTUP_TRIALS):
            trial = trials.take(99)
            assert trial is not None
            trials.report(trial, dict.fromkeys(range(1, 41), 0.9))
            trials.complete(trial, 0.9)
        for max_epochs, first in ((3, 1), (4, 2), (40, 11)):
            trial = trials.take(99)
            assert trial is not None
            bad = dict.fromkeys(range(1, max_epochs + 1), 0.1)
            assert trials.judge(trial, bad, max_epochs) == first
            assert sorted(trials.all()[-1].intermediate_values) == list(range(1, first + 1))
            trials.prune(trial)


def test_only_complete_trials_are_compared_with(tmp_path: Path) -> None:
    with opened(tmp_path / "a.db") as trials:
        ends = [lambda t: trials.complete(t, 0.9)] * (STARTUP_TRIALS - 1)
        for end in (*ends, trials.prune, lambda t: trials.fail(t, "no")):
            trial = trials.take(99)
            assert trial is not None
            trials.report(trial, {1: 0.9})
            end(trial)
        trial = trials.take(99)
        assert trial is not None
        assert trials.judge(trial, {1: 0.1}, 1) is None, "four are not enough"


def test_a_database_that_is_damaged_meanwhile_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with opened(path) as trials:
        trial = trials.take(2)
        assert trial is not None
        path.write_bytes(b"")
        for use in (
            lambda: trials.take(2), lambda: trials.note_run(trial, "a"), trials.counts, trials.best,
            lambda: trials.judge(trial, {1: 0.5}, 1), lambda: trials.complete(trial, 0.5),
            lambda: trials.prune(trial), lambda: trials.fail(trial, "no"),
        ):  # fmt: skip
            with pytest.raises(UserError, match=r"a\.db, cannot be used: .*move it away"):
                use()


def test_a_curve_below_the_median_is_pruned_but_not_at_once(tmp_path: Path) -> None:
    with opened(tmp_path / "a.db") as trials:
        good = {epoch: 0.5 + epoch / 100 for epoch in range(1, 9)}
        bad = dict.fromkeys(range(1, 9), 0.1)
        for _ in range(STARTUP_TRIALS):
            trial = trials.take(99)
            assert trial is not None
            assert trials.judge(trial, bad, 8) is None  # nothing to compare with yet
            trials.report(trial, good)
            trials.complete(trial, 0.58)
        trial = trials.take(99)
        assert trial is not None
        trials.report(trial, {})
        assert trials.judge(trial, {1: 0.05, 2: 0.05}, 8) is None  # the first quarter
        assert trials.judge(trial, {1: 0.05, 2: 0.05, 3: 0.05, 4: 0.05}, 8) == 3
        trials.prune(trial)
        assert trials.all()[-1].state == TrialState.PRUNED
        better = trials.take(99)
        assert better is not None
        assert trials.judge(better, {e: v + 0.1 for e, v in good.items()}, 8) is None


@pytest.mark.parametrize("content", [b"\x00\x01nonsense" * 500, b"SQLite format 3\x00" + b"x" * 99])
def test_a_damaged_database_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.db, cannot be used: .* move it away"), opened(path):
        pass


def test_without_optuna_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"pip install 'eleatt-bench\[search\]'"):
        require_optuna()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS])
def test_without_locks_nothing_is_shared(tmp_path: Path, monkeypatch, number: int) -> None:
    def fails(descriptor: int, how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", fails)
    with (
        pytest.raises(UserError, match=r"has no locks.*ELEATT_RUNS=FOLDER"),
        opened(tmp_path / "a.db"),
    ):
        pass
    assert not list(tmp_path.iterdir())
