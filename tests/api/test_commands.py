"""Training from Python is the command line's."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import eleatt_bench as eb
from eleatt_bench.report.as_csv import csv, csv_claims
from eleatt_bench.tables import build
from eleatt_bench.tables.plan import plans

QUICK = ["experiment=digits", "quick=true", "model=eleatt_gru"]


def test_a_finished_run_is_given_at_once(
    run: eb.LoadedRun, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = eb.train(QUICK)
    assert (again.id, again.record) == (run.id, run.record)
    assert "test accuracy" in capsys.readouterr().out


def test_what_lies_in_the_working_folder_is_not_imported(
    run: eb.LoadedRun, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "selectors.py").write_text("raise SystemExit('not the selectors of Python')\n")
    monkeypatch.chdir(tmp_path)
    assert eb.train(QUICK).id == run.id


@pytest.mark.slow
def test_a_run_that_fails_says_why(here: Path, tmp_path: Path) -> None:
    bad = [
        f"runs_dir={tmp_path}",
        "model=rnn",
        "optimizer.lr=1e36",
        "trainer.gradient_clip_val=null",
    ]
    with pytest.raises(eb.UserError, match=r"^val/loss is .* the run diverged"):
        eb.train([*QUICK[:2], *bad], quiet=True)


def test_a_table_is_that_of_the_command(run: eb.LoadedRun, here: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas, of the extra frames, is not installed")
    found = eb.table("digits", ["quick=true"])
    tables = [build.table(plan) for plan in plans("digits", ["quick=true"])]
    for frame, text in ((found.cells(), csv(tables)), (found.claims(), csv_claims(tables))):
        lines = text.splitlines()
        assert sorted(frame.columns) == sorted(lines[0].split(","))
        assert len(frame) == len(lines) - 1
    cells = found.cells().set_index("row")
    assert cells.loc["EleAtt-GRU", "mean"] == 100 * run.metrics["test/accuracy"]
    assert pandas.isna(cells.loc["GRU", "mean"])
    assert "| EleAtt-GRU" in repr(found)


@pytest.mark.slow
def test_a_table_is_reproduced(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = eb.reproduce("digits", ["quick=true", "launcher.jobs=2", f"runs_dir={tmp_path}"])
    assert set(found.cells()["n"]) == {2}
    assert "12 of 12 done" in capsys.readouterr().out


@pytest.mark.slow
def test_an_interrupted_training_ends_with_the_caller(tmp_path: Path) -> None:
    code = f"import eleatt_bench as eb; eb.train({QUICK[::2]!r} + ['trainer.max_epochs=500'])"
    caller = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE)
    assert caller.stdout is not None
    for line in caller.stdout:
        if b"epoch  20/" in line:
            break
    caller.send_signal(signal.SIGINT)
    caller.communicate(timeout=60)
    assert caller.returncode != 0
    (record,) = tmp_path.glob("runs/*/record.json")
    assert json.loads(record.read_text(encoding="utf-8"))["status"] in ("running", "failed")
    deadline = time.monotonic() + 30
    while eb.load_run("digits", tmp_path / "runs").status != "interrupted":
        assert time.monotonic() < deadline
        time.sleep(0.1)
