"""Recurrent layers that begin with what another run has learnt."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from eleatt_bench.errors import UserError
from eleatt_bench.training.checkpoints import load_checkpoint
from eleatt_bench.training.classifier import SequenceClassifier

_PREFIX = "recurrent."


def begin_with(classifier: SequenceClassifier, checkpoint: Path) -> None:
    """Take over all recurrent layers from ``checkpoint``; the linear layer stays as it is.

    Raises:
        UserError: no such checkpoint, a damaged one, or one of other layers.
    """
    state: dict[str, Tensor] = load_checkpoint(checkpoint)["model"]
    theirs = {
        name.removeprefix(_PREFIX): value
        for name, value in state.items()
        if name.startswith(_PREFIX)
    }
    ours = classifier.recurrent.state_dict()
    for name in [*theirs, *(name for name in ours if name not in theirs)]:
        here, there = _shape(ours, name), _shape(theirs, name)
        if here != there:
            raise UserError(
                f"The recurrent layers of {checkpoint} do not fit this network: {name} is {there} "
                f"there and {here} here. Choose another experiment with pretraining=EXPERIMENT"
            )
    classifier.recurrent.load_state_dict(theirs)


def _shape(state: dict[str, Tensor], name: str) -> str:
    return " × ".join(map(str, state[name].shape)) if name in state else "absent"
