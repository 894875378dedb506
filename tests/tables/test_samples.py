"""What predictions say of two rows: by seed, and over seeds and subjects or samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from eleatt_bench.data import catalog
from eleatt_bench.data.store import Sample
from eleatt_bench.data.writing import write_store
from eleatt_bench.runs.predictions import Predictions
from eleatt_bench.tables.build import table
from eleatt_bench.tables.chance import contributions, crossed
from eleatt_bench.tables.collapse import Collapse
from eleatt_bench.tables.plan import Plan
from eleatt_bench.tables.samples import Compared, compare, gains
from eleatt_bench.tables.verdicts import levels_of


def predictions(right: np.ndarray, names: list[str] | None = None) -> Predictions:
    """The first of two classes is true everywhere."""
    names = names or [f"s{index}" for index in range(len(right))]
    logits = np.stack([right, np.full(len(right), 0.5)], axis=1).astype(np.float32)
    labels = np.zeros(len(right), np.int64)
    return Predictions(np.array(names, "S8"), labels, logits, ("first", "second"))


def test_the_interval_is_that_of_crossed_seeds_and_subjects() -> None:
    random = np.random.default_rng(0)
    better, than = (random.random((4, 60)) < share for share in (0.8, 0.6))
    by_seed = {
        seed: gains({0: (predictions(a), predictions(b))})
        for seed, (a, b) in enumerate(zip(better, than, strict=True))
    }
    subject = {f"s{index}".encode(): index % 7 for index in range(60)}
    found = compare(by_seed, subject, 0.02)
    gain, fold = better.astype(float) - than, np.zeros(60, np.int64)
    assert found.groups == "subjects"
    assert found.crossed == crossed(*contributions(gain, np.arange(60) % 7, fold), 0.02)
    assert found.crossed.groups == 7
    assert Compared.of_plain(found.plain()) == found
    for unknown in (None, {}, {b"s0": 1}):
        found = compare(by_seed, unknown, 0.02)
        assert (found.groups, found.crossed.groups) == ("samples", 60)
    assert found.crossed.mean == pytest.approx(100 * (better.mean() - than.mean()))


def test_folds_are_tests_of_the_same_subjects() -> None:
    random = np.random.default_rng(1)
    parts = random.random((2, 3, 2, 30)) < 0.7  # row, seed, fold, sample
    names = [[f"s{index}" for index in range(first, first + 30)] for first in (0, 15)]
    by_seed = {
        seed: gains(
            {
                fold: tuple(predictions(parts[row, seed, fold], names[fold]) for row in (0, 1))
                for fold in (0, 1)
            }
        )
        for seed in range(3)
    }
    found = compare(by_seed, None, 0.05)
    better, than = parts.reshape(2, 3, 60).astype(float)
    group = np.concatenate([np.arange(30), np.arange(15, 45)])
    expected = crossed(*contributions(better - than, group, np.repeat([0, 1], 30)), 0.05)
    assert tuple(found.crossed) == pytest.approx(tuple(expected))
    assert expected.groups == 45
    assert all(test.interval is not None and test.p is None for test in found.tests)


def test_seeds_of_other_samples_are_tested_but_not_crossed() -> None:
    random = np.random.default_rng(2)
    rows = random.random((3, 2, 20)) < 0.5
    by_seed = {
        seed: gains({0: tuple(predictions(right) for right in rows[seed])}) for seed in range(3)
    }
    other = gains({0: tuple(predictions(right[:9]) for right in rows[0])})
    found = compare({**by_seed, 3: other}, None, 0.05)
    assert [test.seed for test in found.tests] == [0, 1, 2, 3]
    assert found.crossed == compare(by_seed, None, 0.05).crossed
    assert gains({0: (predictions(rows[0, 0]), predictions(rows[0, 0, :5]))}) is None
    assert gains({0: (predictions(rows[0, 0]), None)}) is None


def test_samples_with_other_labels_or_classes_are_not_compared() -> None:
    ours = predictions(np.array([1.0, 0.0, 1.0]))
    other = replace(ours, labels=1 - ours.labels)
    more = replace(ours, logits=np.eye(3), class_names=("first", "second", "third"))
    assert gains({0: (ours, ours)}) is not None
    assert gains({0: (ours, other)}) is None
    assert gains({0: (ours, more)}) is None


@pytest.fixture
def with_subjects(table4_plan: Plan, finish, tmp_path: Path) -> Plan:
    """Table 4 with a store of five subjects, and runs that were tested on it."""
    write_store(
        catalog.store_path(tmp_path, "nucla"),
        name="nucla",
        samples=[
            Sample(f"s{index}", np.ones((2, 60), np.float32), 0,
                   {"subject": index % 5, "camera": 3}) for index in range(40)
        ],
        class_names=["first", "second"],
        layout={"kind": "features", "backbone": "mean", "weights": "of a test"},
        source="a test",
    )  # fmt: skip
    random = np.random.default_rng(3)
    for row in ("EleAtt-GRU", "Baseline-GRU"):
        for run in table4_plan.by_cell["from scratch", row, "cross_view"][:5]:
            right = (random.random(40) < 0.6).astype(int)
            finish(table4_plan, run, right=right, clean=np.ones(40), accuracy_clean=0.5)
    return replace(table4_plan, data_dir=tmp_path, unprepared=())


def test_a_table_takes_subjects_from_the_store_that_is_here(with_subjects: Plan) -> None:
    (claim, *_) = table(replace(with_subjects, unprepared=("nucla",))).claims
    assert (claim.groups, claim.crossed.groups) == ("samples", 40)
    (claim, *_) = table(with_subjects).claims
    assert (claim.groups, claim.crossed.groups) == ("subjects", 5)
    assert claim.crossed.mean == pytest.approx(claim.judgement.mean)
    assert 1 - claim.judgement.confidence == pytest.approx(levels_of((5, 10, 20)).sign)


@pytest.mark.slow
def test_it_goes_on_without_a_store_that_turns_out_to_be_damaged(with_subjects: Plan) -> None:
    path = catalog.store_path(with_subjects.data_dir, "nucla")
    with h5py.File(path, "r+") as file:
        file["frames"][3, 0] = 7.0
    for _ in range(2):  # the second time what was found without the store is kept
        made = table(with_subjects)
        assert (made.claims[0].groups, made.claims[0].crossed.groups) == ("samples", 40)
        (told,) = [note for note in made.notes if note.startswith(f"{path} is damaged")]
        assert told.endswith("Make it anew with: eleatt-bench data prepare nucla --source PATH")


def test_a_seed_without_predictions_is_told(digits_plan: Plan, finish) -> None:
    """Its accuracies are compared over seeds, and it is not among those that samples say."""
    lacking = ""
    for run in digits_plan.first_look:
        folder = finish(digits_plan, run, right=[1] * 8 + [run.seed % 2] * 2)
        if (run.row, run.seed) == ("GRU", 1):
            folder.predictions.unlink()
            lacking = folder.run_id
    assert f"A claim lacks the predictions of {lacking}" in table(digits_plan).notes


def test_damaged_curves_are_told(digits_plan: Plan, finish) -> None:
    """Whether a seed collapsed is read from them."""
    header = "epoch,lr,train/loss,train/accuracy,val/loss,val/accuracy,seconds"
    for run in digits_plan.first_look:
        folder = finish(digits_plan, run, accuracy=0.9)
        lines = [header, *(f"{epoch},0.1,1,0.5,1,0.5,1" for epoch in (1, 2, 3)), ""]
        text = "\n".join(lines)
        short = 4 * ((run.row, run.seed) == ("GRU", 1))
        folder.epochs.write_text(text[: len(text) - short], encoding="utf-8")
    notes = [note for note in table(digits_plan).notes if "epochs.csv is damaged" in note]
    assert len(notes) == 1
    assert "-gru-seed1" in notes[0]


@pytest.mark.parametrize(
    ("inputs", "attributes", "told"),
    [
        ("01", None, True),
        (None, "01", True),
        ("00", "01", False),  # other class names
        ("0-", "00", False),  # of an earlier version too
        ("0-", "01", True),
    ],
)
def test_runs_on_the_same_arrays_of_other_meanings_are_told(
    digits_plan: Plan, finish, inputs: str | None, attributes: str | None, told: bool
) -> None:
    for run in digits_plan.first_look:
        seen = {"inputs_digest": inputs, "attributes_digest": attributes}
        words = {key: word[run.seed % 2] for key, word in seen.items() if word is not None}
        more = {key: 64 * word for key, word in words.items() if word != "-"}
        finish(digits_plan, run, accuracy=0.9, more=more)
    assert any("saw them in 2 versions" in note for note in table(digits_plan).notes) == told


def test_the_names_of_weights_are_no_other_inputs(planned, finish, tmp_path: Path) -> None:
    """Records of earlier versions had a digest of them."""
    made = replace(planned("table1"), runs_dir=tmp_path / "runs")
    for run in made.first_look:
        finish(made, run, accuracy=0.9, more={"attributes_digest": str(run.seed % 2) * 64})
    found = table(made)
    assert found.finished > 1
    assert not any("versions, with" in note for note in found.notes)


def test_seeds_that_collapsed_are_told(digits_plan: Plan, finish) -> None:
    header = "epoch,lr,train/loss,train/accuracy,val/loss,val/accuracy,seconds"
    for run in digits_plan.first_look:
        low = run.row == "GRU" and run.seed == 1
        folder = finish(digits_plan, run, accuracy=0.9 - 0.3 * low + run.seed / 1000)
        if run.row == "LSTM":
            rates = [0.01, *[0.001 if run.seed == 2 else 0.01] * 8]
            rising = [0.2 if run.seed == 2 else 0.1 * epoch for epoch in range(1, 10)]
            curve = zip(range(1, 10), rates, rising, strict=True)
            lines = [f"{epoch},{rate},1,{accuracy},1,0.5,1" for epoch, rate, accuracy in curve]
            folder.epochs.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    made = table(digits_plan)
    cells = {row.name: dict(row.cells[0].collapsed) for row in made.rows}
    assert {name: found for name, found in cells.items() if found} == {
        "GRU": {1: Collapse.LOW}, "LSTM": {2: Collapse.FELL_EARLY},
    }  # fmt: skip
    assert [claim.collapsed for claim in made.claims] == [(1,), (2,), ()]
    assert [note for note in made.notes if note.startswith("COLLAPSED")] == [
        "COLLAPSED: GRU, seed 1: its accuracy lies far below the other seeds'",
        "COLLAPSED: LSTM, seed 2: its learning rate fell before accuracy rose",
    ]
    assert table(digits_plan).claims == made.claims, "also from what is kept"
