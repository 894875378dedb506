"""What a table's sweep hands to the launcher, and what it says is lacking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.config.composer import Composer
from eleatt_bench.sweeps.grid import sweep_tables, trainings
from eleatt_bench.training.folder import run_folder

COLUMNS = 'table.columns=[{name: accuracy}, {name: nucla, overrides: ["experiment=nucla"]}]'
ROWS = 'table.rows=[{name: GRU, overrides: ["model=gru"]}]'
ASKED = ["table=digits", COLUMNS, ROWS, "table.claims=[]", "table.seeds=[0,1]"]


class Recorder:
    """A launcher that notes what it is to launch, and may say that jobs failed."""

    def __init__(self, fails: bool = False) -> None:
        self.jobs: list[list[str]] = []
        self.fails = fails

    def launch(self, jobs: Sequence[Sequence[str]], initial_job_idx: int) -> list[Any]:
        self.jobs += [list(job) for job in jobs]
        if self.fails:
            raise UserError("1 of 2 jobs failed")
        return []


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ELEATT_DATA", raising=False)
    monkeypatch.delenv("ELEATT_RUNS", raising=False)


def test_what_can_be_done_is_done_and_what_lacks_is_named_at_the_end(capsys) -> None:
    launcher = Recorder()
    with pytest.raises(UserError) as caught:
        sweep_tables(ASKED, launcher)  # type: ignore[arg-type]
    lacking = (
        "Table digits needs data set nucla, which is not prepared: "
        "eleatt-bench data prepare nucla --source PATH"
    )
    assert str(caught.value) == lacking
    assert lacking in capsys.readouterr().out, "said before hours of training too"
    assert launcher.jobs == [
        ["experiment=digits", "model=gru", "seed=0"],
        ["experiment=digits", "model=gru", "seed=1"],
    ]


def test_failed_jobs_and_missing_data_are_both_told() -> None:
    with pytest.raises(UserError, match=r"1 of 2 jobs failed\n\nTable digits needs data set nucla"):
        sweep_tables(ASKED, Recorder(fails=True))  # type: ignore[arg-type]


def test_with_no_data_nothing_is_launched() -> None:
    launcher = Recorder()
    with pytest.raises(UserError, match=r"Table gesture needs data set dhg.*; Table gesture needs"):
        sweep_tables(["table=gesture"], launcher)  # type: ignore[arg-type]
    assert launcher.jobs == []


def test_without_a_table_there_is_nothing_to_sweep() -> None:
    with pytest.raises(UserError, match="needs a table: table=digits"):
        sweep_tables(["model=gru"], Recorder())  # type: ignore[arg-type]


def test_pretrainings_come_first_each_once_and_finished_ones_not_at_all(record_of) -> None:
    composer = Composer()
    asked = [
        ["experiment=digits", "model=gru", "pretraining=digits", "optimizer.lr=0.001"],
        ["experiment=digits", "model=gru", "pretraining=digits", "optimizer.lr=0.002"],
        ["experiment=digits", "model=lstm"],
        ["experiment=digits", "model=gru"],  # itself what the first two begin with
    ]
    jobs = [(overrides, composer.config(overrides)) for overrides in asked]
    entries = trainings(jobs, composer)
    names = [run_folder(composer.config(e.overrides), composer)[0].run_id for e in entries]
    own = [run_folder(config, composer)[0].run_id for _, config in jobs]
    assert names == [own[3], own[0], own[1], own[2]]
    assert [entry.needs for entry in entries] == [None, 0, 0, None]
    assert not any(entry.busy() for entry in entries if entry.busy)

    before, this, _ = run_folder(jobs[3][1], composer)
    with before.held():
        assert [entry.busy() for entry in entries if entry.busy] == [True, False, False, False]
    before.write(record_of(before.run_id, identity=this))
    entries = trainings(jobs[:2], composer)
    assert [(entry.overrides, entry.needs) for entry in entries] == [(o, None) for o in asked[:2]]
