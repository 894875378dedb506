"""From the published files to a test accuracy, all on the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from eleatt_bench.cli import main
from eleatt_bench.cli.data import data
from eleatt_bench.common.errors import UserError


@pytest.mark.slow
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


def test_show_counts_and_draws(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["data", "show", "digits", "--sample", "digit_0007"]) == 0
    said, errors = capsys.readouterr()
    assert errors == ""
    assert "digits: 1,797 sequences of 10 classes" in said
    assert "Handwritten digits, 8 × 8 pixels (https://scikit-learn.org/" in said
    assert "digit_0007 (7) is drawn in digits-digit_0007.png" in said
    assert (tmp_path / "digits-digit_0007.png").read_bytes().startswith(b"\x89PNG")
    assert main(["data", "show", "digits", "--sample", "digit_9999"]) == 1
    errors = capsys.readouterr().err
    assert "Did you mean 'digit_" in errors
    assert "digit_0001" in errors
    assert "and 1,757 more" in errors


@pytest.fixture
def nucla(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Fourteen sequences: one of camera 3 repeats one of camera 2; and twelve files are bad."""
    monkeypatch.setenv("ELEATT_DATA", str(tmp_path / "data"))
    folder = tmp_path / "all_sqe"
    folder.mkdir()
    for number in range(26):
        name = f"a01_s{number:02d}_e00_v0{1 + number % 3}"
        skeleton = [[0.1 * (number if number != 2 else 1), 0, 0]] * 20
        text = json.dumps({"skeletons": [skeleton]}) if number < 14 else "{"
        (folder / f"{name}.json").write_text(text)
    return folder


def test_bad_samples_end_it_or_are_left_out_and_told(
    command_line, nucla: Path, tmp_path: Path, capsys
) -> None:
    prepare = ["prepare", "nucla", "--source", str(nucla)]
    ended = command_line("data", *prepare)
    assert ended.returncode == 1
    (said,) = ended.stderr.splitlines()
    assert said.startswith(f"Error: {nucla}/a01_s14_e00_v03.json is not JSON")
    assert said.endswith("or leave such samples out with --skip-bad")
    assert not (tmp_path / "data" / "prepared" / "nucla.h5").exists()

    assert data([*prepare, "--skip-bad"]) == 0
    lines = capsys.readouterr().out.splitlines()
    made = f"nucla.h5: 14 sequences of Northwestern-UCLA, JSON release, {26} files"
    assert lines[0].endswith(made)
    assert lines[1] == "12 bad samples of the source are left out:"
    assert lines[2].startswith(f"  a01_s14_e00_v03: {nucla}/a01_s14_e00_v03.json is not JSON")
    assert lines[12:] == [
        "  and 2 more: eleatt-bench data verify nucla --all",
        "14 of 1,484: incomplete, not comparable with published results",
    ]

    assert data(["show", "nucla", "--out", str(tmp_path / "first.png")]) == 0
    assert "12 bad samples of the source are left out:" in capsys.readouterr().out


def test_verify_names_what_it_counts(nucla: Path, capsys) -> None:
    assert data(["prepare", "nucla", "--source", str(nucla), "--skip-bad"]) == 0
    capsys.readouterr()
    assert data(["verify", "nucla", "--all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["nucla is sound: 14 sequences of 10 classes", "14 frames of 60 values"]
    assert sum(line.startswith("  a01_s") and "is not JSON" in line for line in lines) == 12
    assert lines[3] == "14 of 1,484: incomplete, not comparable with published results"
    said, published, named, *to_choose_by = lines[-5:]
    assert to_choose_by[0].startswith("cross_view_dev: 5 to train and validate, 4 to test")
    assert to_choose_by[1] == "  published: 516 and 399"
    assert published == "  published: 1,020 and 464"
    assert said.startswith("cross_view: 10 to train and validate, 4 to test; 1 test sequences are ")
    assert named == "  a01_s02_e00_v03 is identical to a01_s01_e00_v02"


@pytest.mark.parametrize("kept", ["v01", "v03"])
def test_verify_of_a_part_of_a_data_set(nucla: Path, capsys, kept: str) -> None:
    for path in nucla.iterdir():
        if not path.stem.endswith(kept) or path.read_text() == "{":
            path.unlink()
    assert data(["prepare", "nucla", "--source", str(nucla)]) == 0
    capsys.readouterr()
    assert data(["verify", "nucla"]) == 0
    (*_, said, published, _, _) = capsys.readouterr().out.splitlines()
    assert published == "  published: 1,020 and 464"
    assert (
        said
        == {
            "v01": "cross_view: 5 to train and validate, 0 to test: there is nothing to test on",
            "v03": "cross_view: 0 to train and validate, 4 to test: there is nothing to train on",
        }[kept]
    )


@pytest.mark.slow
def test_a_part_of_a_data_set_never_passes_as_the_whole(
    command_line, nucla: Path, tmp_path: Path
) -> None:
    """From prepare to a table: whoever looks is told, and a protocol without tests is no run."""
    remark = "14 of 1,484: incomplete, not comparable"
    (nucla / "notes.txt").write_text("mine")
    (nucla / ".AppleDouble").mkdir()
    (nucla / ".AppleDouble" / "a01_s00_e00_v01.json").write_text("")
    prepared = command_line("data", "prepare", "nucla", "--source", str(nucla), "--skip-bad")
    assert remark in prepared.stdout
    assert "Left out: 1 other files, which no sample is called like: notes.txt" in prepared.stdout
    assert "Left out: 1 files or folders of the operating system" in prepared.stdout
    assert f"nucla    ready ({remark})" in command_line("data", "list").stdout
    shown = command_line("data", "show", "nucla", "--out", str(tmp_path / "x.png")).stdout
    assert remark in shown
    assert f"{remark} with published results" in command_line("table", "table4").stdout
    quick = ["model.hidden_size=4", "model.num_layers=1", "trainer.max_epochs=1"]
    trained = command_line("train", "experiment=nucla", *quick)
    assert trained.returncode == 0, trained.stderr
    assert f"Data set nucla: {remark}" in trained.stdout

    for path in nucla.glob("*v03.json"):
        path.unlink()
    prepared = command_line("data", "prepare", "nucla", "--source", str(nucla), "--skip-bad")
    assert prepared.returncode == 0, prepared.stderr
    refused = command_line("train", "experiment=nucla", *quick)
    assert refused.returncode == 1
    assert "nucla.h5 has nothing to test on in cross_view, fold 0: prepare the whole" in (
        refused.stderr
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["verify", "nucla", "--skip-bad"], "takes no --skip-bad: it is for data prepare"),
        (["prepare", "nucla", "--all"], "data prepare takes no --all: it is for data verify"),
        (["verify", "nucla", "--source", "x"], "takes no --source: it is for data prepare"),
        (["prepare", "nucla", "--sample", "x"], "data prepare takes no --sample: it is for"),
        (["show", "nucla", "--skip-bd"], "Unknown flag '--skip-bd'. Did you mean '--skip-bad'?"),
    ],
)
def test_a_flag_that_belongs_to_another_action(arguments: list[str], says: str) -> None:
    with pytest.raises(UserError, match=re.escape(says)):
        data(arguments)
