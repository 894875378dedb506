"""From videos to a test accuracy on the command line, killed on the way."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from eleatt_bench.cli.data_features import features
from eleatt_bench.common.errors import UserError
from eleatt_bench.data.rgb.jhmdb import CLASSES

CLIPS = 24


class Slow(nn.Module):
    """Features that take a while, so that there is time to kill the process."""

    def __init__(self) -> None:
        super().__init__()
        self.mix, self.end = nn.Linear(768, 768), nn.Linear(768, 5)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        x = pictures.flatten(1)
        for _ in range(30):
            x = self.mix(x).tanh()
        return self.end(x)


@pytest.fixture(scope="module")
def release(encoded, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two clips of each of twelve actions; in split k both train of k, and one of each other."""
    top, random = tmp_path_factory.mktemp("jhmdb"), np.random.default_rng(0)
    (top / "splits").mkdir()
    for number, action in enumerate(CLASSES):
        names = [f"{action}_{i}.avi" for i in range(2)] if number < CLIPS // 2 else []
        for name in names:
            pictures = random.integers(0, 256, (16, 18, 24, 3), dtype=np.uint8)
            path = top / "videos" / action / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(pictures))
        for split in (1, 2, 3):
            tested = [number >= split and (i + split) % 2 == 1 for i in range(len(names))]
            lines = [f"{name} {1 + test}\n" for name, test in zip(names, tested, strict=True)]
            (top / "splits" / f"{action}_test_split{split}.txt").write_text("".join(lines))
    return top / "videos", top / "splits"


