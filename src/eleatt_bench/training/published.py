"""The tested weights of a run as a file of safetensors, with all that is needed to use them.

Its metadata have one entry, ``card``, a JSON object: ``run_id``, ``config``, ``metrics`` (of the
test, which the weights must reproduce), ``data_digest`` and, about the data, ``class_names``,
``layout`` (what a frame is) and ``origin_applied``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from omegaconf.errors import OmegaConfBaseException

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.extras import require
from eleatt_bench.common.files import read_bounded, write_bytes
from eleatt_bench.config.compose import config_of_run
from eleatt_bench.data.store import SequenceStore
from eleatt_bench.data.transforms import Transforms
from eleatt_bench.runs.compact import OWN_SECTIONS
from eleatt_bench.runs.form import says_finished
from eleatt_bench.training.checkpoints import weights_of
from eleatt_bench.training.classifier import SequenceClassifier
from eleatt_bench.training.datamodule import SequenceDataModule
from eleatt_bench.training.evaluate import measure
from eleatt_bench.training.expected import check_model, network_of
from eleatt_bench.training.folder import reopen
from eleatt_bench.training.seeding import own_randomness

if TYPE_CHECKING:
    from torch import Tensor

Card = dict[str, Any]

_KEY = "card"
_MOST = 1 << 28  # bytes


def write_weights(path: Path, runs_dir: Path, run_id: str, data_dir: Path) -> Card:
    """Write the tested weights of a finished run to ``path``, atomically; returns their card.

    The same run gives the same bytes. Its data must be in ``data_dir``: they say what a frame is.

    Raises:
        UserError: as for `reopen`; or the run is not finished, or has no weights.
    """
    require("weights", "A file of weights")
    from safetensors.torch import save

    folder, config, store = reopen(runs_dir, run_id, data_dir)
    record = folder.read()
    if not says_finished(record):
        raise UserError(f"{folder.run_id} is not finished: its weights give nothing yet")
    state = weights_of(folder)
    card = {
        "run_id": folder.run_id,
        "config": {key: value for key, value in config.items() if key not in OWN_SECTIONS}
        | {"data_dir": "data", "runs_dir": "runs"},  # nothing about a machine and its owner
        "metrics": record["metrics"]["test"],
        "data_digest": record["data_digest"],
        "class_names": list(store.class_names),
        "layout": store.layout,
        "origin_applied": bool(store.origin_applied),
    }
    tensors = {name: value.contiguous() for name, value in state.items()}
    write_bytes(path, save(tensors, {_KEY: json.dumps(card, sort_keys=True)}))
    return card


def load_network(path: str | Path) -> tuple[SequenceClassifier, Card]:
    """The network in a file that `write_weights` made, in evaluation mode, and its card.

    ``network.classify(frames, lengths)`` gives logits (B, classes) of frames (B, T, D) as a
    prepared data set holds them, with lengths (B,). ``network(inputs, lengths)`` takes frames after
    the run's transforms, and computes in the precision of the weights. To continue training, call
    ``network(inputs, lengths)``.

    Raises:
        UserError: there is no such file, it is damaged, or it holds something else.
    """
    card, state = _read(Path(path))
    try:
        config = _config(card)
        width = state["recurrent.weight_ih_l0"].shape[1]
        if len(card["class_names"]) != len(state["classifier.weight"]):
            raise ValueError("its classes are not those that it names")
        store = _empty_store(card, config, Path(path))
        transforms = Transforms(config["data"], store, config["seed"])
        with own_randomness():
            network = SequenceClassifier(config, width, len(card["class_names"]), transforms)
        check_model(state, network_of(network))
    except (KeyError, TypeError, IndexError, AttributeError, ValueError, UserError) as error:
        raise _damaged(Path(path), error) from error
    network.load_state_dict(state)
    return network.eval(), card


def retest(network: SequenceClassifier, card: Card, store: SequenceStore) -> dict[str, float]:
    """The metrics of what `load_network` gave, on the test samples of ``store``, on the CPU.

    Raises:
        UserError: the store holds other data than the run was trained on.
    """
    if store.content_digest != card["data_digest"]:
        raise UserError(f"{store.path} holds other data than {card['run_id']} was trained on")
    data = SequenceDataModule(network.config["data"], store, network.config["seed"])
    with torch.inference_mode():
        outputs = [network.predict_step(batch, 0) for batch in data.predict_dataloader()]
    assert np.array_equal(np.concatenate([indices for _, indices in outputs]), data.split.test)
    return measure(torch.cat([logits for logits, _ in outputs]).numpy(), data)


def _read(path: Path) -> tuple[Card, dict[str, Tensor]]:
    require("weights", "A file of weights")
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        content = read_bounded(path, _MOST)
        state = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        card = json.loads(header["__metadata__"][_KEY])
        if type(card) is not dict:
            raise ValueError("its card is no object")
    except FileNotFoundError:
        raise UserError(f"There are no weights at {path}") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
        raise _damaged(path, error) from error
    return card, state


def _config(card: Card) -> dict[str, Any]:
    """The configuration of the run; settings that came after it have their defaults."""
    try:
        config = config_of_run(card["config"])
    except OmegaConfBaseException as error:
        raise ValueError(str(error).splitlines()[0]) from error
    config["model"]["backend"] = "auto"
    return config


def _empty_store(card: Card, config: dict[str, Any], path: Path) -> SequenceStore:
    """A store without sequences, else like the one that the network was trained on."""
    none = np.empty(0, np.int64)
    return SequenceStore(
        name=config["data"]["name"], path=path, content_digest=card["data_digest"],
        class_names=tuple(card["class_names"]), layout=card["layout"], source="",
        origin_applied=card["origin_applied"], frames=np.empty((0, 0), np.float32),
        offsets=np.zeros(1, np.int64), labels=none, names=(), metadata={},
        sequence_digests=np.empty((0, 16), np.uint8), sealed=True,
    )  # fmt: skip


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(f"{path} does not hold weights of this program, or is damaged ({error})")
