"""``eleatt-bench runs`` from the outside."""

from __future__ import annotations

import csv
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy import stats

from eleatt_bench.cli import main
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.tables.statistics import mcnemar

NAMES = ("digits-gru-seed0-aaaa11112222", "digits-eleatt_gru-seed0-bbbb33334444")


@pytest.fixture
def leave(record_of) -> Callable[..., RunFolder]:
    """What a finished run leaves, made without one."""

    def make(
        folder: Path, name: str, accuracy: float, seed: int = 0, gate: str | None = None
    ) -> RunFolder:
        run = RunFolder(folder, name)
        record = record_of(name, accuracy, seed=seed, parameters=12345, timing={"seconds": 7.2})
        identity = {**record["identity"], "seed": seed}
        model = {"cell": "gru", "gate": gate, "gated_layers": [0] if gate else []}
        run.path.mkdir(parents=True, exist_ok=True)  # not synced, as there may be a thousand
        run.record.write_text(json.dumps({**record, "identity": {**identity, "model": model}}))
        return run

    return make


@pytest.fixture
def runs(tmp_path: Path, leave) -> list[RunFolder]:
    return [
        leave(tmp_path / "runs", NAMES[0], 0.5, seed=1),
        leave(tmp_path / "runs", NAMES[1], 0.75, gate="sigmoid"),
    ]


def test_the_list_is_chosen_ordered_and_written_in_each_format(command_line, runs) -> None:
    lines = command_line("runs", "list").stdout.splitlines()
    assert lines[0].split() == [
        "run", "test", "accuracy", "status", "epochs", "parameters", "seconds",
    ]  # fmt: skip
    assert [line.split() for line in lines[1:]] == [
        [NAMES[1], "75.00%", "finished", "3", "12,345", "7"],
        [NAMES[0], "50.00%", "finished", "3", "12,345", "7"],
    ]
    gated = command_line("runs", "list", "model.gate=sigmoid", "--format", "csv").stdout
    (row,) = csv.DictReader(gated.splitlines())
    assert (row["run"], row["test/accuracy"], row["model.gated_layers"]) == (
        NAMES[1], "0.75", "[0]",
    )  # fmt: skip
    listed = command_line("runs", "list", "--sort", "seed", "--reverse", "--format", "json").stdout
    assert [run["run"] for run in json.loads(listed)] == list(NAMES)
    lines = command_line("runs", "list", "--sort", "seed").stdout.splitlines()
    assert [line.split()[1] for line in lines] == ["seed", "0", "1"], "with a column of its own"
    none = command_line("runs", "list", "seed=7").stdout
    assert none == "None of 2 runs agrees with seed=7\n"


@pytest.mark.slow
def test_the_columns_are_chosen_or_those_in_which_runs_differ(command_line, runs) -> None:
    shown = command_line("runs", "list", "--columns", "seed,model.gate,epochs").stdout
    assert [line.split() for line in shown.splitlines()] == [
        ["run", "seed", "model.gate", "epochs"],
        [NAMES[1], "0", "sigmoid", "3"],
        [NAMES[0], "1", "–", "3"],
    ]
    for form, read in (("csv", lambda text: [*csv.DictReader(text.splitlines())]),
                       ("json", json.loads)):  # fmt: skip
        listed = read(command_line("runs", "list", "--columns", "seed", "--format", form).stdout)
        assert [sorted(run) for run in listed] == [["run", "seed"]] * 2
    wrong = command_line("runs", "list", "--columns", "seed,model.gat")
    assert wrong.returncode == 1
    assert "Unknown key 'model.gat'. Did you mean 'model.gate'?" in wrong.stderr

    record = json.loads(runs[0].record.read_text())
    record["identity"]["optimizer"] = {"lr": 0.25}
    runs[0].record.write_text(json.dumps(record))
    lines = command_line("runs", "list").stdout.splitlines()
    assert "optimizer.lr" in lines[0].split()
    assert [("0.25" in line) for line in lines[1:]] == [False, True]
    assert "seed" not in lines[0].split(), "which the name tells"


def test_a_narrow_terminal_shows_the_most_important(tmp_path, user_environment, runs) -> None:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 54, 0, 0))
    with os.fdopen(master, "rb", buffering=0) as terminal:
        subprocess.run(
            [sys.executable, "-m", "eleatt_bench", "runs", "list"],
            cwd=tmp_path, env=user_environment, stdin=slave, stdout=slave, check=True,
        )  # fmt: skip
        os.close(slave)
        shown = terminal.read(4096).decode()
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 54
    assert lines[1].split() == [NAMES[1], "75.00%"]


