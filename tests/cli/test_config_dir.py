"""Configs of the user's own, on the command line of every verb that composes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

MINE = """# @package _global_
defaults: [digits]
data: {val_seed: "${seed}"}
model: {hidden_size: 4}
trainer: {max_epochs: 1}
"""
TABLE = """name: ours
title: Ours
overrides: [experiment=mine]
seeds: [0, 1]
columns: [{name: accuracy}]
rows: [{name: GRU, overrides: [model=gru]}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "ours"
    for name, text in (("experiment/mine", MINE), ("table/ours", TABLE)):
        (path / name).parent.mkdir(parents=True)
        (path / f"{name}.yaml").write_text(text, encoding="utf-8")
    return path


@pytest.mark.slow
def test_a_table_of_ones_own_from_its_plan_to_its_numbers(command_line, folder: Path) -> None:
    flag = ["--config-dir", str(folder)]
    listed = command_line("tables", *flag)
    assert "\nours       Ours: 1 rows, 2 seeds" in listed.stdout
    assert "Unknown table 'ours'" in command_line("table", "ours").stderr
    planned = command_line("reproduce", "ours", "--dry-run", *flag)
    assert f"eleatt-bench train --config-dir {folder} experiment=mine" in planned.stdout
    done = command_line("reproduce", "ours", *flag)
    assert done.returncode == 0, done.stderr
    assert "2 of 2 done" in done.stdout
    # Each run drew its validation samples by its seed, and the table knows.
    shown = command_line("table", "ours", "--format", "json", env={"ELEATT_CONFIGS": str(folder)})
    (table,) = json.loads(shown.stdout)
    assert (table["runs"], table["runs_asked"]) == (2, 2)
    records = [json.loads(p.read_bytes()) for p in folder.parent.glob("runs/*/record.json")]
    assert sorted((r["seed"], r["identity"]["data"]["val_seed"]) for r in records) == [
        (0, 0),
        (1, 1),
    ]
    again = command_line("eval", f"run={records[0]['run_id']}", *flag)
    assert again.returncode == 0, again.stderr


@pytest.mark.slow
def test_a_sweep_follows_references_as_hydra_does(command_line, folder: Path) -> None:
    flag = ["--config-dir", str(folder)]
    done = command_line("train", "-m", "experiment=mine", "seed=1,2", *flag)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("finished") == 2
    assert "not started" not in done.stdout


@pytest.mark.slow
def test_a_search_and_a_grid_name_the_job_that_cannot_be(command_line, folder: Path) -> None:
    flag = ["--config-dir", str(folder)]
    lost = command_line("search", "mine", "trainer.num_threads=1,2", "--trials", "2", *flag)
    assert lost.returncode == 1
    assert "trainer.num_threads is no part of a run's name" in lost.stderr
    lost = command_line("train", "-m", "experiment=mine", "model.hidden_size=4,0", *flag)
    assert lost.returncode == 1
    assert "Job 2 of 2, model.hidden_size=0: model.hidden_size is 0" in lost.stderr
    assert not list(folder.parent.glob("runs/*/record.json"))


@pytest.mark.slow
def test_a_sweep_whose_experiment_changes_does_not_end_well(command_line, folder: Path) -> None:
    """The first job, as it starts, changes the file from which both compose."""
    hook = folder.parent / "sitecustomize.py"
    hook.write_text(
        "import sys\n"
        "if 'seed=0' in sys.orig_argv and sys.orig_argv.count('-m') == 1:\n"
        f"    path = {str(folder / 'experiment' / 'mine.yaml')!r}\n"
        "    text = open(path).read()\n"
        "    open(path, 'w').write(text.replace('hidden_size: 4', 'hidden_size: 5'))\n"
    )
    done = command_line(
        "train", "-m", "experiment=mine", "seed=0,1", "launcher.jobs=1", "launcher.warm=false",
        "--config-dir", str(folder), env={"PYTHONPATH": str(folder.parent)},
    )  # fmt: skip
    assert done.returncode == 1
    assert "2 of 2 jobs failed" in done.stderr
    assert "This job was planned as digits-eleatt_gru-seed1-" in done.stderr
    assert not list(folder.parent.glob("runs/*/record.json"))
