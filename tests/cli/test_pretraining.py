"""Pre-trainings from the outside: trained first, once, shared, and named when they fail."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from eleatt_bench.runs.record import all_runs

SECTIONS = (
    "table.sections=[{name: from scratch}, "
    '{name: pre-trained, overrides: ["pretraining=digits"], paper_note: not in the paper}]'
)
ONE_ROW = [
    'table.rows=[{name: GRU, overrides: ["model=gru", "optimizer.lr=0.001"]}]',
    "table.claims=[]",
    "table.seeds=[0]",
    SECTIONS,
]


@pytest.mark.slow
def test_a_table_trains_what_its_runs_begin_with_first_and_once(
    command_line, tmp_path: Path
) -> None:
    done = command_line("reproduce", "digits", "quick=true", *ONE_ROW, "launcher.jobs=1")
    assert done.returncode == 0, done.stderr
    assert "3 done, 0 failed" in done.stdout
    assert "REHEARSAL" in done.stdout
    assert "Pre-trained: not in the paper." in done.stdout
    records = [run.read() or {} for run in all_runs(tmp_path / "runs")]
    assert len(records) == 3
    finished = {r["run_id"]: r["timing"]["finished"] for r in records}
    (pretrained,) = [r for r in records if "pretraining" in r]
    assert finished[pretrained["pretraining"]] <= pretrained["timing"]["started"]
    (file,) = (tmp_path / "runs" / "tables").glob("digits-quick-????????.csv")
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    assert [(r["section"], r["n"], r["rehearsal"]) for r in rows] == [
        ("from scratch", "1", "True"),
        ("pre-trained", "1", "True"),
    ]
    shown = command_line("table", "digits", "quick=true", *ONE_ROW, "--explain", "GRU", "accuracy")
    assert all(record["run_id"] in shown.stdout for record in records)


@pytest.mark.slow
def test_a_failed_pretraining_fails_what_needs_it_and_nothing_else(
    command_line, tmp_path: Path
) -> None:
    quick = ["experiment=digits", "quick=true", "model=gru"]
    first = command_line("train", *quick, "pretraining=digits")
    assert first.returncode == 0, first.stderr
    (run,) = [r for r in all_runs(tmp_path / "runs") if "pretraining" in (r.read() or {})]
    source = json.loads(run.record.read_text(encoding="utf-8"))["pretraining"]
    (tmp_path / "runs" / source / "record.json").unlink()
    for path in (tmp_path / "runs" / source / "checkpoints").glob("*.ckpt"):
        path.write_bytes(b"damaged")
    grid = ["optimizer.lr=0.002,0.003", "pretraining=digits,null"]
    done = command_line("train", "-m", *quick, *grid, "launcher.jobs=1")
    assert done.returncode == 1
    assert "3 of 5 jobs failed" in done.stderr
    assert done.stderr.count("not started, because") == 2
    assert "best.ckpt" in done.stderr or "last.ckpt" in done.stderr
    assert "2 done, 1 failed, 2 left out" in done.stdout
    assert "Traceback" not in done.stderr
