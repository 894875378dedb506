"""The stack of recurrent layers behind `EleAttRNN`, `EleAttLSTM` and `EleAttGRU`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from eleatt_bench.nn.backends import FUNCTIONS, backend_of, check_backend, resolve_backend
from eleatt_bench.nn.call_checks import (
    Drop,
    Hidden,
    check_weight,
    checked_drop,
    checked_states,
    in_one_dtype,
)
from eleatt_bench.nn.checks import (
    check_dropout,
    check_dtype,
    check_flags,
    check_gate,
    check_sizes,
    checked_gated_layers,
    own_parameters,
)
from eleatt_bench.nn.contract import BLOCKS, Cell, Gate, Kind, State, Weights
from eleatt_bench.nn.init import init_cell, init_gate
from eleatt_bench.nn.packing import Padded, pad

Sequences = Tensor | PackedSequence
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
        check_flags(bias=bias, batch_first=batch_first, bidirectional=bidirectional)
        check_flags(reset_after=self.reset_after)
        check_dropout(dropout, num_layers)
        check_dtype(dtype)
        check_backend(backend)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self._drop: Drop | None = None
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
        - biases: zero, except ``forget_bias`` for the forget gate of an LSTM;
        - ``chrono_steps``: how many steps the cell should be able to remember; sets the biases of
          the gates that keep the state (f and i in an LSTM, z in a GRU) after Tallec & Ollivier
          2018.

        Raises ValueError if ``chrono_steps`` is below 2 or given for an RNN or without biases, and
        if a weight is parametrized, weight-normed or pruned.
        """
        each = list(itertools.product(range(self.num_layers), range(self._directions)))
        names = {name for one in each for name in self._parameter_names(*one).values()}
        absent = {name for name, parameter in self._parameters.items() if parameter is None}
        own_parameters(self, names - absent, "drawn anew")
        every = [self._weights(*one) for one in each]
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

    def drop_by(self, drop: Drop) -> None:
        """Let ``drop`` decide which elements are dropped between layers, instead of ``dropout``.

        It is called with the output of a layer (T, B, N × directions) and the number of that layer,
        counted from 0.
        """
        del self._drop  # torch would not let a function take the place of a module
        self._drop = drop

    def _dropped(self, frames: Tensor, layer: int) -> Tensor:
        if self._drop is not None:
            return checked_drop(self._drop, frames, layer)
        return F.dropout(frames, self.dropout, self.training) if self.dropout > 0 else frames

    def forward(
        self,
        input: Sequences,  # noqa: A002  (torch's name for it)
        hx: Hidden | list[Tensor] | None = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        return_attention: bool = False,
    ) -> tuple[Sequences, Hidden] | tuple[Sequences, Hidden, Attention]:
        """Run the layers; shapes, options and errors are described at the class `EleAttGRU`."""
        run = self._run if torch.compiler.is_exporting() else self._run_eagerly
        return run(input, hx, lengths, return_attention)

    def _run(
        self,
        input: Sequences,  # noqa: A002
        hx: Hidden | list[Tensor] | None,
        lengths: Tensor | Sequence[int] | None,
        return_attention: bool,
    ) -> tuple[Sequences, Hidden] | tuple[Sequences, Hidden, Attention]:
        # Read once per call: a parametrization computes a weight anew whenever it is read.
        weights = self._checked_weights()
        like = weights[0][0].weight_ih
        given = input.data if isinstance(input, PackedSequence) else input
        states = hx if isinstance(hx, tuple | list) else (hx,)
        each = (w for row in weights for one in row for w in one)
        backend = resolve_backend(
            self.backend, like.device, like.dtype, (given, lengths, *states, *each)
        )
        batch = pad(
            input,
            lengths,
            input_size=self.input_size,
            batch_first=self.batch_first,
            dtype=like.dtype,
            device=like.device,
            zeroed=backend != "native",  # native never reads the padding, nor gives it a gradient
        )
        initial = self._initial(batch, hx, like)
        run = FUNCTIONS[backend]
        frames = batch.frames
        finals: list[State] = []
        attention: Attention = []
        for layer in range(self.num_layers):
            if layer > 0:
                frames = self._dropped(frames, layer - 1)
            outputs = []
            for direction in range(self._directions):
                output, state, a = run(
                    self._cell(layer),
                    weights[layer][direction],
                    frames,
                    batch.lengths,
                    tuple(h[layer * self._directions + direction] for h in initial),
                    reverse=direction == 1,
                    return_attention=return_attention,
                )
                outputs.append(output)
                finals.append(state)
                attention.append(None if a is None else batch.as_given(a.to(like.dtype)))
            frames = torch.cat(outputs, dim=2) if self.bidirectional else outputs[0]
        final = [batch.give_state(torch.stack(rows)) for rows in zip(*finals, strict=True)]
        hidden: Hidden = (final[0], final[1]) if self.kind == "lstm" else final[0]
        output_as_given = batch.as_given(frames)
        if return_attention:
            return output_as_given, hidden, attention
        return output_as_given, hidden

    # torch.compile would unroll the loop over time, anew for every length. An exported graph needs
    # the unrolled loop, so exporting takes `_run`.
    _run_eagerly = torch.compiler.disable(_run, reason="recurrent layers run eagerly")  # type: ignore[no-untyped-call]

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

    def _cell(self, layer: int) -> Cell:
        check_gate(self.gate)  # at every call, like the backend: it is an attribute
        gate = self.gate if layer in self.gated_layers else None
        return Cell(self.kind, gate, self.reset_after)

    def _parameter_names(self, layer: int, direction: int) -> dict[str, str]:
        """The name of the parameter behind each field of `Weights`, in torch's order."""
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
        shapes = self._shapes(layer)
        for field, name in self._parameter_names(layer, direction).items():
            value = None
            if field in shapes:
                value = nn.Parameter(torch.empty(shapes[field], device=device, dtype=dtype))
            self.register_parameter(name, value)

    def _shapes(self, layer: int) -> dict[str, tuple[int, ...]]:
        """The fields of `Weights` that ``layer`` has, and their shapes."""
        N = self.hidden_size
        D = self.input_size if layer == 0 else N * self._directions
        rows = len(BLOCKS[self.kind]) * N
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, D), "weight_hh": (rows, N)}
        if self.bias:
            shapes["bias"] = (rows,)
        if self.bias and self.reset_after:
            shapes["bias_hh"] = (rows,)
        if self._cell(layer).gate:
            shapes["weight_ia"] = (D, D)
            shapes["weight_ha"] = (D, N)
            if self.bias:
                shapes["bias_a"] = (D,)
        return shapes

    def backend_on(self, device: torch.device) -> str:
        """The backends that run these layers on ``device``, separated by commas.

        It is one, or ``triton, scan`` if some layers are too large for the kernels of ``triton``.
        """
        weights = [one for of_layer in self._checked_weights() for one in of_layer]
        name = resolve_backend(self.backend, device, weights[0].weight_ih.dtype)
        return ", ".join(
            dict.fromkeys(sorted((backend_of(name, w) for w in weights), reverse=True))
        )

    def _weights(self, layer: int, direction: int) -> Weights:
        # Looked up by name at every call, so that parametrizations and functional_call apply.
        names = self._parameter_names(layer, direction)
        return Weights(**{field: getattr(self, name) for field, name in names.items()})

    def _checked_weights(self) -> list[list[Weights]]:
        """The weights of each layer and direction, with the dtype and device of ``weight_ih_l0``.

        `functional_call` and parametrizations can put anything in the place of a parameter, and a
        compiled backend would read beyond its end.
        """
        every = in_one_dtype(
            [
                [self._weights(layer, direction) for direction in range(self._directions)]
                for layer in range(self.num_layers)
            ]
        )
        like = every[0][0].weight_ih
        for layer, row in enumerate(every):
            shapes = self._shapes(layer)
            for direction, weights in enumerate(row):
                names = self._parameter_names(layer, direction)
                for field, value in zip(Weights._fields, weights, strict=True):
                    check_weight(names[field], value, shapes.get(field), like)
        return every

    def _initial(self, batch: Padded, hx: Hidden | list[Tensor] | None, like: Tensor) -> State:
        """The checked ``hx``, or zeros, in the order of ``batch.frames`` and dtype of ``like``."""
        rows, count = self.num_layers * self._directions, 2 if self.kind == "lstm" else 1
        shape: tuple[int, ...] = (rows, batch.frames.shape[1], self.hidden_size)
        if hx is None:
            return (torch.zeros(shape, dtype=like.dtype, device=like.device),) * count
        if not batch.batched:
            shape = (rows, self.hidden_size)
        return tuple(batch.take_state(state) for state in checked_states(hx, count, shape, like))
