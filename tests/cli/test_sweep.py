"""Sweeps and tables from the outside, on the digits."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

TINY = ["experiment=digits", "model.hidden_size=4", "trainer.max_epochs=1"]


def records(folder: Path) -> dict[str, int]:
    """When each run's record was written, by run id."""
    return {p.parent.name: p.stat().st_mtime_ns for p in folder.glob("runs/*/record.json")}


@pytest.mark.slow
def test_a_grid_twice_is_four_runs_then_none(command_line, tmp_path: Path) -> None:
    sweep = ["train", "-m", *TINY, "model=gru,eleatt_gru", "seed=0,1"]
    first = command_line(*sweep)
    assert first.returncode == 0, first.stderr
    assert "4 done, 0 failed" in first.stdout
    written = records(tmp_path)
    assert len(written) == 4
    assert all(run in first.stdout for run in written)
    lines = [line.split() for line in first.stdout.splitlines()]
    told = lines[lines.index(["test", "accuracy", "model", "seed", "status", "run"]) + 1 :][:4]
    assert [line[1:4] for line in told] == [
        [model, seed, "finished"] for model in ("gru", "eleatt_gru") for seed in "01"
    ]

    second = command_line(*sweep)
    assert second.returncode == 0, second.stderr
    assert "4 of 4 runs are finished already" in second.stdout
    assert records(tmp_path) == written

    ids = sorted(written)[:2]
    both = command_line("eval", f"run={ids[0]},{ids[1]}", "checkpoint=last")
    assert both.returncode == 0, both.stderr
    for run in ids:
        assert run in both.stdout
        result = json.loads((tmp_path / "runs" / run / "eval-last.json").read_text("utf-8"))
        assert result["samples"]["test"] == 359

    shown = command_line("runs", "list").stdout
    assert all(run in shown for run in written)
    one = command_line("runs", "show", ids[0])
    assert one.stdout.startswith(f"{ids[0]}  finished")
    assert "command:" in one.stdout


@pytest.mark.slow
def test_a_failed_job_is_named_with_its_reason_and_the_others_are_done(
    command_line, tmp_path: Path
) -> None:
    done = command_line("train", "-m", *TINY, "model=rnn", "optimizer.lr=0.01,1e36", "seed=0")
    assert done.returncode == 1
    assert "1 of 2 jobs failed" in done.stderr
    assert "optimizer.lr=1e+36: exit status 1" in done.stderr
    assert "diverged" in done.stderr
    assert "again: eleatt-bench train" in done.stderr
    assert "Traceback" not in done.stderr
    states = [
        json.loads(p.read_text(encoding="utf-8"))["status"]
        for p in tmp_path.glob("runs/*/record.json")
    ]
    assert sorted(states) == ["failed", "finished"]


