"""Weights from files: fitted when they fit, and otherwise refused by their names."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.rgb.backbones import weights

State = dict[str, Tensor]


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Identity())


@pytest.fixture
def state() -> State:
    torch.manual_seed(3)
    head = nn.Linear(4, 7).state_dict()
    drawn = network().state_dict() | {f"3.{key}": value for key, value in head.items()}
    return {key: value.clone() for key, value in drawn.items()}


WRITERS: dict[str, Callable[[State, Path], None]] = {
    "w.safetensors": save_file,
    "w.pt": torch.save,
    "w.pth": torch.save,
}


def refused(path: Path, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        weights.fit("net", network(), "3", path)
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", WRITERS)
def test_weights_of_both_forms_are_loaded_without_the_classifier(
    tmp_path: Path, state: State, name: str
) -> None:
    WRITERS[name](state, tmp_path / name)
    net = network()
    weights.fit("net", net, "3", tmp_path / name)
    for key, value in net.state_dict().items():
        assert torch.equal(value, state[key])
    headless = {key: value for key, value in state.items() if not key.startswith("3.")}
    assert weights.digest(net.state_dict()) == weights.digest(headless)


def test_the_digest_is_of_names_shapes_and_values(state: State) -> None:
    digests = {weights.digest(state), weights.digest(dict(reversed(state.items())))}
    assert len(digests) == 1
    for other in (
        {**state, "0.bias": state["0.bias"] + 1},
        {**state, "0.weight": state["0.weight"].flatten()},
        {**state, "0.bias": state["0.bias"].double()},
        {key.replace("bias", "shift"): value for key, value in state.items()},
        {**state, "1.num_batches_tracked": torch.tensor(1)},
    ):
        digests.add(weights.digest(other))
    assert len(digests) == 6
    assert weights.digest({"w": torch.zeros(2, dtype=torch.bfloat16)})


def test_weights_that_do_not_fit_are_named(tmp_path: Path, state: State) -> None:
    path = tmp_path / "w.safetensors"
    save_file({key: value for key, value in state.items() if "running" not in key}, path)
    refused(path, r"does not fit net: it lacks 1\.running_mean, 1\.running_var; give the weights")
    save_file({**state, "4.weight": torch.zeros(1)}, path)
    refused(path, r"does not fit net: it also holds 4\.weight;")
    save_file({**state, "0.weight": torch.zeros(4, 3, 3, 3)}, path)
    refused(path, r"does not fit net: it has in another shape 0\.weight;")
    save_file({f"module.{key}": value for key, value in state.items()}, path)
    refused(path, r"lacks 0\.bias, 0\.weight, 1\.bias, 1\.num_batches_tracked, .* and 2 more;")


def test_what_is_no_state_dict(tmp_path: Path, state: State) -> None:
    path = tmp_path / "w.pt"
    refused(path, "is not a file: give --weights a state dict")
    torch.save({"epoch": 3, "state_dict": state}, path)
    refused(path, "holds epoch, state_dict, not a state dict: give --weights a .safetensors file")
    torch.save(torch.zeros(3), path)
    refused(path, "holds a Tensor, not a state dict")
    torch.save({}, path)
    refused(path, "holds nothing, not a state dict")
    for content in (b"", b"text", b"\x80\x02"):
        path.write_bytes(content)
        refused(path, r"cannot be read \(.*\), not a state dict")
    torch.save(state, path)
    path.write_bytes(path.read_bytes()[:-50])
    refused(path, r"cannot be read")
    path = tmp_path / "w.safetensors"
    for content in (b"", b"text" * 9):
        path.write_bytes(content)
        refused(path, r"is damaged \(.*\), not a state dict")


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("harmed",)


def test_a_file_cannot_run_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"w": Harmful()}, "w.pt")
    refused(Path("w.pt"), "cannot be read")
    assert not Path("harmed").exists()


def test_without_safetensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "w.safetensors").touch()
    monkeypatch.setitem(sys.modules, "safetensors", None)
    refused(tmp_path / "w.safetensors", r"pip install 'eleatt-bench\[rgb\]'$")
