"""From the published files to a test accuracy, all on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


def test_nucla_is_prepared_verified_and_trained_on(
    command_line, published: Path, tmp_path: Path
) -> None:
    source = published / "nucla" / "all_sqe.zip"
    if not source.exists():
        pytest.skip(f"{source} is not there")
    prepared = command_line("data", "prepare", "nucla", "--source", str(source))
    assert prepared.returncode == 0, prepared.stderr
    assert "1,484 sequences" in prepared.stdout
    verified = command_line("data", "verify", "nucla")
    assert "1,020 to train and validate, 464 to test; 95 test sequences" in verified.stdout
    assert "nucla    ready (1,484 sequences)" in command_line("data", "list").stdout

    small = ["model.hidden_size=8", "model.num_layers=1", "trainer.max_epochs=1"]
    done = command_line("train", "experiment=nucla_aug", *small)
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("runs/*/record.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["samples"] == {"train": 969, "val": 51, "test": 464}
    test = record["metrics"]["test"]
    # Accuracies are fractions of 464 and of 369 sequences.
    assert test["accuracy"] * 464 == pytest.approx(round(test["accuracy"] * 464))
    assert test["accuracy_clean"] * 369 == pytest.approx(round(test["accuracy_clean"] * 369))


def test_a_data_set_that_cannot_be_fetched_says_what_to_do(command_line) -> None:
    done = command_line("data", "download", "nucla")
    assert done.returncode == 1
    assert "eleatt-bench data prepare nucla --source PATH" in done.stderr


def test_show_counts_and_draws(command_line, tmp_path: Path) -> None:
    done = command_line("data", "show", "digits", "--sample", "digit_0007")
    assert (done.returncode, done.stderr) == (0, "")
    assert "digits: 1,797 sequences of 10 classes" in done.stdout
    assert "digit_0007 (7) is drawn in digits-digit_0007.png" in done.stdout
    assert (tmp_path / "digits-digit_0007.png").read_bytes().startswith(b"\x89PNG")
    done = command_line("data", "show", "digits", "--sample", "digit_9999")
    assert done.returncode == 1
    assert "Did you mean 'digit_" in done.stderr
    assert "digit_0001" in done.stderr
    assert "and 1,757 more" in done.stderr