def test_a_thousand_runs_are_listed_without_heavy_imports(tmp_path: Path, leave) -> None:
    for index in range(1000):
        run = leave(tmp_path, f"digits-gru-seed{index}-{index:012x}", index / 1000, seed=index)
        (run.path / ".lock").touch()
    code = (
        "import sys; from eleatt_bench.cli import main; "
        "main(['runs', 'list', 'data.name=digits', '--sort', 'test/accuracy']);"
        "sys.exit(bool({'torch', 'numpy', 'h5py', 'hydra'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True,
        env={**os.environ, "ELEATT_RUNS": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr or "imported something heavy"
    assert len(done.stdout.splitlines()) == 1001


def test_two_runs_are_compared(command_line, runs) -> None:
    random = np.random.default_rng(0)
    names = np.array([f"sample{i}" for i in range(200)], dtype="S10")
    labels = random.integers(0, 3, 200)
    right = [random.random(200) < share for share in (0.6, 0.8)]
    orders = (np.arange(200), np.arange(199, -1, -1))
    for run, correct, order in zip(runs, right, orders, strict=True):
        logits = np.eye(3)[np.where(correct, labels, (labels + 1) % 3)]
        with h5py.File(run.predictions, "w") as file:
            file.attrs["class_names"] = ["a", "b", "c"]
            file["logits"], file["label"], file["name"] = logits[order], labels[order], names[order]
    done = command_line("runs", "compare", "aaaa", "bbbb")
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["model.gate", "null", "sigmoid"] in lines
    assert ["seed", "1", "0"] in lines
    assert ["test/accuracy", "50.00%", "75.00%", "-25.00", "points"] in lines
    a, b = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    gain = right[0].astype(int) - right[1].astype(int)
    said, over_seeds = (line for line in done.stdout.splitlines() if line[:3] in ("On ", "No "))
    assert over_seeds == "No comparison over seeds: no seed is finished in both."
    assert f"On the same 200 test samples A is right alone on {a}, B alone on {b}" in said
    assert f"{100 * gain.mean():+.2f} points" in said
    assert f"p = {mcnemar(a, b):.2g}" in said
    low, high = (float(x) for x in said.split("interval ")[1].split(" (")[0].split(" to "))
    half = 196 * gain.std() / 200**0.5  # the normal approximation, for a witness
    assert abs(low - (100 * gain.mean() - half)) < 1.5
    assert abs(high - (100 * gain.mean() + half)) < 1.5

    runs[0].predictions.unlink()
    said = command_line("runs", "compare", "aaaa", "bbbb").stdout
    assert "A left no predictions" in said
    same = command_line("runs", "compare", "aaaa", "aaaa").stdout
    assert "No setting differs." in same


@pytest.mark.parametrize(("shift", "classes"), [(0, 4), (1, 3)])
@pytest.mark.few(1)
def test_samples_with_other_labels_are_not_compared(
    command_line, runs, shift: int, classes: int
) -> None:
    """Two protocols may test the same samples on other classes, as those of the gestures do."""
    labels, names = np.arange(30) % 3, [f"sample{i}" for i in range(30)]
    for run, true, count in ((runs[0], labels, 3), (runs[1], (labels + shift) % 3, classes)):
        with h5py.File(run.predictions, "w") as file:
            file.attrs["class_names"] = list("abcd"[:count])
            file["logits"], file["label"], file["name"] = np.eye(count)[true], true, names
    done = command_line("runs", "compare", "aaaa", "bbbb")
    assert done.returncode == 0, done.stderr
    assert "They were tested on other labels of the same samples" in done.stdout
    assert "McNemar" not in done.stdout


def test_two_runs_are_compared_over_all_seeds_of_both(
    monkeypatch, tmp_path: Path, capsys, record_of
) -> None:
    monkeypatch.setenv("ELEATT_RUNS", str(tmp_path))
    gains = {0: 0.030, 1: 0.034, 2: 0.029, 4: 0.031}
    for seed in range(5):
        for cell in ("gru", "lstm"):
            run = RunFolder(tmp_path, f"{cell}-{seed}")
            blank = record_of(run.run_id)
            this = {**blank["identity"], "seed": seed, "model": {"cell": cell, "gated_layers": []},
                    "recipe_version": 1}  # fmt: skip
            accuracy = 0.5 + (cell == "gru") * gains.get(seed, 0.9)
            status = "failed" if (cell, seed) == ("lstm", 3) else "finished"
            run.write(record_of(run.run_id, accuracy, identity=this, status=status))
    assert main(["runs", "compare", "gru-0", "lstm-0"]) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    expected = stats.ttest_1samp([100 * gain for gain in gains.values()], 0)
    low, high = expected.confidence_interval(0.95)
    assert said == (
        f"Over 4 seeds of both (0, 1, 2, 4) A − B is +3.1 points, 95 % interval +{low:.1f} to "
        f"+{high:.1f} (t): better at 4 seeds (exploratory)."
    )
    assert main(["runs", "compare", "gru-0", "gru-1"]) == 0
    assert "Over" not in capsys.readouterr().out
    for cell in ("gru", "lstm"):
        run = RunFolder(tmp_path, f"{cell}-0")
        record = run.read()
        assert record is not None
        data = {**record["identity"]["data"], "fold": 1 + (cell == "gru")}
        run.write({**record, "identity": {**record["identity"], "data": data}})
    assert main(["runs", "compare", "gru-0", "lstm-0"]) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith("No comparison over seeds: the runs differ")


def test_a_val_seed_may_be_fixed_at_one_of_the_seeds(
    monkeypatch, tmp_path: Path, capsys, record_of
) -> None:
    """Those of a pre-training on the same data are the run's; other data have their own."""
    monkeypatch.setenv("ELEATT_RUNS", str(tmp_path))
    for seed in range(5):
        for cell, val_seed, before in (
            ("gru", 0, ("digits", 0)), ("lstm", seed, None), ("rnn", 0, ("mnist", seed)),
        ):  # fmt: skip
            run = RunFolder(tmp_path, f"{cell}-{seed}")
            blank = record_of(run.run_id)["identity"]
            data = {**blank["data"], "val_seed": val_seed}
            this = {**blank, "seed": seed, "model": {"cell": cell, "gated_layers": []}}
            if before is not None:
                of_before = {**data, "name": before[0], "val_seed": before[1]}
                this["pretraining"] = {**this, "data": of_before}
            run.write(record_of(run.run_id, 0.5, identity={**this, "data": data}))
    for a, b in (("gru-0", "lstm-0"), ("lstm-3", "rnn-3"), ("rnn-0", "gru-2")):
        assert main(["runs", "compare", a, b]) == 0
        assert "Over 5 seeds of both (0, 1, 2, 3, 4)" in capsys.readouterr().out
    assert main(["runs", "compare", "gru-0", "gru-1"]) == 0
    assert "Over" not in capsys.readouterr().out, "they differ in nothing but the seed"


def test_runs_are_removed_when_one_agrees_and_never_while_they_run(
    command_line, tmp_path: Path, user_environment, runs
) -> None:
    refused = command_line("runs", "rm", "aaaa")
    assert refused.returncode == 1
    assert "runs rm --yes" in refused.stderr
    with runs[1].held():
        running = command_line("runs", "rm", "--yes", "aaaa", "bbbb")
        assert f"{NAMES[1]} is running: stop it first. Nothing was removed" in running.stderr
    assert all(run.record.exists() for run in runs)
    assert _answer(tmp_path, user_environment, b"n\n", "aaaa").endswith("Nothing was removed.")
    assert runs[0].record.exists()
    assert _answer(tmp_path, user_environment, b"y\n", "aaaa").endswith(f"Removed {NAMES[0]}")
    assert not runs[0].path.exists()
    done = command_line("runs", "rm", "--yes", "bbbb")
    assert f"Removed {NAMES[1]}" in done.stdout
    assert list((tmp_path / "runs").iterdir()) == []


def _answer(folder: Path, environment: dict[str, str], answer: bytes, *ids: str) -> str:
    """What ``runs rm`` says to someone at a terminal."""
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "eleatt_bench", "runs", "rm", *ids],
        cwd=folder, env=environment, stdin=slave, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        os.write(master, answer)
        assert process.stdout is not None
        output = process.stdout.read().decode()
    os.close(master)
    os.close(slave)
    return output.strip()


def test_what_others_began_with_is_not_removed_unawares(command_line, runs) -> None:
    runs[0].write({**(runs[0].read() or {}), "pretraining": NAMES[1]})
    done = command_line("runs", "rm", "--yes", "bbbb")
    assert "whose weights 1 other run began with" in done.stdout


def test_gc_says_what_goes_before_it_does(command_line, runs) -> None:
    runs[0].checkpoints.mkdir()
    for name in ("best", "previous"):
        (runs[0].checkpoints / f"{name}.ckpt").write_bytes(b"x" * 2_000_000)
    said = command_line("runs", "gc", "--dry-run").stdout
    assert "previous.ckpt  checkpoint of a finished run" in said
    assert "1 would go, which would free 2.0 MB" in said
    assert (runs[0].checkpoints / "previous.ckpt").exists()
    assert "Freed 2.0 MB" in command_line("runs", "gc").stdout
    assert [p.name for p in runs[0].checkpoints.iterdir()] == ["best.ckpt"]
    assert command_line("runs", "gc").stdout == "Freed 0.0 MB\n"


def test_a_run_is_exported(command_line, tmp_path: Path, runs) -> None:
    run = runs[1]
    run.checkpoints.mkdir()
    for path in (run.config, run.predictions, run.checkpoints / "best.ckpt"):
        path.write_bytes(b"content")
    for out in ((), ("--out", "there/run.zip")):
        done = command_line("runs", "export", "digits-eleatt", *out)
        assert done.returncode == 0, done.stderr
        with zipfile.ZipFile(tmp_path / (out[1] if out else f"{NAMES[1]}.zip")) as archive:
            assert len(archive.namelist()) == 4
