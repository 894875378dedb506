"""Trials in a real database: shared, limited, taken over from the dead, pruned, damaged."""

from __future__ import annotations

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
    return Trials(path, seed=seed, max_epochs=8)


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
        with Trials(Path(sys.argv[1]), seed=0, max_epochs=8) as trials:
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


def test_a_curve_below_the_median_is_pruned_but_not_at_once(tmp_path: Path) -> None:
    with opened(tmp_path / "a.db") as trials:
        good = {epoch: 0.5 + epoch / 100 for epoch in range(1, 9)}
        bad = dict.fromkeys(range(1, 9), 0.1)
        for _ in range(STARTUP_TRIALS):
            trial = trials.take(99)
            assert trial is not None
            assert trials.judge(trial, bad) is None  # nothing to compare with yet
            trials.report(trial, good)
            trials.complete(trial, 0.58)
        trial = trials.take(99)
        assert trial is not None
        trials.report(trial, {})
        assert trials.judge(trial, {1: 0.05, 2: 0.05}) is None  # the first quarter
        assert trials.judge(trial, {1: 0.05, 2: 0.05, 3: 0.05, 4: 0.05}) == 3
        trials.prune(trial)
        assert trials.all()[-1].state == TrialState.PRUNED
        better = trials.take(99)
        assert better is not None
        assert trials.judge(better, {e: v + 0.1 for e, v in good.items()}) is None


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
