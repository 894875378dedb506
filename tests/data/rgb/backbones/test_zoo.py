"""torchvision's models: without torchvision a sentence, with it the features of its models."""

from __future__ import annotations

import sys
import urllib.error
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.rgb import backbones
from eleatt_bench.data.rgb.backbones import zoo
from eleatt_bench.data.store import RANDOM_WEIGHTS


@pytest.fixture
def models() -> ModuleType:
    try:
        from torchvision import models
    except Exception as error:  # a build for another torch fails in many ways
        pytest.skip(f"torchvision cannot be imported ({error})")
    return models


def without_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)


def test_torchvision_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    without_torchvision(monkeypatch)
    monkeypatch.setattr(zoo, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'eleatt-bench\[rgb\]', or give an exported"):
        backbones.load("resnet50", random=True)


def test_torchvision_was_built_for_another_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_torchvision(monkeypatch)
    package = tmp_path / "torchvision"
    package.mkdir()
    says = "operator torchvision::nms does not exist"  # as beside the CPU build of torch
    (package / "__init__.py").write_text(f"raise RuntimeError({says!r})")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        UserError, match=r"cannot be imported beside torch .*nms does not exist.*pt2"
    ):
        backbones.load("resnet50", random=True)


def test_the_last_linear_layer_is_the_classifier() -> None:
    body = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    network = nn.ModuleDict({"body": body, "head": nn.Sequential(nn.Dropout(), nn.Linear(4, 9))})
    assert zoo.remove_classifier("net", network) == "head.1"
    assert isinstance(network["head"][1], nn.Identity)
    assert isinstance(body[0], nn.Linear)
    with pytest.raises(UserError, match="net ends in no linear layer"):
        zoo.remove_classifier("net", nn.Sequential(nn.Conv2d(3, 9, 1)))


def test_resnet50_gives_2048(models) -> None:
    backbone = backbones.load("resnet50", random=True, device="cpu")
    assert (backbone.size, backbone.weights) == (2048, "random")
    again = backbones.load("resnet50", random=True, device="cpu")
    assert again.digest == backbone.digest
    assert "resize_size=[232]" in backbone.preprocessing


def test_weights_from_a_file(models, tmp_path: Path) -> None:
    torch.manual_seed(5)
    whole = models.resnet18(weights=None).eval()
    path = tmp_path / "resnet18.safetensors"
    save_file(whole.state_dict(), path)
    backbone = backbones.load("resnet18", weights=path, device="cpu")
    assert (backbone.name, backbone.weights) == ("resnet18", "those in resnet18.safetensors")
    picture = torch.randint(0, 256, (3, 260, 300), dtype=torch.uint8)
    prepared = backbone.prepare(picture)
    transforms = models.ResNet18_Weights.DEFAULT.transforms()
    assert torch.equal(prepared, transforms(picture))
    with torch.no_grad():
        logits = whole(prepared[None])
        features = backbone.features(prepared[None], 8)
        torch.testing.assert_close(whole.fc(features), logits)
    assert backbone.digest != backbones.load("resnet18", random=True, device="cpu").digest
    with pytest.raises(UserError, match=r"does not fit resnet50: it lacks layer1\.0\.bn3\.bias, "):
        backbones.load("resnet50", weights=path, device="cpu")


def test_the_inputs_of_inception_are_those_of_its_weights(models, tmp_path: Path) -> None:
    path = tmp_path / "googlenet.pt"
    torch.save(models.googlenet(weights=None, init_weights=False).state_dict(), path)
    backbone = backbones.load("googlenet", weights=path, device="cpu")
    assert backbone.size == 1024
    assert backbone.network.transform_input is True


def test_a_model_that_is_not_there(models) -> None:
    with pytest.raises(UserError, match=r"Unknown backbone 'resnet5'\. Did you mean 'resnet50'\?"):
        backbones.load("resnet5", random=True)
    with pytest.raises(UserError, match="Unknown backbone 'fcn_resnet50'"):  # no classifier
        backbones.load("fcn_resnet50", random=True)


def test_no_network(models, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr("torch.hub.urlopen", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(
        UserError, match=r"resnet18 cannot be downloaded from https://.*\.pth \(.*no"
    ):
        backbones.load("resnet18", device="cpu")


class Corner:
    """The transforms of the weights below: four pixels of a picture."""

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        return pictures[..., :2, :2] / 255

    def __repr__(self) -> str:
        return "Corner(size=[2])"


def made(name: str, weights: Any) -> nn.Module:
    """As torchvision's ``get_model``: with ``weights`` those, which are all 1, else random ones."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 3), nn.Linear(3, 9))
    for parameter in network.parameters() if weights is not None else ():
        nn.init.ones_(parameter)
    return network


def test_a_model_has_torchvisions_weights_unless_random_ones_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where torchvision is not installed: it is a made-up one that has the same functions."""
    default = SimpleNamespace(name="BEST", url="https://example.org/net.pth", transforms=Corner)
    torchvision = ModuleType("torchvision")
    torchvision.__spec__ = ModuleSpec("torchvision", None)
    torchvision.models = SimpleNamespace(  # type: ignore[attr-defined]
        list_models=lambda module: ["net"],
        get_model_weights=lambda name: SimpleNamespace(DEFAULT=default),
        get_model=made,
    )
    monkeypatch.setitem(sys.modules, "torchvision", torchvision)
    frames = torch.rand(2, 3, 2, 2)
    best = backbones.load("net", device="cpu")
    expected = (1 + frames.sum(dim=(1, 2, 3)))[:, None].expand(2, 3)
    torch.testing.assert_close(best.features(frames, 8), expected)
    assert (best.size, best.weights) == (3, "torchvision BEST")
    assert best.preprocessing == "Corner(size=[2])"
    random = backbones.load("net", random=True, device="cpu")
    assert random.weights == RANDOM_WEIGHTS
    assert not torch.allclose(random.features(frames, 8), expected)
    assert random.digest != best.digest
    assert random.digest == backbones.load("net", random=True, device="cpu").digest
