"""Which loggers a run has: what they are given, and that nothing else changes by them."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from eleatt_bench.common.errors import UserError
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.training.loggers.csv_file import CsvFile
from eleatt_bench.training.loggers.past import Past
from eleatt_bench.training.run import train

FEW = ("data.limit=64", "data.val_fraction=0.2")


def lines(folder: RunFolder) -> list[dict[str, str]]:
    path = folder.loggers / "csv" / "metrics.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def epochs(folder: RunFolder) -> list[int]:
    return [int(line["step"]) for line in lines(folder)]


def test_the_csv_logger_has_the_curves_and_results_of_tensorboard(short_config) -> None:
    folder, record = train(short_config(*FEW, "logger=[tensorboard,csv]"), [])
    *of_epochs, results = lines(folder)
    events = EventAccumulator(str(folder.tensorboard)).Reload()
    assert set(results) - {"step"} == set(events.Tags()["scalars"])
    for tag in set(results) - {"step"}:
        shown = [(event.step, event.value) for event in events.Scalars(tag)]
        rows = [results] if tag.startswith("result/") else of_epochs
        assert [(int(row["step"]), pytest.approx(float(row[tag]))) for row in rows] == shown
    assert int(results["step"]) == record["best_epoch"]
    said = yaml.safe_load((folder.loggers / "csv" / "hparams.yaml").read_text("utf-8"))
    assert said["optimizer"]["lr"] == 0.005
    assert "logger" not in said
    assert said["trainer"]["max_epochs"] > 0
    for key in ("devices", "accelerator", "num_threads"):
        assert key not in said["trainer"], "it is of the machine"
    assert "backend" not in said["model"]


def test_loggers_change_neither_the_name_nor_a_number_nor_other_files(short_config) -> None:
    found = {}
    for chosen in ("tensorboard", "none", "csv", "[csv,tensorboard]"):
        config = short_config(*FEW, f"logger={chosen}", "force=true")
        folder, record = train(config, [])
        predictions = folder.predictions.read_bytes()
        weights = (folder.checkpoints / "last.ckpt").read_bytes()
        found[chosen] = (folder.run_id, record["metrics"], predictions, weights)
        assert folder.tensorboard.exists() == ("tensorboard" in chosen)
        assert folder.loggers.exists() == ("csv" in chosen)
        assert folder.epochs.read_text(encoding="utf-8").count("\n") == 4
    assert len({repr(one) for one in found.values()}) == 1
    assert folder.remove() == []
    assert not folder.path.exists()


def lose_an_epoch(folder: RunFolder) -> None:
    """Leave the run as if its process had been killed in the last epoch, before the checkpoint."""
    folder.record.unlink()
    (folder.checkpoints / "previous.ckpt").replace(folder.checkpoints / "last.ckpt")


def test_no_epoch_of_a_continued_run_is_there_twice(short_config) -> None:
    folder, record = train(short_config(*FEW, "logger=csv"), [])
    before = lines(folder)
    lose_an_epoch(folder)
    with (folder.loggers / "csv" / "metrics.csv").open("a") as file:
        file.write("0.1,0.")
    _, again = train(short_config(*FEW, "logger=csv"), [])
    assert again["timing"]["resumed_after_epoch"] == 2
    assert epochs(folder) == [1, 2, 3, record["best_epoch"]]
    took = "time/seconds_per_step"
    assert [{**line, took: ""} for line in lines(folder)] == [{**line, took: ""} for line in before]
    train(short_config(*FEW, "logger=csv"), [])  # from its record
    assert epochs(folder) == [1, 2, 3, record["best_epoch"]]


def test_a_logger_that_comes_later_gets_the_epochs_before_it(short_config) -> None:
    folder, _ = train(short_config(*FEW, "logger=tensorboard"), [])
    lose_an_epoch(folder)
    train(short_config(*FEW, "logger=csv"), [])
    assert epochs(folder)[:3] == [1, 2, 3]
    exact = folder.epochs.read_text(encoding="utf-8").splitlines()[1].split(",")
    first = lines(folder)[0]
    assert [first[tag] for tag in ("train/loss", "val/loss")] == [exact[2], exact[4]]
    assert all(value for tag, value in first.items() if not tag.startswith("result/"))


@pytest.mark.parametrize(("first", "tags"), [("none", 5), ("csv", 10)])
def test_tensorboard_that_comes_later_gets_the_epochs_before_it(
    short_config, first: str, tags: int
) -> None:
    folder, _ = train(short_config(*FEW, f"logger={first}"), [])
    lose_an_epoch(folder)
    train(short_config(*FEW, "logger=[tensorboard,csv]"), [])
    events = EventAccumulator(str(folder.tensorboard)).Reload()
    whole = 0
    for tag in (tag for tag in events.Tags()["scalars"] if not tag.startswith("result/")):
        shown = [(event.step, event.value) for event in events.Scalars(tag)]
        rows = [(int(row["step"]), row[tag]) for row in lines(folder)[:3]]
        assert shown == [(step, pytest.approx(float(said))) for step, said in rows if said]
        whole += [step for step, _ in shown] == [1, 2, 3]
    assert whole >= tags, "of the learning rate, losses and accuracies, or of all"
    assert len(events.Tensors("config/text_summary")) == 1


def test_tensorboard_that_was_left_out_for_a_while_gets_those_epochs(short_config) -> None:
    folder, _ = train(short_config(*FEW, "logger=none"), [])
    lose_an_epoch(folder)
    with SummaryWriter(str(folder.tensorboard)) as writer:
        writer.add_scalar("train/loss", 9, 1)
    train(short_config(*FEW), [])
    events = EventAccumulator(str(folder.tensorboard)).Reload()
    shown = [(event.step, event.value) for event in events.Scalars("train/loss")]
    assert shown[0] == (1, 9), "what is there stays"
    assert [step for step, _ in shown] == [1, 2, 3]


def test_a_logger_that_is_lost_ends_no_training_and_gets_all_at_the_end(
    short_config, monkeypatch
) -> None:
    log = CsvFile.log
    lost = [2]

    def fail_once(self: CsvFile, row: Any) -> None:
        if row.epoch in lost:
            lost.clear()
            raise OSError("the cable is out")
        log(self, row)

    monkeypatch.setattr(CsvFile, "log", fail_once)
    folder, record = train(short_config(*FEW, "logger=csv"), [])
    assert record["status"] == "finished"
    text = folder.log.read_text(encoding="utf-8")
    assert text.count("the CSV logger is lost: the cable is out. The training goes on") == 1
    assert "the CSV logger is back, and has all of this run" in text
    assert epochs(folder) == [1, 2, 3, record["best_epoch"]]


@pytest.mark.slow
def test_a_logger_that_never_comes_back_is_said_twice_and_no_more(
    short_config, monkeypatch
) -> None:
    def refuse(self: CsvFile, row: Any) -> None:
        raise OSError("gone")

    monkeypatch.setattr(CsvFile, "log", refuse)
    folder, record = train(short_config(*FEW, "logger=csv"), [])
    assert record["status"] == "finished"
    text = folder.log.read_text(encoding="utf-8")
    assert text.count("gone") == 2
    assert "the CSV logger lacks a part of this run: gone" in text
    assert len((folder.loggers / "epochs.jsonl").read_text("utf-8").splitlines()) == 4


def test_a_logger_that_cannot_be_begun_with_is_a_sentence(short_config, monkeypatch) -> None:
    def refuse(self: CsvFile, rows: Any) -> None:
        raise OSError("no")

    monkeypatch.setattr(CsvFile, "open", refuse)
    with pytest.raises(UserError, match=r"the CSV logger does not take this run: no\. The same"):
        train(short_config(*FEW, "logger=csv"), [])


@pytest.mark.parametrize("package", ["mlflow", "wandb"])
def test_an_extra_that_is_not_installed_is_named_before_anything_is_written(
    short_config, monkeypatch, package: str
) -> None:
    config = short_config(f"logger=[tensorboard,{package}]")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=rf"pip install 'eleatt-bench\[{package}\]'"):
        train(config, [])
    assert not list(Path(config["runs_dir"]).glob("*/record.json"))


@pytest.mark.slow
def test_a_sweep_is_refused_before_its_first_job(tmp_path: Path, user_environment) -> None:
    code = (
        "import sys; sys.modules['mlflow'] = None; from eleatt_bench.cli import main;"
        "code = main(sys.argv[1:]); sys.exit('torch' if 'torch' in sys.modules else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "train", "-m", "experiment=digits", "quick=true",
         "seed=0,1", "logger=mlflow"],
        cwd=tmp_path, env=user_environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "pip install 'eleatt-bench[mlflow]'" in done.stderr
    assert not list(tmp_path.glob("runs/*/record.json"))
    assert not list(tmp_path.glob("runs/sweeps/*/*.log"))


VALUES = st.dictionaries(st.text(max_size=9), st.floats(), max_size=3)


@given(st.lists(VALUES, max_size=5), st.integers(0, 6), st.binary(max_size=30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_past_is_cut_to_the_checkpoint_whatever_a_kill_left(
    tmp_path: Path, logged: list[dict[str, float]], keep: int, rest: bytes
) -> None:
    folder = RunFolder(tmp_path, "a-run")
    past = Past(folder)
    past.begin(0)
    for epoch, values in enumerate(logged, 1):
        past.add(epoch, {f"t/{tag}": value for tag, value in values.items()})
    past.add(1, {"result/test_accuracy": 0.5})
    with past.path.open("ab") as file:
        file.write(rest.replace(b"\n", b""))
    again = Past(folder)
    again.begin(keep)
    kept = [row.epoch for row in again.rows]
    assert kept == list(range(1, min(keep, len(logged)) + 1))
    for row, values in zip(again.rows, logged, strict=False):
        assert repr(row.values) == repr(
            {f"t/{t}": v if abs(v) < float("inf") else float("nan") for t, v in values.items()}
        )
    assert len(past.path.read_text("utf-8").splitlines()) == len(kept)


@pytest.mark.slow
def test_of_several_processes_the_first_alone_logs(command_line, tmp_path: Path) -> None:
    done = command_line(
        "train", "experiment=digits", "quick=true", "logger=csv", "trainer=ddp",
        "trainer.accelerator=cpu", "trainer.num_threads=1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (record,) = tmp_path.glob("runs/*/record.json")
    best = json.loads(record.read_text("utf-8"))["best_epoch"]
    assert epochs(RunFolder(tmp_path / "runs", record.parent.name)) == [1, 2, best]
