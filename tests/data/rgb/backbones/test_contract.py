"""Devices and memory: what every backbone shares."""

from __future__ import annotations

import re

import pytest
import torch

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.rgb.backbones.contract import (
    Backbone,
    enough_memory,
    feature_size,
    resolve_device,
)

PICTURES = torch.zeros(3, 3, 4, 4)


def test_devices() -> None:
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(UserError, match=r"Unknown device 'cud'\. Did you mean 'cuda'\?"):
        resolve_device("cud")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_no_gpu() -> None:
    with pytest.raises(UserError, match="There is no CUDA device here: use --device cpu"):
        resolve_device("cuda")


def test_memory_that_runs_out_names_the_batch_size() -> None:
    with pytest.raises(UserError, match="Out of memory: try a smaller --batch"), enough_memory():
        torch.empty(1 << 60)
    with pytest.raises(UserError, match="Out of memory: try a smaller --batch-size"):
        feature_size("net", lambda pictures: torch.empty(1 << 60), PICTURES)


def test_float32_is_float32_on_a_gpu_and_afterwards_all_is_as_before() -> None:
    """On no device of this machine: torch's ``meta`` takes a GPU's place."""
    owners = (torch.backends.cudnn.conv, torch.backends.cudnn.rnn, torch.backends.cuda.matmul)

    def precisions() -> list[str]:
        return [owner.fp32_precision for owner in owners]

    seen: list[list[str]] = []

    def network(frames: torch.Tensor) -> torch.Tensor:
        seen.append(precisions())
        if len(seen) == 3:
            raise ValueError("the network fails")
        return torch.zeros(len(frames), 1)

    before = precisions()
    assert "tf32" in before
    for device, expected in (("cpu", before), ("meta", ["ieee"] * 3)):
        net = Backbone(
            "net", "random", "", "", 1, torch.device(device), torch.Tensor.float, network
        )
        net.features(PICTURES, 3)
        assert seen[-1] == expected
        assert precisions() == before
    with pytest.raises(ValueError, match="the network fails"):
        net.features(PICTURES, 3)
    assert precisions() == before


def test_other_errors_are_not_about_memory() -> None:
    with pytest.raises(RuntimeError, match="size"), enough_memory():
        torch.ones(2) @ torch.ones(3)
    says = re.escape("net fails on a batch of (2, 3, 4, 4) (")
    with pytest.raises(UserError, match=says):
        feature_size("net", lambda pictures: pictures @ torch.ones(5), PICTURES)
