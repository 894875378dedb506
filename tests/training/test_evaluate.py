"""What is tested: the fold that was asked for, by its protocol's labels, whatever it holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eleatt_bench.config.compose import compose_config
from eleatt_bench.config.composer import Composer
from eleatt_bench.data import catalog
from eleatt_bench.data.release import Release
from eleatt_bench.data.sources import dhg, hand, nucla
from eleatt_bench.data.sources.hand import Trial
from eleatt_bench.data.store import Sample
from eleatt_bench.runs.predictions import read_predictions
from eleatt_bench.runs.soundness import sound
from eleatt_bench.training.run import evaluate, train


@pytest.mark.parametrize("copies", [3, 2])
def test_a_test_set_of_copies_alone_has_no_clean_accuracy(
    tmp_path: Path, composer: Composer, copies: int
) -> None:
    """A part of N-UCLA: of 3 sequences of the third camera so many repeat one of the others."""
    random = np.random.default_rng(0)
    seen = [random.normal(size=(4, 60)).astype(np.float32) for _ in range(12)]
    tested = [*seen[:2], seen[2] + np.float32(3 - copies)]
    samples = [
        Sample(f"s{number}", frames, number % 10, {"camera": 1 + number % 2 if number < 12 else 3})
        for number, frames in enumerate([*seen, *tested])
    ]
    classes = tuple(nucla.CLASSES.values())
    release = Release("a test", classes, nucla.LAYOUT, len(samples), samples)
    catalog.write(tmp_path / "data", "nucla", release)
    config = composer.config(
        [
            "experiment=nucla", "trainer.max_epochs=1", "model.hidden_size=4", "model.num_layers=1",
            "trainer.num_threads=1", f"data_dir={tmp_path / 'data'}", f"runs_dir={tmp_path}",
        ]
    )  # fmt: skip
    folder, record = train(config, [])
    assert record["samples"]["test"] == 3
    assert ("accuracy_clean" in record["metrics"]["test"]) == (copies < 3)
    assert sound(folder)["status"] == "finished"


def test_a_run_learns_and_tests_the_labels_and_the_fold_of_its_protocol(
    tmp_path: Path, composer: Composer
) -> None:
    """Every gesture of DHG twice or once, by one subject after the other; fold 6 is subject 7."""
    random = np.random.default_rng(0)
    trials = [
        Trial(1 + number % 28 // 2, 1 + number % 2, 1 + number % 20, 1 + number // 20)
        for number in range(40)
    ]
    samples = [
        Sample(one.name, random.normal(size=(3, 66)).astype(np.float32), one.label_14, one.metadata)
        for one in trials
    ]
    release = Release("a test", dhg.CLASSES_14, hand.LAYOUT, len(samples), samples)
    catalog.write(tmp_path / "data", "dhg", release)
    where = [f"data_dir={tmp_path / 'data'}", f"runs_dir={tmp_path / 'runs'}"]
    config = composer.config(
        [
            "experiment=dhg", "data.protocol=gestures_28", "data.fold=6", "trainer.max_epochs=1",
            "model.hidden_size=4", "model.num_layers=1", "trainer.num_threads=1", *where,
        ]
    )  # fmt: skip
    folder, record = train(config, [])
    found = read_predictions(folder)
    assert found is not None
    tested = [one for one in trials if one.subject == 7]
    assert found.names.tolist() == [one.name.encode() for one in tested]
    assert found.labels.tolist() == [one.label_28 for one in tested] == [6, 26]
    assert found.class_names == hand.classes_28(dhg.CLASSES_14)
    assert record["samples"] == {"train": 36, "val": 2, "test": 2}
    asked = compose_config([f"run={folder.run_id}", "trainer.num_threads=1", *where], "eval")
    _, again = evaluate(asked)
    assert again["samples"] == {"test": 2}
    assert again["metrics"]["test"] == record["metrics"]["test"]
