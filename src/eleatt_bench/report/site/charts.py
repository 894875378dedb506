"""Charts of the site, as Plotly's specifications; a browser draws them when a page is opened.

``meta.colour`` of a trace is its place in the palette of ``assets/site.js``, which gives every
chart the colours of the page, light or dark.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from eleatt_bench.report.losses import LOSSES, Panels, band
from eleatt_bench.runs.curves import Curve
from eleatt_bench.tables.table import Row, Table

Json = dict[str, Any]
_DASHES = ("solid", "dash", "dot", "dashdot")
_FEW = 20  # classes: as many have room for numbers in their squares


class Chart(NamedTuple):
    """``says`` is for those who do not see it, beside the numbers that can be unfolded."""

    title: str
    says: str
    data: list[Json]
    layout: Json


def curves(logged: Mapping[str, Curve], best_epoch: int | None) -> list[Chart]:
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
            _line(name, tag, logged[tag], scale, place)
            for place, (name, tag) in enumerate(lines.items())
            if logged.get(tag)
        ]
        if data:
            says = f"{title} by epoch, {len(data)} line{'s' * (len(data) > 1)}"
            found.append(Chart(title, says, data, _by_epoch(is_log, best_epoch, len(data) > 1)))
    return found


def _layers(logged: Mapping[str, Curve], prefix: str) -> dict[str, str]:
    tags = [tag for tag in sorted(logged) if tag.startswith(prefix)]
    return {tag.removeprefix(prefix).replace("_", " "): tag for tag in tags}


def _line(name: str, tag: str, curve: Curve, scale: float, place: int) -> Json:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name or tag.rpartition("/")[2],
        **_epochs(list(curve)),
        "y": [_short(scale * value) for value in curve.values()],
        "line": {"dash": _DASHES[place % len(_DASHES)], "width": 2},
        "meta": {"colour": place},
    }


def _epochs(epochs: Sequence[int]) -> Json:
    if epochs == list(range(1, len(epochs) + 1)):
        return {"x0": 1, "dx": 1}
    return {"x": list(epochs)}


def _by_epoch(is_log: bool, best_epoch: int | None, legend: bool) -> Json:
    layout: Json = {
        "height": 260,
        "showlegend": legend,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "hovermode": "x",
        "margin": {"l": 56, "r": 12, "t": 30, "b": 44},
        "xaxis": {"title": {"text": "epoch"}, "rangemode": "tozero"},
        "yaxis": {"type": "log" if is_log else "linear", "exponentformat": "power"},
    }
    if best_epoch is not None:
        layout["shapes"] = [
            {"type": "line", "x0": best_epoch, "x1": best_epoch, "y0": 0, "y1": 1, "yref": "paper",
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
    says = f"Confusion matrix of {len(names)} classes; the table of classes below says the same"
    return Chart("Confusion matrix", says, [trace], layout)


def _classes(title: str) -> Json:
    title_of: Json = {"text": title, "standoff": 12}
    return {"title": title_of, "automargin": True, "type": "category", "dtick": 1}


def bars(table: Table, title: str, rows: Sequence[Row]) -> Chart:
    """The paper's Figure 2: means of some rows, column beside column, with seeds and the paper."""
    data: list[Json] = []
    layout: Json = {
        "height": 110 + 44 * len(rows),
        "margin": {"l": 8, "r": 12, "t": 34, "b": 8},
        "grid": {"rows": 1, "columns": len(table.columns), "pattern": "coupled", "xgap": 0.06},
        "showlegend": True,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "yaxis": {"autorange": "reversed", "automargin": True, "type": "category"},
    }
    for place, column in enumerate(table.columns):
        axis = str(place + 1) if place else ""
        layout[f"xaxis{axis}"] = {"range": [0, 100], "automargin": True,
                                  "title": {"text": f"{column.name}, accuracy (%)"}}  # fmt: skip
        data += _bars(rows, place, f"x{axis}")
    says = f"Mean accuracies of {len(rows)} rows as bars; the table above says the same"
    return Chart(title, says, data, layout)


def _bars(rows: Sequence[Row], place: int, axis: str) -> list[Json]:
    cells = {row.name: row.cells[place] for row in rows}
    names = list(cells)
    seeds = [(name, value) for name in names for value in cells[name].values]
    papers = [(name, cell.paper) for name, cell in cells.items() if cell.paper is not None]
    common = {"xaxis": axis, "showlegend": place == 0}
    mean: Json = {
        "type": "bar", "orientation": "h", "name": "mean ± s over seeds", "y": names,
        "x": [_short(cell.mean) for cell in cells.values()],
        "error_x": {"array": [_short(cell.std) for cell in cells.values()], "thickness": 1.2},
        "hovertemplate": "%{y}: %{x:.1f} %<extra>mean</extra>",
        "legendgroup": "mean", "meta": {"colour": 0, "pale": True}, **common,
    }  # fmt: skip
    return [
        mean,
        _marks("a seed", seeds, {"symbol": "circle", "size": 5}, None) | common,
        _marks("the paper", papers, {"symbol": "diamond-open", "size": 10}, 1) | common,
    ]


def _marks(name: str, points: Sequence[tuple[str, Any]], marker: Json, colour: int | None) -> Json:
    return {
        "type": "scatter", "mode": "markers", "name": name, "legendgroup": name,
        "y": [y for y, _ in points], "x": [_short(x) for _, x in points],
        "marker": marker,
        "hovertemplate": f"%{{y}}: %{{x:.1f}} %<extra>{name}</extra>",
        "meta": {"colour": colour},
    }  # fmt: skip


def losses(panels: Panels) -> list[Chart]:
    """The paper's Figure 4: a row's mean loss and ± s over its runs, by epoch."""
    return [
        Chart(
            _capitalised(", ".join(filter(None, (panel, name)))),
            f"Mean {name} by epoch of {len(rows)} rows, each with a band of one sample "
            "standard deviation",
            [trace for place, (row, of_row) in enumerate(rows.items())
             for trace in _band(row, of_row[tag], place)],
            _by_epoch(True, None, True) | {"height": 320},
        )
        for panel, rows in panels.items()
        for tag, name in LOSSES.items()
    ]  # fmt: skip


def _band(name: str, of_row: Sequence[Curve], place: int) -> list[Json]:
    found = band(of_row)
    line = _line(f"{name} (n={found.runs})", "", dict(zip(found.epochs, found.mean, strict=True)),
                 1, place)  # fmt: skip
    if found.runs < 2:
        return [line]
    edge = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "showlegend": False,
            "hoverinfo": "skip", "legendgroup": name, **_epochs(found.epochs)}  # fmt: skip
    low = {**edge, "y": [_short(value) for value in found.low], "meta": {"colour": place}}
    high = {**edge, "y": [_short(value) for value in found.high], "fill": "tonexty",
            "meta": {"colour": place}}  # fmt: skip
    return [low, high, {**line, "legendgroup": name}]


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _short(value: float | None) -> float | None:
    """Four digits: more than is seen. JSON has no word for what is not finite."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.4g}")
