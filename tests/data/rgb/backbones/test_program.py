"""Exported programs as backbones: what they are fed, and which of them are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.rgb import backbones
from eleatt_bench.data.rgb.backbones import program

FREE = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}


class Mean(nn.Module):
    """The mean colour, whatever the size."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return pictures.mean((2, 3))


class Wrong(nn.Module):
    """What is no vector per picture."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, pictures: torch.Tensor) -> object:
        if self.kind == "map":
            return pictures * 2
        if self.kind == "one":
            return pictures.mean((0, 2, 3))
        if self.kind == "two":
            return pictures.mean((2, 3)), pictures.mean((1, 2))
        if self.kind == "nan":
            return pictures.mean((2, 3)) / 0
        return pictures.mean((2, 3)) - pictures.mean((0, 2, 3))


def refused(path: Path, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        backbones.load(str(path), device="cpu")
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value).splitlines()) == 1


def test_features_are_what_the_network_makes_of_the_prepared_frames(colours: Path) -> None:
    backbone = backbones.load(str(colours), device="cpu")
    assert (backbone.name, backbone.weights, backbone.size) == ("net.pt2", "those in net.pt2", 5)
    torch.manual_seed(0)
    linear = nn.Linear(3, 5)  # as the fixture has drawn it
    random = np.random.default_rng(1)
    picture = torch.from_numpy(random.integers(0, 256, (3, 30, 50), dtype=np.uint8))
    prepared = backbone.prepare(picture)
    assert prepared.shape == (3, 16, 16)
    with torch.no_grad():
        expected = linear(prepared.mean((1, 2)))
    for batch_size in (1, 2, 3, 64):
        found = backbone.features(prepared.expand(5, -1, -1, -1), batch_size)
        assert found.shape == (5, 5)
        torch.testing.assert_close(found, expected.expand(5, -1))


@pytest.mark.parametrize(("height", "width"), [(240, 320), (320, 240), (30, 47), (18, 18)])
@pytest.mark.parametrize("sides", [(224, 224), (16, 16), (32, 20)])
def test_frames_are_prepared_as_pillow_does_it(
    height: int, width: int, sides: tuple[int, int]
) -> None:
    picture = np.random.default_rng(2).integers(0, 256, (height, width, 3), dtype=np.uint8)
    short = round(max(sides) * 256 / 224)
    small = min(height, width)
    size = (short * width // small, short * height // small)
    resized = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))
    top, left = (round((have - want) / 2) for have, want in zip(size[::-1], sides, strict=True))
    cut = resized[top : top + sides[0], left : left + sides[1]].astype(np.float64)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    expected = ((cut / 255 - mean) / std).transpose(2, 0, 1)
    tensor = torch.from_numpy(picture).permute(2, 0, 1)
    found = program.prepare(tensor, height=sides[0], width=sides[1])
    assert found.shape == (3, *sides)
    # Pillow rounds to whole values after each of its two passes.
    assert np.abs(found.numpy() - expected).max() <= 1.01 / 255 / min(std)
    assert np.abs(found.numpy() - expected).mean() < 0.1 / 255 / min(std)


def test_a_program_that_takes_any_size_gets_the_usual_one(exported) -> None:
    path = exported(Mean(), sides=FREE, example=torch.zeros(2, 3, 40, 50))
    backbone = backbones.load(str(path), device="cpu")
    prepared = backbone.prepare(torch.full((3, 120, 160), 128, dtype=torch.uint8))
    assert prepared.shape == (3, 224, 224)
    grey = (128 / 255 - torch.tensor(program.MEAN)) / torch.tensor(program.STD)
    torch.testing.assert_close(backbone.features(prepared[None], 4), grey[None])
    assert "centre 224 x 224" in backbone.preprocessing


def test_a_program_is_known_by_its_content(exported, colours: Path, tmp_path: Path) -> None:
    first = backbones.load(str(colours), device="cpu")
    copy = tmp_path / "other name.pt2"
    copy.write_bytes(colours.read_bytes())
    assert backbones.load(str(copy), device="cpu").digest == first.digest
    another = exported(nn.Sequential(Mean(), nn.Linear(3, 5)).eval())
    assert backbones.load(str(another), device="cpu").digest != first.digest


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("map", r"gives \(2, 3, 16, 16\) for a batch of 2 pictures, not \(2, D\)"),
        ("one", r"gives \(3,\) for a batch of 2 pictures"),
        ("two", r"gives tuple for a batch of 2 pictures"),
        ("nan", "gives values that are not finite"),
        ("batch", r"another vector when another picture is beside it: call \.eval\(\) before"),
    ],
)
def test_what_gives_no_vector_per_picture(exported, kind: str, says: str) -> None:
    refused(exported(Wrong(kind)), says)


def test_dropout_that_was_exported_in_training(exported) -> None:
    path = exported(nn.Sequential(Mean(), nn.Linear(3, 99), nn.Dropout(0.5)).train())
    refused(path, r"call \.eval\(\) before torch\.export\.export$")


def test_what_takes_something_else(exported) -> None:
    refused(exported(Mean(), sides="fixed"), "was exported for batches of 2 alone: export it with")
    grey = exported(Mean(), example=torch.zeros(2, 1, 16, 16))
    refused(grey, r"takes torch\.float32 \(\w+, 1, 16, 16\), not one float32 \(N, 3, height, width")
    double = exported(Mean(), example=torch.zeros(2, 3, 16, 16, dtype=torch.float64))
    refused(double, r"takes torch\.float64 ")
    refused(
        exported(nn.Linear(3, 5), example=torch.zeros(2, 3)), r"takes torch\.float32 \(\w+, 3\)"
    )


def test_what_is_no_program(colours: Path, tmp_path: Path, capfd) -> None:
    path = tmp_path / "net.pt2"
    refused(path, r"is not a file: give --backbone a program of torch\.export\.save")
    content = colours.read_bytes()
    for wrong in (b"", b"some text", content[: len(content) // 2], content[:-9]):
        path.write_bytes(wrong)
        refused(path, r"is not a program that torch .* can load")
    torch.save({"weight": torch.zeros(2)}, path)
    refused(path, r"is not a program that torch .* can load")
    assert capfd.readouterr().err == ""


def test_its_weights_are_inside(colours: Path) -> None:
    with pytest.raises(UserError, match=r"net\.pt2 brings its weights: leave out --random-weights"):
        backbones.load(str(colours), random=True)
    with pytest.raises(UserError, match=r"net\.pt2 brings its weights: leave out --weights"):
        backbones.load(str(colours), weights=Path("x"))
    with pytest.raises(UserError, match="exclude each other"):
        backbones.load("resnet50", weights=Path("x"), random=True)


@pytest.mark.gpu
def test_a_gpu_gives_the_same(colours: Path) -> None:
    frames = torch.randn(7, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    found = [backbones.load(str(colours), device=d).features(frames, 3) for d in ("cpu", "cuda")]
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-3)
