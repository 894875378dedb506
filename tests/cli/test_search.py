"""A search from the outside, on the digits: continued, pruned, failing, killed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from eleatt_bench.cli.search import _digest
from eleatt_bench.config.composer import Composer
from eleatt_bench.sweeps.space import read_space
from eleatt_bench.training.folder import wanted_run

SMALL = ["search", "digits", "model.hidden_size=4", "trainer.max_epochs=20"]


def study(folder: Path) -> optuna.Study:
    (path,) = folder.glob("runs/searches/*.db")
    return optuna.load_study(study_name=None, storage=f"sqlite:///{path}")


def statuses(folder: Path) -> dict[str, str]:
    records = folder.glob("runs/*/record.json")
    return {p.parent.name: json.loads(p.read_text("utf-8"))["status"] for p in records}


@pytest.mark.slow
def test_a_search_is_done_then_continued_and_a_bad_trial_is_pruned(
    command_line, tmp_path: Path
) -> None:
    space = [*SMALL, "optimizer.lr=interval(0.001,0.01)", "launcher.jobs=1", "seed=5"]
    first = command_line(*space, "--trials", "1")
    assert first.returncode == 0, first.stderr
    assert "1 complete, 0 pruned, 0 failed" in first.stdout
    (only,) = study(tmp_path).get_trials()
    (run,) = statuses(tmp_path)
    record = json.loads((tmp_path / "runs" / run / "record.json").read_text("utf-8"))
    assert only.value == record["metrics"]["val"]["accuracy"]
    assert only.user_attrs["run"] == run
    assert list(only.intermediate_values) == list(range(1, 21))
    assert only.value == pytest.approx(max(only.intermediate_values.values()))
    pasted = re.search(r"^The best: eleatt-bench (.*)$", first.stdout, re.MULTILINE)
    assert pasted is not None
    assert record["command"] == f"eleatt-bench {pasted[1]}"

    made_up = dict.fromkeys(range(1, 21), 1.0)
    for _ in range(5):  # as if five others had been perfect from the first epoch on
        study(tmp_path).add_trial(
            create_trial(value=1.0, intermediate_values=made_up, user_attrs={"run": run},
                         params=only.params, distributions=only.distributions)
        )  # fmt: skip
    second = command_line(*space, "--trials", "7")
    assert second.returncode == 0, second.stderr
    assert "trial 7/7 pruned    after epoch 6" in second.stdout
    assert "6 complete, 1 pruned, 0 failed" in second.stdout
    pruned = study(tmp_path).get_trials()[-1]
    assert pruned.state == TrialState.PRUNED
    stopped = tmp_path / "runs" / pruned.user_attrs["run"]
    assert statuses(tmp_path) == {run: "finished", stopped.name: "pruned"}
    assert "pruned" in command_line("runs", "list", "status=pruned").stdout
    assert (stopped / "checkpoints" / "last.ckpt").exists()
    assert not (stopped / "predictions.h5").exists()


@pytest.mark.slow
def test_a_failing_run_is_a_failed_trial_and_the_search_goes_on(
    command_line, tmp_path: Path
) -> None:
    space = ["search", "digits", "model.hidden_size=4", "trainer.max_epochs=2"]
    done = command_line(*space, "optimizer.lr=choice(0.01,1e36)", "--trials", "6")
    assert done.returncode == 0, done.stderr
    states = [trial.state.name for trial in study(tmp_path).get_trials()]
    assert set(states) == {"COMPLETE", "FAIL"}
    assert f"{states.count('COMPLETE')} complete, 0 pruned, {states.count('FAIL')} failed" in (
        done.stdout
    )
    assert "FAILED    exit status 1: Error: train/loss is" in done.stdout
    assert "again: eleatt-bench train experiment=digits" in done.stdout
    assert sorted(statuses(tmp_path).values()) == ["failed", "finished"]  # one run each, no more

    none = command_line(*space, "optimizer.lr=choice(1e36)", "--trials", "1")
    assert none.returncode == 1
    assert "No trial is complete" in none.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_search_is_continued(
    command_line, user_environment, tmp_path: Path, number: signal.Signals
) -> None:
    space = [*SMALL, "optimizer.lr=tag(log,interval(1e-3,1e-1))", "--trials", "4"]
    process = subprocess.Popen(
        [sys.executable, "-m", "eleatt_bench", *space, "launcher.jobs=2"],
        cwd=tmp_path, env=user_environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("runs/*/checkpoints/last.ckpt")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    output, error = process.communicate(timeout=60)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "2 unfinished" in output
        assert "Traceback" not in error
    before = study(tmp_path).get_trials()
    assert len(before) == 2
    assert {trial.state for trial in before} == {TrialState.RUNNING}

    again = command_line(*space, "launcher.jobs=2")
    assert again.returncode == 0, again.stderr
    assert "4 complete, 0 pruned, 0 failed" in again.stdout
    after = study(tmp_path).get_trials()
    assert [trial.params for trial in after[:2]] == [trial.params for trial in before]
    assert list(statuses(tmp_path).values()) == ["finished"] * 4
    logs = "".join(p.read_text("utf-8") for p in tmp_path.glob("runs/searches/*/*.log"))
    assert "continuing after epoch" in logs


@pytest.mark.slow
def test_a_trial_waits_for_whoever_is_at_its_run(
    user_environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ["model.hidden_size=4", "trainer.max_epochs=1"]
    composer = Composer()
    config = composer.config(["experiment=digits", *small, "optimizer.lr=0.01"])
    folder, _ = wanted_run([], config | {"data_dir": "data", "runs_dir": "runs"}, composer)
    space = [*small, "optimizer.lr=choice(0.01)", "--trials", "1", "launcher.jobs=1"]
    with folder.held():
        process = subprocess.Popen(
            [sys.executable, "-m", "eleatt_bench", "search", "digits", *space],
            env=user_environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith(
            f"trial 1/1 waits     another job is at the same run, {folder.run_id}"
        )
    output, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert "trial 1/1 started" in output
    assert "1 complete, 0 pruned, 0 failed" in output


@pytest.mark.slow
def test_two_commands_at_once_share_the_trials(user_environment, tmp_path: Path) -> None:
    space = ["search", "digits", "model.hidden_size=4", "trainer.max_epochs=2", "launcher.jobs=1"]
    command = [*space, "optimizer.lr=tag(log,interval(1e-3,1e-1))", "--trials", "4"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "eleatt_bench", *command], cwd=tmp_path, env=user_environment,
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for _ in range(2)
    ]  # fmt: skip
    output = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], output
    trials = study(tmp_path).get_trials()
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 4
    assert len({trial.user_attrs["run"] for trial in trials}) == 4
    assert list(statuses(tmp_path).values()) == ["finished"] * 4
    started = [line for text in output for line in text.splitlines() if " started " in line]
    assert len(started) == 4, "each trial once, by one of them"
    assert not list(tmp_path.glob("runs/searches/*.*.lock")), "no lock of a process is left"


@pytest.mark.parametrize(
    "space", ["optimizer.lr=range(0,inf)", "experiment=nucla", "data.protocol=fixd"]
)
@pytest.mark.few(1)
def test_what_is_no_search_ends_in_one_sentence(command_line, tmp_path: Path, space: str) -> None:
    words = ["search", "digits", "--trials", "2", space]
    done = command_line(*words, "model.dropout=interval(0,0.5)", timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_search_with_a_choice_that_was_changed_is_another(tmp_path: Path, monkeypatch) -> None:
    """Its runs have other names, and what was drawn of the old ones says nothing of them."""
    monkeypatch.chdir(tmp_path)
    sweeps = ["optimizer.lr=interval(0.1,0.2)", "model=choice(gru,mine)"]

    def name(reset_after: str) -> str:
        folder = tmp_path / reset_after
        (folder / "model").mkdir(parents=True, exist_ok=True)
        own = f"defaults: [gru]\nreset_after: {reset_after}\n"
        (folder / "model" / "mine.yaml").write_text(own)
        monkeypatch.setenv("ELEATT_CONFIGS", str(folder))
        return _digest(read_space(["experiment=digits"], sweeps), Composer())

    assert name("true") == name("true") != name("false")


def test_without_the_data_nothing_is_begun(command_line, tmp_path: Path) -> None:
    words = ["search", "nucla", "--trials", "3", "optimizer.lr=interval(1e-4,1e-2)"]
    done = command_line(*words, timeout=60)
    assert done.returncode == 1
    assert "eleatt-bench data prepare nucla" in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_mistyped_key_is_said_before_anything_is_written(command_line, tmp_path: Path) -> None:
    done = command_line("search", "digits", "--trials", "2", "optimizer.rl=interval(1,2)")
    assert done.returncode == 1
    assert "Did you mean 'optimizer.lr'?" in done.stderr
    assert list(tmp_path.iterdir()) == []
