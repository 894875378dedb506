"""Samples as small pictures on a page: skeletons frame by frame, or the image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from eleatt_bench.report.filmstrip import Array, bodies_of, frame_limits
from eleatt_bench.report.site.charts import Chart, Json

_FRAMES = 6
_TALL = 300  # units: twice as many as there are pixels
_TONES = 99  # of an image: more are not told apart
_BARE: Json = {"visible": False, "fixedrange": True}


def picture(frames: Array, layout: Mapping[str, Any], title: str) -> Chart | None:
    """A picture of ``frames`` (T, D), of the kind in ``layout``; None for features of a network."""
    if layout["kind"] == "skeleton":
        return _skeleton(frames, layout, title)
    return _image(frames, title) if layout["kind"] == "image" else None


def _skeleton(frames: Array, layout: Mapping[str, Any], title: str) -> Chart:
    """Some frames side by side, seen from the camera, in whole units, `_TALL` of them in height."""
    poses = frames.reshape(len(frames), -1, 3)
    steps = np.unique(np.linspace(0, len(poses) - 1, _FRAMES).round().astype(int))
    left, right, bottom, top = frame_limits(poses[steps])
    scale = _TALL / (top - bottom)
    width = round(scale * (right - left))
    bodies = bodies_of(poses.shape[1], layout["bones"])
    points = np.rint(scale * (poses[steps, :, :2] - (left, bottom))).astype(int)
    points[:, :, 0] += width * np.arange(len(steps))[:, None]
    there = poses[steps].any(axis=2)
    traces: list[Json] = []
    for body in np.unique(bodies):
        own = [bone for bone in layout["bones"] if bodies[bone[0]] == body]
        x: list[int | None] = []
        y: list[int | None] = []
        for pose, seen in zip(points.tolist(), there, strict=True):
            for joint in _strokes([(a, b) for a, b in own if seen[a] and seen[b]]):
                x.append(None if joint is None else pose[joint][0])
                y.append(None if joint is None else pose[joint][1])
        if x:
            traces.append({"type": "scatter", "mode": "lines", "x": x, "y": y,
                           "line": {"width": 2}, "meta": {"colour": int(body) % 2}})  # fmt: skip
    drawn: Json = _without_axes() | {
        "height": 170,
        "xaxis": _BARE | {"range": [0, width * len(steps)]},
        "yaxis": _BARE | {"range": [0, _TALL], "scaleanchor": "x"},
        "annotations": [
            {"text": str(step + 1), "showarrow": False, "yref": "paper", "y": 0, "yanchor": "top",
             "x": width * (2 * place + 1) // 2}
            for place, step in enumerate(steps.tolist())
        ],
    }  # fmt: skip
    says = f"{title}: skeleton in frames {', '.join(str(s + 1) for s in steps)}"
    return Chart(title, says, traces, drawn)


def _strokes(bones: Sequence[tuple[int, int]]) -> Iterator[int | None]:
    """The joints of ``bones`` as one line, with None where the pen is lifted."""
    last: int | None = None
    for a, b in bones:
        if last == b:
            a, b = b, a
        if last != a:
            if last is not None:
                yield None
            yield a
        yield b
        last = b
    yield None


def _image(frames: Array, title: str) -> Chart:
    low, high = float(frames.min()), float(frames.max())
    tones = np.round(_TONES * (frames - low) / (high - low or 1.0)).astype(int)
    trace: Json = {"type": "heatmap", "z": tones.tolist(), "zmin": 0, "zmax": _TONES,
                   "showscale": False, "hoverinfo": "skip", "meta": {"ink": True}}  # fmt: skip
    layout = _without_axes() | {
        "height": 150,
        "xaxis": _BARE,
        "yaxis": _BARE | {"autorange": "reversed", "scaleanchor": "x"},
    }
    return Chart(title, f"{title}: the image", [trace], layout)


def _without_axes() -> Json:
    margin = {"l": 4, "r": 4, "t": 4, "b": 18}
    return {"showlegend": False, "hovermode": False, "margin": margin}