@pytest.mark.slow
def test_an_interrupted_table_keeps_what_is_finished_continues_and_is_then_complete(
    command_line, user_environment, tmp_path: Path
) -> None:
    smaller = ["model.hidden_size=4", "trainer.max_epochs=1", "table.seeds=[0,1]"]
    empty = command_line("table", "digits", *smaller)
    assert empty.returncode == 0, empty.stderr
    assert "0 of 12 runs are done" in empty.stdout
    output = interrupted_after_a_run(["reproduce", "digits", *smaller], tmp_path, user_environment)
    kept = finished(tmp_path)
    assert 1 <= len(kept) < 12
    assert f"{len(kept)} of 12 runs are done" in output

    again = command_line("reproduce", "digits", *smaller)
    assert again.returncode == 0, again.stderr
    assert f"{12 - len(kept)} done, 0 failed" in again.stdout
    written = finished(tmp_path)
    assert len(written) == 12
    assert kept.items() <= written.items()
    check_table(tmp_path)

    assert command_line("reproduce", "digits", *smaller).returncode == 0
    assert finished(tmp_path) == written
    out = tmp_path / "table.tex"
    shown = command_line("table", "digits", *smaller, "--format", "tex", "--out", str(out))
    assert shown.returncode == 0, shown.stderr
    assert r"\toprule" in out.read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_table_that_is_killed_goes_on_until_it_is_decided(
    command_line, user_environment, tmp_path: Path
) -> None:
    asked = ["reproduce", "digits", "model.hidden_size=4", "trainer.max_epochs=1",
             "table.looks=[3,4]", "--until-decided"]  # fmt: skip
    for least in (5, 18):
        process = subprocess.Popen(
            [sys.executable, "-m", "eleatt_bench", *asked], cwd=tmp_path, env=user_environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        while process.poll() is None and len(finished(tmp_path)) < least:
            time.sleep(0.02)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = command_line(*asked)
    assert done.returncode == 0, done.stderr
    (written,) = tmp_path.glob("runs/tables/digits-????????.json")
    (made,) = json.loads(written.read_text(encoding="utf-8"))
    claims = made["claims"]
    assert all(one["decided_at"] == 3 or one["seeds"] == 4 for one in claims)
    assert not any(one["exploratory"] for one in claims)
    seeds = {cell["row"]: cell["seeds"] for cell in made["cells"]}
    for one in claims:
        assert seeds[one["better"]] == seeds[one["than"]] == one["seeds"]
    again = command_line(*asked)
    assert again.returncode == 0, again.stderr
    assert "started" not in again.stdout


def interrupted_after_a_run(arguments: list[str], folder: Path, env: dict[str, str]) -> str:
    """What a sweep printed that was stopped by Ctrl-C as soon as a run was finished."""
    process = subprocess.Popen(
        [sys.executable, "-m", "eleatt_bench", *arguments, "launcher.jobs=1"],
        cwd=folder, env=env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not finished(folder):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    output, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in error
    return output


def check_table(folder: Path) -> None:
    """Hold the table's numbers of two seeds against the records."""
    tables = folder / "runs" / "tables"
    file = max(tables.glob("digits-????????.csv"), key=lambda path: path.stat().st_mtime_ns)
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    assert [(row["cited"], row["n"]) for row in rows] == [("False", "2")] * 6
    claims = file.with_name(f"{file.stem}-claims.csv").read_text(encoding="utf-8")
    assert [row["n"] for row in csv.DictReader(claims.splitlines())] == ["2"] * 3
    accuracies = {
        (r["identity"]["model"]["cell"], bool(r["identity"]["model"]["gate"]), r["seed"]): 100
        * r["metrics"]["test"]["accuracy"]
        for r in (json.loads(p.read_text("utf-8")) for p in folder.glob("runs/*/record.json"))
    }
    gru = next(row for row in rows if row["row"] == "EleAtt-GRU")
    expected = [accuracies["gru", True, seed] for seed in (0, 1)]
    assert abs(float(gru["mean"]) - sum(expected) / 2) < 1e-5
    assert abs(float(gru["sd"]) - abs(expected[0] - expected[1]) / 2**0.5) < 1e-5


def finished(folder: Path) -> dict[str, int]:
    """As `records`, of finished runs alone."""
    return {
        run: written
        for run, written in records(folder).items()
        if json.loads((folder / "runs" / run / "record.json").read_text("utf-8"))["status"]
        == "finished"
    }


@pytest.mark.slow
def test_two_sweeps_at_once_share_the_work(tmp_path: Path, user_environment) -> None:
    overrides = [*TINY, "trainer.max_epochs=4", "seed=0,1,2,3", "launcher.jobs=1"]
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "eleatt_bench", "train", "-m", *overrides],
            cwd=tmp_path, env=user_environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    logs = [path.read_text(encoding="utf-8") for path in tmp_path.glob("runs/digits-*/log.txt")]
    assert [log.count("finished: test") for log in logs] == [1] * 4, "each was trained once"
    results = [out.split("\nWhere")[0].partition("test accuracy")[2] for out, _ in said]
    assert results[0] == results[1]
    assert results[0].count("finished") == 4
