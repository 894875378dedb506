"""From `torch.nn.RNN`, `LSTM` and `GRU` to the plain layers of this package, and back."""

from __future__ import annotations

from typing import Any, overload

import torch
from torch import nn

from eleatt_bench.nn.checks import own_parameters
from eleatt_bench.nn.layers import EleAttGRU, EleAttLSTM, EleAttRNN
from eleatt_bench.nn.stack import Stack

_ORIGINALS: dict[type[Stack], type[nn.RNN] | type[nn.LSTM] | type[nn.GRU]] = {
    EleAttRNN: nn.RNN,
    EleAttLSTM: nn.LSTM,
    EleAttGRU: nn.GRU,
}


@overload
def from_torch(module: nn.RNN) -> EleAttRNN: ...
@overload
def from_torch(module: nn.LSTM) -> EleAttLSTM: ...
@overload
def from_torch(module: nn.GRU) -> EleAttGRU: ...
def from_torch(module: nn.RNN | nn.LSTM | nn.GRU) -> Stack:
    """The layer without a gate that computes what ``module`` computes.

    `torch.nn.GRU` resets after the recurrent matrix and becomes ``EleAttGRU(reset_after=True)``.
    Sizes, options, dropout and training mode are carried over, and so are the values, dtype, device
    and ``requires_grad`` of the parameters; gradients and hooks are not. The parameters are copies;
    a parameter that was shared is copied for each of its names.

    torch's RNN and LSTM add two biases of shape (kN,) where the paper's equations have one. That
    one gets their sum, and is trainable if either was. (Training both moved the sum by two steps at
    a time.)

    Raises TypeError for all except the three modules (subclasses with a ``forward`` of their own
    included); ValueError for ``nonlinearity="relu"``, for ``proj_size`` > 0, and for parameters
    that are parametrized, weight-normed or pruned.
    """
    own = next((ours for ours, theirs in _ORIGINALS.items() if isinstance(module, theirs)), None)
    if own is None:
        takes = "from_torch takes a torch.nn.RNN, torch.nn.LSTM or torch.nn.GRU"
        raise TypeError(f"{takes}, got {type(module).__name__}")
    _check_forward(module, _ORIGINALS[own])
    if isinstance(module, nn.RNN) and module.nonlinearity != "tanh":
        raise ValueError(
            f"an RNN with nonlinearity={module.nonlinearity!r} cannot be converted, because "
            "EleAttRNN has the paper's tanh only: train it with nonlinearity='tanh'"
        )
    if module.proj_size > 0:
        raise ValueError(
            f"an LSTM with proj_size={module.proj_size} cannot be converted, because EleAttLSTM "
            "has no projection: train it with proj_size=0"
        )
    layer = _plain(own, module)
    sources = {name: _in_torch(name) for name, _ in layer.named_parameters()}
    needed = {source for names in sources.values() for source in names}
    given = own_parameters(module, needed, "converted")
    for name, names in sources.items():
        first, *others = (given[source] for source in names)
        value = sum((other.detach() for other in others), first.detach().clone())
        trainable = any(given[source].requires_grad for source in names)
        setattr(layer, name, nn.Parameter(value, trainable))
    layer.dropout = float(module.dropout)
    return layer.train(module.training)


@overload
def to_torch(layer: EleAttRNN) -> nn.RNN: ...
@overload
def to_torch(layer: EleAttLSTM) -> nn.LSTM: ...
@overload
def to_torch(layer: EleAttGRU) -> nn.GRU: ...
def to_torch(layer: Stack) -> nn.RNN | nn.LSTM | nn.GRU:
    """The module of torch that computes what ``layer`` computes; ``layer`` must have no gate.

    The inverse of `from_torch`, which carries over the same things. The one bias of an RNN or an
    LSTM becomes torch's ``bias_ih``; torch's ``bias_hh`` is zero and trainable if that bias was.
    (Training both moves the sum by two steps at a time: freeze ``bias_hh`` to train as before.)

    Raises TypeError for all except the three layers (subclasses with a ``forward`` of their own
    included); ValueError for a layer with a gate, for a GRU of the paper's form
    (``reset_after=False``), which is another function than torch's, and for parameters that are
    parametrized, weight-normed or pruned.
    """
    own = next((ours for ours in _ORIGINALS if isinstance(layer, ours)), None)
    if own is None:
        takes = "to_torch takes an EleAttRNN, EleAttLSTM or EleAttGRU"
        raise TypeError(f"{takes}, got {type(layer).__name__}")
    _check_forward(layer, own)
    original = _ORIGINALS[own]
    if layer.gated_layers:
        raise ValueError(
            f"an {own.__name__} with gate={layer.gate!r} cannot be converted, because "
            f"torch.nn.{original.__name__} has no attention gate: make the layer with gate=None"
        )
    if own is EleAttGRU and not layer.reset_after:
        raise ValueError(
            "an EleAttGRU with reset_after=False cannot be converted, because torch.nn.GRU resets "
            "after the recurrent matrix, which is another function: make the layer with "
            "reset_after=True"
        )
    module = original(**_options(layer))
    sources = {name: _in_torch(name) for name, _ in _plain(own, layer).named_parameters()}
    given = own_parameters(layer, set(sources), "converted")
    for source, names in sources.items():
        value, trainable = given[source].detach(), given[source].requires_grad
        setattr(module, names[0], nn.Parameter(value.clone(), trainable))
        for name in names[1:]:
            setattr(module, name, nn.Parameter(torch.zeros_like(value), trainable))
    module.dropout = layer.dropout
    module.flatten_parameters()  # cuDNN wants them in one piece of memory
    return module.train(layer.training)


def _plain(own: type[Stack], like: Stack | nn.RNNBase) -> Stack:
    """A layer of class ``own`` with the sizes and options of ``like``, no gate and no values."""
    form: dict[str, Any] = {"reset_after": True} if own is EleAttGRU else {}
    return own(**_options(like), gate=None, **form)


def _options(module: Stack | nn.RNNBase) -> dict[str, Any]:
    """The arguments that both constructors take, except the dropout.

    The dropout is set afterwards: if it does nothing, the constructor would warn a second time. On
    the meta device no initial values are drawn; the parameters are replaced afterwards.
    """
    names = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "bidirectional")
    found = {name: getattr(module, name) for name in names[:3]}
    return found | {name: bool(getattr(module, name)) for name in names[3:]} | {"device": "meta"}


def _in_torch(name: str) -> tuple[str, ...]:
    """torch's name for a parameter of a layer; two for the one bias of an RNN or an LSTM."""
    if name.startswith("bias_l"):
        return name.replace("bias", "bias_ih"), name.replace("bias", "bias_hh")
    return (name,)


def _check_forward(module: nn.Module, original: type[nn.Module]) -> None:
    """TypeError if a subclass of ``original`` has changed what is computed."""
    if type(module).forward is not original.forward:
        raise TypeError(
            f"{type(module).__name__} cannot be converted, because its forward is not that of "
            f"{original.__name__}: load its parameters into an {original.__name__} first"
        )
