"""Runs chosen and ordered by their values."""

from __future__ import annotations

from pathlib import Path

import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.runs.values import Run, ordered, read_runs, select


@pytest.fixture
def runs(make_run, tmp_path: Path) -> list[Run]:
    make_run(0.9, seed=0)
    make_run(0.7, seed=1, data__limit=64)
    make_run(0.8, seed=0, model__gate=None, trainer__devices=2)
    make_run(None, status="failed", seed=1, model__gate=None, optimizer__lr=0.007)
    return read_runs(tmp_path)


@pytest.mark.parametrize(
    ("filters", "accuracies"),
    [
        ([], {0.9, 0.7, 0.8, None}),
        (["model.gate=sigmoid"], {0.9, 0.7}),
        (["model.gate=null"], {0.8, None}),
        (["seed=1", "model.gate=sigmoid"], {0.7}),
        (["optimizer.lr=7e-3"], {None}),
        (["status=failed"], {None}),
        (["status=finished"], {0.9, 0.7, 0.8}),
        (["model.bidirectional=false"], {0.9, 0.7, 0.8, None}),
        (["model.bidirectional=true"], set()),
        (["model.gated_layers=[0]"], {0.9, 0.7}),
        (["test/accuracy=0.8"], {0.8}),
        (["trainer.devices=2"], {0.8}),  # no part of the name: from config.yaml
        (["data.limit=64"], {0.7}),
        (["data.limit=null"], {0.9, 0.8, None}),  # which is not even in their identities
        (["seed=zero"], set()),
        (["model.gated_layers=[ 0 ]"], {0.9, 0.7}),  # as it may be typed for a setting
        (["model.dropout=.0"], {0.9, 0.7, 0.8, None}),
        (["optimizer.lr=.007"], {None}),
        (["data.transforms.streams=[joints]"], {0.9, 0.7, 0.8, None}),
        (['data.transforms.streams=["joints"]'], {0.9, 0.7, 0.8, None}),
        (["data.transforms.streams=[bones]"], set()),
        (["data.name='digits'"], {0.9, 0.7, 0.8, None}),
        (["seed=true"], set()),
    ],
)
def test_runs_are_chosen_by_any_value(runs, filters, accuracies) -> None:
    assert {run.get("test/accuracy") for run in select(runs, filters)} == accuracies


def test_runs_are_ordered_by_any_value_and_those_without_it_are_last(runs) -> None:
    def accuracies(**options):
        return [run.get("test/accuracy") for run in ordered(runs, "test/accuracy", **options)]

    assert accuracies() == [0.7, 0.8, 0.9, None]
    assert accuracies(reverse=True) == [0.9, 0.8, 0.7, None]
    assert [run.get("seed") for run in ordered(runs, "seed")] == [0, 0, 1, 1]
    assert next(run.get("status") for run in ordered(runs, "status")) == "failed"
    assert [run.get("model.gated_layers") for run in ordered(runs, "model.gated_layers")] == [
        [0], [0], [], [],  # by their text
    ]  # fmt: skip


def test_an_unknown_key_is_a_mistake_even_where_nothing_is_left(runs) -> None:
    with pytest.raises(UserError, match=r"Unknown key 'model.gat'. Did you mean 'model.gate'"):
        select(runs, ["seed=7", "model.gat=x"])
    with pytest.raises(UserError, match="Did you mean 'test/accuracy'"):
        ordered(runs, "test/acuracy")
    with pytest.raises(UserError, match="'seed' is not a filter: write KEY=VALUE"):
        select(runs, ["seed"])
    assert ordered(select(runs, ["seed=7"]), "seed") == []


@pytest.mark.parametrize("content", ["{", '{"status": "finished"}'])
def test_a_damaged_run_is_listed(tmp_path: Path, content: str, capsys) -> None:
    folder = RunFolder(tmp_path, "run")
    folder.path.mkdir()
    folder.record.write_text(content, encoding="utf-8")
    folder.config.write_text("seed: [", encoding="utf-8")
    (run,) = read_runs(tmp_path)
    assert select([run], ["run=run"]) == [run]
    assert run.config == {}
    assert "config.yaml is damaged (it is not YAML" in capsys.readouterr().err
    assert select([run], ["status=damaged"]) == [run]
    assert "record.json is damaged" in run.get("error")


def test_the_run_that_another_began_with_is_not_the_setting(make_run, tmp_path: Path) -> None:
    folder = make_run(pretraining="digits")
    folder.write({**folder.read(), "pretraining": "before"})
    (run,) = read_runs(tmp_path)
    assert run.get("pretraining") == "digits"
    assert run.get("pretraining.run") == "before"
