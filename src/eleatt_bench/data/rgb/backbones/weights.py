"""Weights in a file of the user's: read without running code, and loaded into a network."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eleatt_bench.common.errors import UserError, in_a_line

if TYPE_CHECKING:
    from torch import Tensor, nn

_SHOWN = 5  # keys in a message


def read(path: Path) -> dict[str, Tensor]:
    """The state dict at ``path``: safetensors, or what `torch.save` made of one.

    Raises:
        UserError: no such file, damaged, or something else.
    """
    if not path.is_file():
        raise UserError(f"{path} is not a file: give --weights a state dict")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    import torch

    if not isinstance(content, Mapping):
        raise _no_state_dict(path, f"holds a {type(content).__name__}")
    if not content or not all(torch.is_tensor(value) for value in content.values()):
        raise _no_state_dict(path, f"holds {_some(map(str, content)) or 'nothing'}")
    return {str(key): value for key, value in content.items()}


def fit(name: str, network: nn.Module, head: str, path: Path) -> None:
    """Load the weights at ``path`` into ``network``, whose classifier ``head`` was removed.

    The weights of the classifier in the file are ignored.

    Raises:
        UserError: as for `read`; or weights are missing, without a place, or of another shape.
    """
    own = network.state_dict()
    given = {key: value for key, value in read(path).items() if not key.startswith(f"{head}.")}
    shared = own.keys() & given.keys()
    misfits = {
        "lacks": own.keys() - given.keys(),
        "also holds": given.keys() - own.keys(),
        "has in another shape": {key for key in shared if own[key].shape != given[key].shape},
    }
    for what, keys in misfits.items():
        if keys:
            raise UserError(
                f"{path} does not fit {name}: it {what} {_some(sorted(keys))}; give the weights of "
                "that network, or another --backbone"
            )
    network.load_state_dict(given)


def digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, shapes and values, whatever file they came from."""
    import torch

    found = hashlib.sha256()
    for key in sorted(state):
        value = state[key].detach().cpu().contiguous()
        found.update(f"{key}:{value.dtype}:{tuple(value.shape)}".encode())
        found.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def _read_safetensors(path: Path) -> Any:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise UserError(
            f"{path} needs the library safetensors: pip install 'eleatt-bench[rgb]'"
        ) from error
    try:
        return load_file(path)
    except SafetensorError as error:
        raise _no_state_dict(path, f"is damaged ({error})") from error


def _read_torch(path: Path) -> Any:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damage makes it raise almost anything
        raise _no_state_dict(path, f"cannot be read ({in_a_line(error)})") from error


def _no_state_dict(path: Path, what: str) -> UserError:
    return UserError(
        f"{path} {what}, not a state dict: give --weights a .safetensors file, or the file of "
        "torch.save(model.state_dict(), PATH)"
    )


def _some(keys: Any) -> str:
    keys = list(keys)
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more
