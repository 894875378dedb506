"""One sequence as a picture: a strip of skeletons, an image, or a heat map of features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from eleatt_bench.report.canvas import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = npt.NDArray[np.float32]
BODY_COLOURS = ("#1b6ca8", "#d9822b")  # told apart in grey as well
SIZE_COLOUR = "#c4303a"  # of circles whose size says something
_INCHES = 1.5  # the width of a skeleton


def draw_sequence(frames: Array, layout: Mapping[str, Any], title: str) -> Figure:
    """A picture of ``frames`` (T, D), of the kind in ``layout`` (see `eleatt_bench.data.store`)."""
    draw = {"skeleton": filmstrip, "image": image}.get(layout["kind"], heat_map)
    return draw(frames, layout, title)


def filmstrip(
    frames: Array,
    layout: Mapping[str, Any],
    title: str,
    *,
    shown: int = 8,
    sizes: Array | None = None,
) -> Figure:
    """``shown`` frames of a skeleton side by side, seen from the camera, all at one scale.

    ``frames`` (T, D) hold x, y, z of each joint. ``sizes`` (T, J) are the radii of the joints'
    circles, in points; without them all are small. A joint at (0, 0, 0) is not there.
    """
    poses = frames.reshape(len(frames), -1, 3)
    steps = np.unique(np.linspace(0, len(frames) - 1, shown).round().astype(int))
    left, right, bottom, top = frame_limits(poses[steps])
    figure = new_figure(
        _INCHES * len(steps),
        _INCHES * float(np.clip((top - bottom) / (right - left), 0.6, 3)) + 0.8,
    )
    figure.suptitle(title, fontsize=10)
    bodies = bodies_of(poses.shape[1], layout["bones"])
    for axes, step in zip(figure.subplots(1, len(steps), squeeze=False)[0], steps, strict=True):
        draw_pose(
            axes, poses[step], layout["bones"], bodies, None if sizes is None else sizes[step]
        )
        axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
        axes.set_xlabel(f"frame {step + 1}", fontsize=8)
        axes.set(xticks=[], yticks=[])
        for side in axes.spines.values():
            side.set_visible(False)
    return figure


def draw_pose(
    axes: Axes,
    pose: Array,
    bones: list[list[int]],
    bodies: npt.NDArray[np.int64],
    sizes: Array | None = None,
) -> None:
    """The joints and bones of ``pose`` (J, 3), each body in a colour of its own."""
    there = np.asarray(pose.any(axis=1))
    for a, b in bones:
        if there[a] and there[b]:
            colour = BODY_COLOURS[bodies[a] % len(BODY_COLOURS)]
            axes.plot(pose[[a, b], 0], pose[[a, b], 1], color=colour, linewidth=1.3, zorder=1)
    radii = np.full(len(pose), 1.4) if sizes is None else sizes
    for body in np.unique(bodies):
        joints = there & (bodies == body)
        axes.scatter(
            pose[joints, 0],
            pose[joints, 1],
            s=(2 * radii[joints]) ** 2,
            color=BODY_COLOURS[body % len(BODY_COLOURS)] if sizes is None else SIZE_COLOUR,
            linewidths=0,
            alpha=1.0 if sizes is None else 0.5,
            zorder=2,
        )


def bodies_of(joints: int, bones: list[list[int]]) -> npt.NDArray[np.int64]:
    """The number of each joint's body, from 0 on: (J,). Bones connect the joints of a body."""
    body = np.arange(joints)
    for a, b in bones:
        body[body == body[b]] = body[a]
    numbers: npt.NDArray[np.int64] = np.unique(body, return_inverse=True)[1].astype(np.int64)
    return numbers


def image(frames: Array, layout: Mapping[str, Any], title: str) -> Figure:
    """The image whose rows are ``frames``, dark on light."""
    figure = new_figure(3, 3.3)
    figure.suptitle(title, fontsize=10)
    axes = figure.add_subplot()
    axes.imshow(frames, cmap="gray_r")
    axes.set(xticks=[0, layout["width"] - 1], yticks=[0, layout["height"] - 1])
    axes.tick_params(labelsize=8)
    axes.set_ylabel("row = step", fontsize=8)
    return figure


def heat_map(frames: Array, layout: Mapping[str, Any], title: str) -> Figure:
    """The numbers of ``frames`` (T, D), a column per frame."""
    figure = new_figure(6, 3)
    figure.suptitle(title, fontsize=10)
    axes = figure.add_subplot()
    picture = axes.imshow(frames.T, aspect="auto", interpolation="nearest", cmap="viridis")
    axes.set_xlabel("frame", fontsize=8)
    axes.set_ylabel("feature", fontsize=8)
    axes.tick_params(labelsize=8)
    figure.colorbar(picture, ax=axes)
    return figure


def frame_limits(poses: Array) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of every joint that is there, with a margin."""
    joints = poses[poses.any(axis=2)]
    if not len(joints):
        return -1.0, 1.0, -1.0, 1.0
    low, high = joints[:, :2].min(axis=0), joints[:, :2].max(axis=0)
    margin = 0.06 * float((high - low).max()) or 1.0
    return tuple(map(float, (low[0] - margin, high[0] + margin, low[1] - margin, high[1] + margin)))  # type: ignore[return-value]
