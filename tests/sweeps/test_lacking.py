"""What a table's sweep hands to the launcher, and what it says is lacking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.runs.identity import model_name
from eleatt_bench.sweeps.lacking import asked_tables, sweep_tables
from eleatt_bench.tables.build import table

COLUMNS = 'table.columns=[{name: accuracy}, {name: nucla, overrides: ["experiment=nucla"]}]'
ROWS = 'table.rows=[{name: GRU, overrides: ["model=gru"]}]'
ASKED = ["table=digits", COLUMNS, ROWS, "table.claims=[]", "table.seeds=[0,1]"]

pytestmark = pytest.mark.usefixtures("empty_folder")


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


@pytest.mark.slow
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


def test_a_damaged_store_is_named_as_one_that_lacks(tmp_path: Path) -> None:
    (tmp_path / "data" / "prepared").mkdir(parents=True)
    (tmp_path / "data" / "prepared" / "nucla.h5").write_bytes(b"half of a store")
    launcher = Recorder()
    with pytest.raises(UserError) as caught:
        sweep_tables(ASKED, launcher)  # type: ignore[arg-type]
    assert str(caught.value) == (
        "Table digits needs data set nucla, which cannot be read: data/prepared/nucla.h5 is not an "
        "HDF5 file. Make it anew with: eleatt-bench data prepare nucla --source PATH"
    )
    assert len(launcher.jobs) == 2, "the others go on"


def test_failed_jobs_and_missing_data_are_both_told() -> None:
    with pytest.raises(UserError, match=r"1 of 2 jobs failed\n\nTable digits needs data set nucla"):
        sweep_tables(ASKED, Recorder(fails=True))  # type: ignore[arg-type]


def test_with_no_data_nothing_is_launched() -> None:
    launcher = Recorder()
    with pytest.raises(UserError, match=r"Table gesture needs data set dhg.*; Table gesture needs"):
        sweep_tables(["table=gesture"], launcher)  # type: ignore[arg-type]
    assert launcher.jobs == []


class Worker:
    """A launcher whose runs come to what ``accuracies`` say; None for one that fails."""

    def __init__(self, accuracies: Callable[[Any], float | None], record_of: Any) -> None:
        self._accuracies, self._record_of = accuracies, record_of
        self.looks: list[list[tuple[str, int]]] = []
        self.firsts: list[int] = []

    def launch(self, jobs: Sequence[Sequence[str]], initial_job_idx: int) -> list[Any]:
        self.firsts.append(initial_job_idx)
        known = {run.overrides: run for plan in asked_tables(LOOKS) for run in plan.runs}
        found = [known[tuple(job)] for job in jobs]
        self.looks.append([(model_name(run.identity), run.identity["seed"]) for run in found])
        failed = 0
        for run in found:
            accuracy = self._accuracies(run)
            failed += accuracy is None
            run.folder(Path("runs")).write(
                self._record_of(
                    run.run_id, accuracy=accuracy or 0, identity=run.identity,
                    status="failed" if accuracy is None else "finished",
                )
            )  # fmt: skip
        if failed:
            raise UserError(f"{failed} of {len(jobs)} jobs failed")
        return []


LOOKS = ["table=digits", "table.looks=[3,5,7]"]


def draws(run: Any) -> float:
    """The gate helps a GRU, hurts an LSTM as much as it helps, and is noise in an RNN."""
    cell, seed = run.identity["model"]["cell"], run.identity["seed"]
    gated = bool(run.identity["model"]["gated_layers"])
    gain = {"gru": 0.1, "lstm": 0.0, "rnn": (-1) ** seed * 0.1}[cell]
    return float(0.6 + gated * (gain + seed * 1e-5))


def test_a_table_is_its_first_look_unless_it_is_to_be_decided(record_of) -> None:
    worker = Worker(draws, record_of)
    sweep_tables(LOOKS, worker)  # type: ignore[arg-type]
    assert [len(look) for look in worker.looks] == [18]
    sweep_tables(LOOKS, worker)  # type: ignore[arg-type]
    assert len(worker.looks) == 1, "what is finished is not done again"


@pytest.mark.slow
def test_only_rows_of_undecided_claims_get_more_seeds(record_of) -> None:
    worker = Worker(draws, record_of)
    sweep_tables(LOOKS, worker, until_decided=True)  # type: ignore[arg-type]
    assert [len(look) for look in worker.looks] == [18, 4, 4]
    assert set(worker.looks[1]) == {(row, s) for row in ("rnn", "eleatt_rnn") for s in (3, 4)}
    assert set(worker.looks[2]) == {(row, s) for row in ("rnn", "eleatt_rnn") for s in (5, 6)}
    assert worker.firsts == [0, 18, 22], "every job has a log of its own"
    sweep_tables(LOOKS, worker, until_decided=True)  # type: ignore[arg-type]
    assert len(worker.looks) == 3


def test_what_was_stopped_goes_on_where_it_was(record_of) -> None:
    class Stopped(Worker):
        def launch(self, jobs: Sequence[Sequence[str]], initial_job_idx: int) -> list[Any]:
            super().launch(jobs[:7], initial_job_idx)
            raise KeyboardInterrupt

    done: list[tuple[str, int]] = []
    for _ in range(100):
        worker = Stopped(draws, record_of)
        try:
            sweep_tables(LOOKS, worker, until_decided=True)  # type: ignore[arg-type]
        except KeyboardInterrupt:
            done += worker.looks[0]
        else:
            break
    assert len(done) == len(set(done)) == 26


def test_a_failed_seed_blocks_its_look_and_is_tried_again_by_the_next_command(record_of) -> None:
    def fails(run: Any) -> float | None:
        third = run.identity["model"]["cell"] == "rnn" and run.identity["seed"] == 3
        return None if third else draws(run)

    worker = Worker(fails, record_of)
    with pytest.raises(UserError, match="2 of 4 jobs failed"):
        sweep_tables(LOOKS, worker, until_decided=True)  # type: ignore[arg-type]
    assert [len(look) for look in worker.looks] == [18, 4]
    (claim,) = [c for c in table(asked_tables(LOOKS)[0]).claims if c.better == "EleAtt-RNN"]
    assert (claim.judgement.blocked_by, claim.judgement.next_look) == ((3,), 5)
    mended = Worker(draws, record_of)
    sweep_tables(LOOKS, mended, until_decided=True)  # type: ignore[arg-type]
    assert [len(look) for look in mended.looks] == [2, 4]


def test_the_plan_is_recorded_before_any_run(record_of) -> None:
    class Looking(Worker):
        def launch(self, jobs: Sequence[Sequence[str]], initial_job_idx: int) -> list[Any]:
            assert list(Path("runs/tables").glob("digits-*.plan.json"))
            return super().launch(jobs, initial_job_idx)

    worker = Looking(draws, record_of)
    sweep_tables(LOOKS, worker)  # type: ignore[arg-type]
    assert worker.looks


def test_without_a_table_there_is_nothing_to_sweep() -> None:
    with pytest.raises(UserError, match="needs a table: table=digits"):
        sweep_tables(["model=gru"], Recorder())  # type: ignore[arg-type]
