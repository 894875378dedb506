"""torchvision's classification models without their classifiers."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError

from eleatt_bench.common.errors import UserError, in_a_line, unknown
from eleatt_bench.data.rgb.backbones import weights as files
from eleatt_bench.data.rgb.backbones.contract import Backbone, feature_size
from eleatt_bench.data.store import RANDOM_WEIGHTS

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


def load(name: str, weights: Path | None, random: bool, device: torch.device) -> Backbone:
    """The model ``name`` with its last linear layer replaced by the identity (resnet50: D = 2048).

    Its weights are those in the file ``weights``, ``random`` ones of a fixed seed, or torchvision's
    default ones, downloaded. Frames are prepared by the transforms of the default weights.

    Raises:
        UserError: torchvision cannot be imported, has no such model, cannot download, or the
            weights do not fit.
    """
    models = _models()
    names = models.list_models(module=models)
    if name not in names:
        raise unknown("backbone", name, names)
    default = models.get_model_weights(name).DEFAULT
    prepare = default.transforms()
    network = _build(models, name, None if random or weights else default)
    head = remove_classifier(name, network)
    if weights is not None:
        files.fit(name, network, head, weights)
        if hasattr(network, "transform_input"):  # torchvision sets it only with its own weights
            network.transform_input = True
    network.eval().to(device)
    pictures = _pictures(prepare).to(device)
    said = f"torchvision {default.name}" if weights is None else f"those in {weights.name}"
    return Backbone(
        name=name,
        weights=RANDOM_WEIGHTS if random else said,
        weights_digest=f"{name}:{files.digest(network.state_dict())}",
        preprocessing=" ".join(repr(prepare).split()),
        size=feature_size(name, network, pictures),
        device=device,
        prepare=prepare,
        network=network,
    )


def remove_classifier(name: str, network: nn.Module) -> str:
    """Replace the last linear layer of ``network`` by the identity, and return its path.

    Raises:
        UserError: it has none.
    """
    from torch import nn

    linear: list[str] = [
        path for path, layer in network.named_modules() if isinstance(layer, nn.Linear)
    ]
    if not linear:
        raise UserError(
            f"{name} ends in no linear layer, so that its features are not known: "
            "give another --backbone, as resnet50"
        )
    network.set_submodule(linear[-1], nn.Identity())
    return linear[-1]


def _build(models: Any, name: str, default: Any) -> Any:
    import torch

    try:
        # Without weights to load, the network is drawn: always the same one.
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # that it may draw otherwise some day
            torch.manual_seed(0)
            return models.get_model(name, weights=default)
    except (URLError, OSError, RuntimeError) as error:
        if default is None:
            raise
        raise UserError(
            f"The weights of {name} cannot be downloaded from {default.url} "
            f"({in_a_line(error)}): fetch that file elsewhere and give it with --weights PATH, "
            "or say --random-weights"
        ) from error


def _models() -> Any:
    import torch

    if find_spec("torchvision") is None:
        raise UserError(
            "This --backbone needs torchvision: pip install 'eleatt-bench[rgb]', or give an "
            "exported program, --backbone FILE.pt2"
        )
    try:
        from torchvision import models
    except Exception as error:  # a build for another torch fails in many ways
        raise UserError(
            f"torchvision cannot be imported beside torch {torch.__version__} "
            f"({in_a_line(error)}): install the torchvision that was built for it, or give an "
            "exported program, --backbone FILE.pt2"
        ) from error
    return models


def _pictures(prepare: Any) -> Tensor:
    """Three different pictures of noise, to try a network on."""
    import torch

    random = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (3, 3, 256, 320), dtype=torch.uint8, generator=random)
    pictures: Tensor = prepare(noise)
    return pictures
