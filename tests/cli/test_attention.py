"""Pictures of a gate on the command line, from a run to files."""

from __future__ import annotations

import csv
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from eleatt_bench.cli import main
from eleatt_bench.config.compose import compose_config
from eleatt_bench.data.sources import nucla
from eleatt_bench.report.gates import LARGEST, by_class, save_animation, sizes
from eleatt_bench.training.run import train


@pytest.mark.slow
def test_of_images(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ELEATT_DATA", "ELEATT_RUNS"):
        monkeypatch.delenv(name, raising=False)
    small = ["model.hidden_size=8", "trainer.max_epochs=1", "trainer.num_threads=1"]
    train(compose_config(["experiment=digits", "model=eleatt_gru", *small]), [])
    assert main(["attention", "run=digits", "--samples", "digit_0003,digit_0019"]) == 0
    (folder,) = tmp_path.glob("runs/*/attention/layer0")
    assert {path.name for path in folder.iterdir()} == {
        "digit_0003-map.png", "digit_0019-map.png", "attention.h5", "classes.png", "classes.pdf",
        "classes.csv",
    }  # fmt: skip
    with h5py.File(folder / "attention.h5") as file:
        assert set(file) == {"digit_0003", "digit_0019"}
        one = file["digit_0003"]
        assert one["attention"].shape == one["relative"].shape == one["inputs"].shape == (8, 8)
        assert one.attrs["label"] == 3
    with (folder / "classes.csv").open(newline="") as text:
        head, *rows = csv.reader(text)
    assert head == ["class", *map(str, range(8))]
    assert [row[0] for row in rows] == list("0123456789")

    capsys.readouterr()
    assert main(["attention", "run=digits", "--samples", "digit_0000"]) == 1  # it was trained on
    assert "Unknown test sample 'digit_0000'" in capsys.readouterr().err
    assert main(["attention", "run=digits", "--layer", "1"]) == 1
    assert "has no gate; layers with a gate (from 0): 0" in capsys.readouterr().err


def test_the_largest_circle_is_the_most_important_joint_and_areas_are_proportional() -> None:
    attention = [np.array([[1.0, 4.0]], np.float32), np.array([[0.25, 0.0]], np.float32)]
    radii = sizes(attention)
    assert radii[0].tolist() == [[LARGEST / 2, LARGEST]]
    assert radii[1].tolist() == [[LARGEST / 4, 0]]


@pytest.mark.slow
def test_a_picture_of_thousands_of_elements_stays_one_that_can_be_looked_at() -> None:
    for count in (20, 2048):
        means = np.random.default_rng().random((21, count)).astype(np.float32)
        figure = by_class(means, list("abcdefghijklmnopqrstu"), list(map(str, range(count))), "t",
                          of_joints=False)  # fmt: skip
        ticks = [label.get_text() for label in figure.axes[0].get_xticklabels()]
        step = -(-count // 80)
        assert ticks == [str(number) for number in range(0, count, step)]
        assert figure.get_figwidth() < 24


def test_an_animation_has_every_frame(tmp_path: Path) -> None:
    frames = np.random.default_rng().normal(size=(4, 60)).astype(np.float32)
    path = tmp_path / "film.gif"
    save_animation(frames, nucla.LAYOUT, "a title", np.full((4, 20), 3, np.float32), path)
    with Image.open(path) as film:
        assert film.n_frames == 4
    assert list(tmp_path.iterdir()) == [path]
