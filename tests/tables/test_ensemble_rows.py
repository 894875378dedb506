"""Ensembles as rows of a table, against an independent computation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from eleatt_bench.common.errors import UserError
from eleatt_bench.config.composer import Composer
from eleatt_bench.report.explain import explain
from eleatt_bench.report.losses import panels
from eleatt_bench.report.render import FORMATS, render
from eleatt_bench.runs.predictions import read_predictions
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.tables.build import table
from eleatt_bench.tables.estimate import expected
from eleatt_bench.tables.pending import wanted_now
from eleatt_bench.tables.plan import Plan, plan
from eleatt_bench.tables.table import TableCell

SAMPLES = 80
LABELS = np.random.default_rng(5).integers(0, 2, SAMPLES)
TABLE = """
name: pairs
title: Two rows and their ensemble
overrides: [experiment=digits, model.hidden_size=4]
looks: [3, 6]
columns: [{name: accuracy}]
rows:
  - {name: GRU, overrides: [model=gru]}
  - {name: both, ensemble: [EleAtt-GRU, GRU], paper: {accuracy: 99.0}}
  - {name: EleAtt-GRU, overrides: [model=eleatt_gru]}
claims:
  - {better: both, than: GRU}
"""


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> Composer:
    folder = tmp_path_factory.mktemp("configs")
    (folder / "table").mkdir()
    (folder / "table" / "pairs.yaml").write_text(TABLE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ELEATT_CONFIGS", str(folder))
        with Composer() as composer:
            yield composer


@pytest.fixture(scope="module")
def pairs(composer: Composer, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return plan("pairs", [f"data_dir={tmp_path_factory.mktemp('data')}"], composer)


@pytest.fixture
def made(pairs: Plan, composer: Composer, finished_run, tmp_path: Path) -> Plan:
    """The runs of the first look are done, but for one of the last seed."""
    for run in pairs.first_look[:-1]:
        right = np.random.default_rng(run.seed + 10 * (run.row == "GRU")).random(SAMPLES) < 0.7
        parameters = 100 if run.row == "GRU" else 30
        finished_run(
            tmp_path, run.seed, tuple(right.tolist()), composer.config(run.overrides),
            run.identity["data"]["digest"], LABELS, parameters=parameters,
            timing={"seconds_per_epoch": 2.0 if run.row == "GRU" else 3.5},
        )  # fmt: skip
    return replace(pairs, runs_dir=tmp_path)


def cell(made: Plan, row: str) -> TableCell:
    return next(one for one in table(made).rows if one.name == row).cells[0]


def expected_accuracy(made: Plan, seed: int) -> float:
    found = [
        read_predictions(RunFolder(made.runs_dir, run.run_id))
        for run in made.runs
        if run.seed == seed
    ]
    mean = np.mean([softmax(one.logits.astype(np.float64), axis=1) for one in found], axis=0)
    return 100 * float((mean.argmax(axis=1) == LABELS).mean())


def test_a_cell_is_the_mean_of_probabilities_seed_by_seed(made: Plan) -> None:
    both = cell(made, "both")
    assert both.by_seed == {seed: expected_accuracy(made, seed) for seed in (0, 1)}
    assert len(both.results) == 3
    assert both.by_seed.keys() < cell(made, "GRU").by_seed.keys(), "a member of seed 2 lacks"
    assert both.parameters == 130
    assert both.seconds == {"a CPU, 1 thread, scan": 5.5}
    assert both.difference == pytest.approx(both.mean - 99)


def test_its_claims_are_judged_as_any_other(made: Plan) -> None:
    (claim,) = table(made).claims
    both, gru = (cell(made, row).by_seed for row in ("both", "GRU"))
    assert claim.judgement.mean == pytest.approx(np.mean([both[s] - gru[s] for s in (0, 1)]))
    assert [test.seed for test in claim.tests] == [0, 1]
    for test in claim.tests:
        difference = 100 * (test.better_only - test.than_only) / SAMPLES
        assert difference == pytest.approx(both[test.seed] - gru[test.seed])


def test_no_run_is_wanted_or_counted_twice(made: Plan, pairs: Plan) -> None:
    assert len(made.runs) == 12
    assert [run.run_id for run in wanted_now(made, False)] == [made.first_look[-1].run_id]
    (first, later) = expected([made])
    assert (len(first), len(later)) == (1, 6)
    found = table(made)
    assert (found.runs, found.finished) == (6, 5)


def test_it_is_shown_wherever_rows_are(made: Plan) -> None:
    found = table(made)
    for form in FORMATS:
        assert "both" in render([found], form)
    assert "the mean of the probabilities of EleAtt-GRU, GRU" in render([found], "md")
    assert '"ensemble": [\n' in render([found], "json")
    text = explain(made, "both", "accuracy")
    lines = [line.split() for line in text.splitlines() if line.strip()[:1].isdigit()]
    assert [line[0] + line[2] for line in lines] == [
        seed + member for seed in "012" for member in ("EleAtt-GRU", "GRU")
    ]
    curves = panels(made, lambda folder: {})
    assert set(curves["accuracy"]) == {"GRU", "EleAtt-GRU"}


def test_predictions_that_do_not_go_together_are_told(made: Plan, finished_run, composer) -> None:
    first = next(run for run in made.runs if run.row == "GRU" and run.seed == 0)
    folder = RunFolder(made.runs_dir, first.run_id)
    folder.predictions.unlink()
    found = table(made)
    assert cell(made, "both").by_seed.keys() == {1}
    assert any(f"lacks the predictions of {first.run_id}" in note for note in found.notes)
    folder.remove()
    finished_run(
        made.runs_dir, 0, (True,) * (SAMPLES - 1), composer.config(first.overrides),
        first.identity["data"]["digest"],
    )  # fmt: skip
    assert cell(made, "both").by_seed.keys() == {1}
    assert any("not tested on the same samples" in note for note in table(made).notes)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{name: x, ensemble: [GRU]}", "two different rows or more"),
        ("{name: x, ensemble: [GRU, GRU]}", "two different rows or more"),
        ("{name: x, ensemble: [GRU, EleAtt-GRUU]}", "Did you mean 'EleAtt-GRU'"),
        ("{name: x, ensemble: [GRU, x]}", "Unknown row with runs"),
        ("{name: x, ensemble: [GRU, LSTM], overrides: ['model=gru']}", "it takes no overrides"),
    ],
)
def test_what_is_no_ensemble(row: str, said: str, composer: Composer, tmp_path: Path) -> None:
    rows = f"[{{name: GRU}},{{name: LSTM}},{{name: EleAtt-GRU}},{row}]"
    with pytest.raises(UserError, match=said):
        plan("pairs", [f"table.rows={rows}", "table.claims=[]", f"data_dir={tmp_path}"], composer)
