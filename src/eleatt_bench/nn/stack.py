"""The stack of recurrent layers behind `EleAttRNN`, `EleAttLSTM` and `EleAttGRU`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from eleatt_bench.nn.backends import backend_function, check_backend
from eleatt_bench.nn.contract import BLOCKS, Cell, Gate, Kind, State, Weights
from eleatt_bench.nn.init import init_cell, init_gate
from eleatt_bench.nn.options import check_dropout, check_sizes, checked_gated_layers, describe
from eleatt_bench.nn.packing import Padded, pad

Sequences = Tensor | PackedSequence
Hidden = Tensor | tuple[Tensor, Tensor]  # h, or (h, c) for the LSTM
Attention = list[Tensor | PackedSequence | None]


class Stack(nn.Module):
    """Layers and directions of one cell; documented at `eleatt_bench.nn.layers.EleAttGRU`."""

    kind: ClassVar[Kind]
    reset_after: bool = False

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        gate: Gate | None = "sigmoid",
        gated_layers: Sequence[int] | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        check_dropout(dropout, num_layers)
        check_backend(backend)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.gate = gate
        self.gated_layers = checked_gated_layers(gate, gated_layers, num_layers)
        self.backend = backend
        for layer in range(num_layers):
            for direction in range(self._directions):
                self._register(layer, direction, device, dtype)
        self.reset_parameters()

    def reset_parameters(
        self,
        *,
        recurrent_gain: float = 0.001,
        forget_bias: float = 1.0,
        chrono_steps: float | None = None,
    ) -> None:
        """Draw new initial values, by default those of the authors' public code.

        - input and gate matrices: glorot-uniform;
        - recurrent matrices: orthogonal, times ``recurrent_gain``;
        - biases: zero, but ``forget_bias`` for the forget gate of an LSTM;
        - ``chrono_steps``: how many steps the cell should be able to remember; sets the biases of
          the gates that keep the state (f and i in an LSTM, z in a GRU) after Tallec & Ollivier
          2018. ValueError below 2, for an RNN, or without biases.
        """
        every = [
            self._weights(layer, direction)
            for layer in range(self.num_layers)
            for direction in range(self._directions)
        ]
        # The gates come last: under one seed, plain and gated layers draw the same cells.
        for weights in every:
            init_cell(
                self.kind,
                weights,
                recurrent_gain=recurrent_gain,
                forget_bias=forget_bias,
                chrono_steps=chrono_steps,
            )
        for weights in every:
            init_gate(weights)

    def forward(
        self,
        input: Sequences,  # noqa: A002  (torch's name for it)
        hx: Hidden | None = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        return_attention: bool = False,
    ) -> tuple[Sequences, Hidden] | tuple[Sequences, Hidden, Attention]:
        """Run the layers; shapes, options and errors are described at the class `EleAttGRU`."""
        batch = pad(input, lengths, input_size=self.input_size, batch_first=self.batch_first)
        frames, dtype = self._in_own_dtype(batch.frames, "input"), self._dtype
        initial = self._initial(batch, hx)
        run = backend_function(self.backend, frames.device, self._dtype)
        states: list[State] = []
        attention: Attention = []
        for layer in range(self.num_layers):
            if layer > 0 and self.dropout > 0:
                frames = F.dropout(frames, self.dropout, self.training)
            outputs = []
            for direction in range(self._directions):
                output, state, response = run(
                    self._cell(layer),
                    self._weights(layer, direction),
                    frames,
                    batch.lengths,
                    tuple(h[layer * self._directions + direction] for h in initial),
                    reverse=direction == 1,
                    return_attention=return_attention,
                )
                outputs.append(output)
                states.append(state)
                attention.append(None if response is None else batch.as_given(response.to(dtype)))
            frames = torch.cat(outputs, dim=2) if self.bidirectional else outputs[0]
        final = [batch.give_state(torch.stack(rows)) for rows in zip(*states, strict=True)]
        hidden: Hidden = (final[0], final[1]) if self.kind == "lstm" else final[0]
        output_as_given = batch.as_given(frames)
        if return_attention:
            return output_as_given, hidden, attention
        return output_as_given, hidden

    def extra_repr(self) -> str:
        parts = [f"{self.input_size}, {self.hidden_size}"]
        for name, usual in (
            ("num_layers", 1),
            ("bias", True),
            ("batch_first", False),
            ("dropout", 0.0),
            ("bidirectional", False),
            ("reset_after", False),
        ):
            if getattr(self, name) != usual:
                parts.append(f"{name}={getattr(self, name)}")
        parts.append(f"gate={self.gate!r}")
        if self.gate is not None and len(self.gated_layers) < self.num_layers:
            parts.append(f"gated_layers={self.gated_layers}")
        if self.backend != "auto":
            parts.append(f"backend={self.backend!r}")
        return ", ".join(parts)

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def _dtype(self) -> torch.dtype:
        weight: Tensor = getattr(self, "weight_ih_l0")  # noqa: B009  (Module's own type is wider)
        return weight.dtype

    def _cell(self, layer: int) -> Cell:
        gate = self.gate if layer in self.gated_layers else None
        return Cell(self.kind, gate, self.reset_after)

    def _parameter_names(self, layer: int, direction: int) -> dict[str, str]:
        """The fields of `Weights` and the parameters that hold them, in torch's order."""
        suffix = f"_l{layer}" + ("_reverse" if direction else "")
        names = {field: field + suffix for field in Weights._fields}
        if self.reset_after:
            names["bias"] = "bias_ih" + suffix
        return names

    def _register(
        self,
        layer: int,
        direction: int,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        N = self.hidden_size
        D = self.input_size if layer == 0 else N * self._directions
        rows = len(BLOCKS[self.kind]) * N
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, D), "weight_hh": (rows, N)}
        if self.bias:
            shapes["bias"] = (rows,)
        if self.bias and self.reset_after:
            shapes["bias_hh"] = (rows,)
        if layer in self.gated_layers:
            shapes["weight_ia"] = (D, D)
            shapes["weight_ha"] = (D, N)
            if self.bias:
                shapes["bias_a"] = (D,)
        for field, name in self._parameter_names(layer, direction).items():
            value = None
            if field in shapes:
                value = nn.Parameter(torch.empty(shapes[field], device=device, dtype=dtype))
            self.register_parameter(name, value)

    def _weights(self, layer: int, direction: int) -> Weights:
        # Looked up by name at every call, so that parametrizations and functional_call apply.
        names = self._parameter_names(layer, direction)
        return Weights(**{field: getattr(self, name) for field, name in names.items()})

    def _initial(self, batch: Padded, hx: Hidden | None) -> State:
        """The checked ``hx`` in the order of ``batch.frames``, or zeros."""
        rows, count = self.num_layers * self._directions, 2 if self.kind == "lstm" else 1
        shape = (rows, batch.frames.shape[1], self.hidden_size)
        if hx is None:
            return (torch.zeros(shape, dtype=self._dtype, device=batch.frames.device),) * count
        given = hx if isinstance(hx, tuple) else (hx,)
        if isinstance(hx, tuple) != (count == 2) or len(given) != count:
            expected = "the pair (h_0, c_0)" if count == 2 else "the tensor h_0"
            raise TypeError(f"hx must be {expected}, got {describe(hx)}")
        if not batch.batched:
            shape = (rows, self.hidden_size)  # type: ignore[assignment]
        for name, state in zip(("h_0", "c_0"), given, strict=False):
            if not isinstance(state, Tensor):
                raise TypeError(f"{name} must be a Tensor, got {type(state).__name__}")
            if tuple(state.shape) != shape:
                raise ValueError(f"{name} must have shape {shape}, got {tuple(state.shape)}")
        return tuple(
            self._in_own_dtype(batch.take_state(state), name)
            for name, state in zip(("h_0", "c_0"), given, strict=False)
        )

    def _in_own_dtype(self, tensor: Tensor, name: str) -> Tensor:
        """``tensor``, which must have the parameters' dtype; under autocast it is converted."""
        if tensor.dtype == self._dtype:
            return tensor
        if not tensor.is_floating_point() or not torch.is_autocast_enabled(tensor.device.type):
            raise TypeError(f"{name} must be {self._dtype} like the parameters, got {tensor.dtype}")
        return tensor.to(self._dtype)