@pytest.mark.slow
def test_videos_are_extracted_killed_resumed_and_trained_on(
    command_line, user_environment, release, exported, tmp_path: Path
) -> None:
    videos, splits = (str(path) for path in release)
    arguments = ["data", "features", "jhmdb", "--source", videos, "--splits", splits]
    arguments += ["--backbone", str(exported(Slow().eval()))]
    process = subprocess.Popen(
        [sys.executable, "-m", "eleatt_bench", *arguments], cwd=tmp_path, env=user_environment
    )
    done: list[Path] = []
    while len(done) < 3 and process.poll() is None:
        time.sleep(0.001)
        done = list(tmp_path.glob("data/features/jhmdb-*/*.npz"))
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "data" / "prepared").exists()
    written = {path: path.stat() for path in tmp_path.glob("data/features/jhmdb-*/*.npz")}
    assert 3 <= len(written) < CLIPS

    resumed = command_line(*arguments)
    assert resumed.returncode == 0, resumed.stderr
    assert "24 sequences, 5 features a frame" in resumed.stdout
    assert f"{len(written)} clips were done before, 0 broken" in resumed.stdout
    for path, before in written.items():
        assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    kept = [path.suffix for path in tmp_path.glob("data/features/jhmdb-*/*")]
    assert kept.count(".npz") == CLIPS
    assert ".tmp" not in kept
    sizes = "split: 13 to 15 to train and validate, 9 to 11 to test in each of 3 folds"
    assert sizes in command_line("data", "verify", "jhmdb").stdout

    small = ["model.hidden_size=8", "trainer.max_epochs=1"]
    trained = command_line("train", "experiment=jhmdb", "data.fold=1", *small)
    assert trained.returncode == 0, trained.stderr
    (path,) = tmp_path.glob("runs/*/record.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["samples"] == {"train": 13, "val": 1, "test": 10}
    assert record["metrics"]["test"]["accuracy"] * 10 == pytest.approx(
        round(record["metrics"]["test"]["accuracy"] * 10)
    )


TELLING = """
import sys, time
from eleatt_bench.cli import data_features, main
from eleatt_bench.data.rgb.backbones.contract import Backbone
data_features._SECONDS = 0.05
features = Backbone.features
def slow(self, frames, batch_size):
    time.sleep(0.5)
    return features(self, frames, batch_size)
Backbone.features = slow
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_log_file_says_how_far_it_is_and_a_signal_ends_it(
    release, exported, user_environment, tmp_path: Path, number: int
) -> None:
    videos, splits = (str(path) for path in release)
    command = [sys.executable, "-u", "-c", TELLING, "data", "features", "jhmdb"]
    command += ["--source", videos, "--splits", splits, "--device", "cpu"]
    process = subprocess.Popen(
        [*command, "--backbone", str(exported(Slow().eval()))], cwd=tmp_path, text=True,
        env=user_environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    said: list[str] = []
    for line in process.stdout:
        said.append(line)
        if " left" in line:
            break
    assert said[0] == "features of jhmdb: 24 clips\n"
    assert re.fullmatch(r"features of jhmdb: \d+ of 24 clips, about \d+ s left\n", said[-1])
    asked = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate()
    busy = max(1, os.getloadavg()[0] / (os.cpu_count() or 1))
    assert time.monotonic() - asked < 5 * busy  # 2 s on a machine that has nothing else to do
    assert process.returncode == 128 + number
    assert "Interrupted. The same command continues where this one stopped." in errors
    assert "Traceback" not in errors


def test_broken_clips_and_what_to_type(
    release, encoded, colours: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("ELEATT_DATA", str(tmp_path / "data"))
    top = tmp_path / "videos"
    top.mkdir()
    pictures = np.zeros((4, 16, 16, 3), dtype=np.uint8)
    for name in ("S001C001P001R001A001", "S001C002P003R001A002"):
        (top / f"{name}_rgb.avi").write_bytes(encoded(pictures))
    (top / "S001C003P003R001A003_rgb.avi").write_bytes(encoded(pictures)[:-400])
    arguments = ["ntu_rgb", "--source", str(top), "--backbone", str(colours), "--device", "cpu"]
    with pytest.raises(
        UserError, match=r"1 of 3 clips cannot be decoded .*add --skip-bad to leave"
    ):
        features(arguments)
    assert "S001C003P003R001A003_rgb.avi is cut short" in capsys.readouterr().out
    assert features([*arguments, "--skip-bad"]) == 0
    said = capsys.readouterr().out
    assert "S001C003P003R001A003_rgb.avi is cut short" in said
    assert "2 sequences, 5 features a frame" in said
    assert "2 clips were done before, 1 broken ones are left out" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            "jhmbd --source x --backbone y",
            "Unknown data set of videos 'jhmbd'. Did you mean 'jhmdb'",
        ),
        ("nucla --source x --backbone y", "Unknown data set of videos 'nucla'"),
        ("jhmdb --backbone y", "The following arguments are required: --source"),
        ("jhmdb --source x --splits y", "arguments are required: --backbone"),
        ("jhmdb --source x --backbone y", "jhmdb needs its official lists as well, splits.zip"),
        (
            "ntu_rgb --source x --splits y --backbone z",
            "--splits is for jhmdb; ntu_rgb is split by",
        ),
        (
            "ntu_rgb --source x --backbone y --batch-size 0",
            "--batch-size is 0; it must be at least",
        ),
        ("ntu_rgb --source x --backbone y --batch-size z", "invalid int value: 'z'"),
        ("ntu_rgb --source nowhere --backbone y", "nowhere does not exist: give the RGB videos"),
        ("ntu_rgb --source x --backbone y --wieghts z", "Did you mean '--weights'?"),
    ],
)
def test_mistakes(arguments: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        features(arguments.split())
    assert says in str(caught.value)


def test_wrong_devices_and_backbones(release, tmp_path: Path) -> None:
    videos, splits = release
    arguments = ["jhmdb", "--source", str(videos), "--splits", str(splits), "--backbone"]
    with pytest.raises(UserError, match=r"Unknown device 'gpu'\. .*Choices: auto, cpu, cuda"):
        features([*arguments, "resnet50", "--device", "gpu"])
    with pytest.raises(UserError, match=r"net\.pt2 is not a file"):
        features([*arguments, str(tmp_path / "net.pt2")])
    with pytest.raises(UserError, match="--weights and --random-weights exclude each other"):
        features([*arguments, "resnet50", "--weights", "x", "--random-weights"])


def test_the_list_of_data_sets_needs_neither_torch_nor_a_decoder(tmp_path: Path) -> None:
    code = (
        "import sys; from eleatt_bench.cli import main; main(['data', 'list']);"
        "heavy = {'torch', 'torchvision', 'av', 'safetensors'} & set(sys.modules);"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "data features jhmdb --source VIDEOS --splits PATH --backbone resnet50" in done.stdout
