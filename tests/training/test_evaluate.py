"""What is measured on a test set, whatever it is made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eleatt_bench.config.composer import Composer
from eleatt_bench.data import catalog
from eleatt_bench.data.release import Release
from eleatt_bench.data.sources import nucla
from eleatt_bench.data.store import Sample
from eleatt_bench.runs.soundness import sound
from eleatt_bench.training.run import train


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
