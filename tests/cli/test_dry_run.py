"""What ``reproduce --dry-run`` says before anything is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from eleatt_bench.cli import main
from eleatt_bench.tables.plan import plans

pytestmark = pytest.mark.usefixtures("empty_folder")


def said(capsys, *arguments: str) -> list[str]:
    assert main(["reproduce", *arguments, "--dry-run"]) == 0
    return capsys.readouterr().out.splitlines()


def test_each_look_says_its_seeds_runs_time_and_disk(capsys, record_of) -> None:
    lines = said(capsys, "digits")
    runs, looks = lines[:-3], lines[-3:]
    assert len(runs) == 18
    assert all(line.split("  ")[-1].startswith("eleatt-bench train ") for line in runs)
    recipe = "(by the table's file: one core of a server)"
    assert looks == [
        f"The first look, at 3 seeds: 18 to do, about 3 min of one job's time {recipe}.",
        f"The second look, at 6 seeds: at most 18 to do, about 3 min of one job's time {recipe}.",
        f"The third look, at 12 seeds: at most 36 to do, about 5 min of one job's time {recipe}.",
    ]
    assert not Path("runs").exists(), "nothing is written, no plan either"

    (plan,) = plans("digits")
    for run in plan.first_look:
        timing = {"seconds_per_epoch": 90.0}
        one = record_of(run.run_id, identity=run.identity, epochs=40, timing=timing)
        run.folder(plan.runs_dir).write(one)
        (run.folder(plan.runs_dir).path / "predictions.h5").write_bytes(b"0" * 999_000)
    lines = said(capsys, "digits")
    assert lines == [
        "The first look, at 3 seeds: 0 to do.",
        (
            "The second look, at 6 seeds: at most 18 to do, about 18 h 0 min of one job's time and "
            "18 MB (by runs that are like them)."
        ),
        (
            "The third look, at 12 seeds: at most 36 to do, about 36 h 0 min of one job's time and "
            "36 MB (by runs that are like them)."
        ),
    ]


@pytest.mark.slow
def test_runs_that_cannot_start_are_counted_apart(capsys) -> None:
    columns = 'table.columns=[{name: accuracy}, {name: nucla, overrides: ["experiment=nucla"]}]'
    lines = said(capsys, "digits", columns, "table.looks=[3]")
    assert lines[-2:] == [
        "The first look, at 3 seeds: 18 to do; 18 wait for nucla.",
        "Data set nucla is not prepared: eleatt-bench data prepare nucla --source PATH",
    ]


@pytest.mark.slow
def test_tables_of_several_looks_are_summed_look_by_look(capsys) -> None:
    lines = said(capsys, "paper")
    (first,) = (line for line in lines if line.startswith("The first look"))
    assert "at 3 or 5 seeds: 18 to do" in first
    assert first.count("wait for") == 1
