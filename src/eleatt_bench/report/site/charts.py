"""Charts of runs, as Plotly's specifications; a browser draws them when a page is opened.

``meta.colour`` of a trace is its place in the palette of ``assets/site.js``, which gives every
chart the colours of the page, light or dark.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from eleatt_bench.runs.curves import Curve

Json = dict[str, Any]
_DASHES = ("solid", "dash", "dot", "dashdot")
_FEW = 20  # classes: with more there is no room for numbers in the squares


class Chart(NamedTuple):
    """A chart, with ``notes`` below it.

    ``says`` describes it to those who do not see it; they can unfold its numbers, too.
    """

    title: str
    says: str
    data: list[Json]
    layout: Json
    notes: tuple[str, ...] = ()


def curves(logged: Mapping[str, Curve], epoch: int | None) -> list[Chart]:
    """What a run logged, epoch by epoch; the epoch whose weights were tested is marked."""
    groups: list[tuple[str, dict[str, str], float, bool]] = [
        ("Loss", {"training": "train/loss", "validation": "val/loss"}, 1, True),
        ("Accuracy (%)", {"training": "train/accuracy", "validation": "val/accuracy"}, 100, False),
        ("Learning rate", {"": "lr"}, 1, True),
        ("Norm of the gradients", {"": "optimizer/grad_norm"}, 1, True),
        ("Mean of the gate, 0 to 1", _layers(logged, "gate/mean_"), 1, False),
        ("Nearly closed elements of the gate (%)", _layers(logged, "gate/closed_"), 100, False),
    ]
    found = []
    for title, lines, scale, is_log in groups:
        data = [
            line(name, tag, logged[tag], scale, place)
            for place, (name, tag) in enumerate(lines.items())
            if logged.get(tag)
        ]
        if data:
            says = f"{title} by epoch, {len(data)} line{'s' * (len(data) > 1)}"
            found.append(Chart(title, says, data, by_epoch(is_log, epoch, len(data) > 1)))
    return found


def _layers(logged: Mapping[str, Curve], prefix: str) -> dict[str, str]:
    tags = [tag for tag in sorted(logged) if tag.startswith(prefix)]
    return {tag.removeprefix(prefix).replace("_", " "): tag for tag in tags}


def line(name: str, tag: str, curve: Curve, scale: float, place: int) -> Json:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name or tag.rpartition("/")[2],
        **epochs_of(list(curve)),
        "y": [short(scale * value) for value in curve.values()],
        "line": {"dash": _DASHES[place % len(_DASHES)], "width": 2},
        "meta": {"colour": place},
    }


def epochs_of(epochs: Sequence[int]) -> Json:
    if epochs == list(range(1, len(epochs) + 1)):
        return {"x0": 1, "dx": 1}
    return {"x": list(epochs)}


def by_epoch(is_log: bool, epoch: int | None, legend: bool) -> Json:
    layout: Json = {
        "height": 260,
        "showlegend": legend,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "hovermode": "x",
        "margin": {"l": 56, "r": 12, "t": 30, "b": 44},
        "xaxis": {"title": {"text": "epoch"}, "rangemode": "tozero"},
        "yaxis": {"type": "log" if is_log else "linear", "exponentformat": "power"},
    }
    if epoch is not None:
        layout["shapes"] = [
            {"type": "line", "x0": epoch, "x1": epoch, "y0": 0, "y1": 1, "yref": "paper",
             "line": {"width": 1, "dash": "dot"}}
        ]  # fmt: skip
    return layout


def confusion(counts: npt.NDArray[np.int64], names: Sequence[str]) -> Chart:
    """A confusion matrix (actual, predicted): shares of the row in %, counts where they fit."""
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    trace: Json = {
        "type": "heatmap",
        "x": list(names),
        "y": list(names),
        "z": np.round(shares).astype(int).tolist(),
        "zmin": 0,
        "zmax": 100,
        "xgap": 1,
        "ygap": 1,
        "hovertemplate": "%{y}, taken for %{x}: %{z} %<extra></extra>",
        "colorbar": {"title": {"text": "% of row"}, "thickness": 12},
        "meta": {"scale": True},
    }
    if len(names) <= _FEW:
        trace["text"] = [[str(n) if n else "" for n in row] for row in counts.tolist()]
        trace["texttemplate"] = "%{text}"
    side = max(320, min(900, 130 + 34 * len(names)))
    layout = {
        "height": side,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "xaxis": _classes("predicted") | {"tickangle": -90},
        "yaxis": _classes("actual") | {"autorange": "reversed"},
    }
    says = f"Confusion matrix of {len(names)} classes; its numbers can be unfolded"
    return Chart("Confusion matrix", says, [trace], layout)


def _classes(title: str) -> Json:
    title_of: Json = {"text": title, "standoff": 12}
    return {"title": title_of, "automargin": True, "type": "category", "dtick": 1}


def short(value: float | None) -> float | None:
    """``value`` to four digits, more than is seen.

    None if it is not finite, since JSON has no word for that.
    """
    return None if value is None or not math.isfinite(value) else float(f"{value:.4g}")
