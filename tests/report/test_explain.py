"""The runs of a cell, as a person sees them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.config.composer import Composer
from eleatt_bench.report.explain import explain
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.tables.plan import Plan, plan


@pytest.fixture(scope="module")
def planned(tmp_path_factory, composer: Composer) -> dict[str, Plan]:
    data = f"data_dir={tmp_path_factory.mktemp('data')}"
    return {name: plan(name, [data], composer) for name in ("digits", "table4")}


@pytest.mark.slow
def test_every_run_with_its_seed_state_name_and_command(planned, tmp_path: Path, record_of) -> None:
    made = replace(planned["digits"], runs_dir=tmp_path)
    done, failed, *_ = made.by_cell["", "EleAtt-GRU", "accuracy"]
    command = "eleatt-bench train as=it_was"
    for run, status in ((done, "finished"), (failed, "failed")):
        RunFolder(tmp_path, run.run_id).write(
            record_of(run.run_id, 0.9512, identity=run.identity, status=status, command=command)
        )
    text = explain(made, "EleAtt-GRU", "accuracy")
    assert text.startswith("digits, EleAtt-GRU, accuracy: 95.1 ± – (1/3 seeds)\n")
    lines = [line.split() for line in text.splitlines() if line.strip()[:1].isdigit()]
    assert [line[:2] for line in lines] == [["0", "0"], ["1", "0"], ["2", "0"]]
    assert lines[0][2:5] == ["95.12", "finished", done.run_id]
    assert lines[0][5:] == ["eleatt-bench", "train", "as=it_was"]
    assert lines[1][2:5] == ["–", "failed", failed.run_id]
    assert lines[2][2:5] == ["–", "not", "started"]
    command = lines[2][6:]
    assert command[:3] == ["eleatt-bench", "train", "experiment=digits"]
    assert command[-2:] == ["model=eleatt_gru", "seed=2"]


@pytest.mark.slow
def test_a_run_whose_data_are_not_here_has_no_name(planned, tmp_path: Path) -> None:
    made = replace(planned["table4"], runs_dir=tmp_path)
    text = explain(made, "EleAtt-GRU(aug.)", "cross_view_clean")
    assert "not prepared" in text
    assert "experiment=nucla_aug" in text


@pytest.mark.parametrize(
    ("row", "column", "says"),
    [
        ("EleAtt-GRUU", "cross_view", "Did you mean 'EleAtt-GRU'"),
        ("EleAtt-GRU", "cross_veiw", "column of table table4 .* Did you mean 'cross_view'"),
        ("HOJ3D", "cross_view", "that one is cited"),
    ],
)
def test_a_wrong_name(planned, row: str, column: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        explain(planned["table4"], row, column)
