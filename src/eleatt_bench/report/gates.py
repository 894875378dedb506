"""Pictures of a gate's attention: on the skeleton, on the image, as heat maps, by class."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from eleatt_bench.common.files import write_bytes
from eleatt_bench.report.canvas import new_figure
from eleatt_bench.report.filmstrip import bodies_of, draw_pose, frame_limits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = npt.NDArray[np.float32]
LARGEST = 9.0  # points: the radius of the most attended joint's circle
_NAMED = 80  # elements that a figure has room to name: every second one of more, and so on
_MILLISECONDS = 66  # a frame of an animation: two of the camera's


def sizes(attention: Sequence[Array]) -> list[Array]:
    """Radii of circles with areas in proportion to ``attention`` (T, J); the largest is fixed."""
    most = max(float(one.max()) for one in attention)
    return [LARGEST * np.sqrt(one / most) for one in attention]


def save_animation(
    frames: Array, layout: Mapping[str, Any], title: str, radii: Array, path: Path
) -> None:
    """Write the whole sequence as a GIF, or as MP4 where ``path`` ends in .mp4 (needs ffmpeg)."""
    from matplotlib.animation import FFMpegWriter, FuncAnimation, PillowWriter
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    poses = frames.reshape(len(frames), -1, 3)
    left, right, bottom, top = frame_limits(poses)
    bodies = bodies_of(poses.shape[1], layout["bones"])
    figure = new_figure(3.4, 4)
    figure.set_layout_engine("none")
    FigureCanvasAgg(figure)  # the writers take pictures of it
    figure.suptitle(title, fontsize=9)
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.88))

    def draw(step: int) -> list[Any]:
        axes.clear()
        draw_pose(axes, poses[step], layout["bones"], bodies, radii[step])
        axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
        axes.set_axis_off()
        return []

    film = FuncAnimation(figure, draw, frames=len(poses), interval=_MILLISECONDS)
    rate = 1000 // _MILLISECONDS
    writer = FFMpegWriter(fps=rate) if path.suffix == ".mp4" else PillowWriter(fps=rate)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / f"film{path.suffix}"  # the suffix sets the format
        film.save(made, writer=writer, dpi=100)
        write_bytes(path, made.read_bytes())


def heat_map(values: Array, names: Sequence[str] | None, title: str, steps: str) -> Figure:
    """A heat map of ``values`` (T, D): a row per element, or per joint if there are ``names``."""
    figure = new_figure(6, 3.2 if names is None else max(3.2, 0.17 * len(names) + 1))
    figure.suptitle(title, fontsize=10)
    axes = figure.add_subplot()
    _draw(figure, axes, values.T, of_joints=names is not None)
    axes.set_xlabel(steps, fontsize=8)
    axes.tick_params(labelsize=7)
    if names is None:
        axes.set_ylabel("element of the input", fontsize=8)
    else:
        axes.set_yticks(range(len(names)), names)
    return figure


def on_image(image: Array, values: Array, title: str) -> Figure:
    """An image beside the relative attention to each of its pixels, both (height, width)."""
    figure = new_figure(6, 3.2)
    figure.suptitle(title, fontsize=10)
    left, right = figure.subplots(1, 2)
    left.imshow(image, cmap="gray_r")
    _draw(figure, right, values, square=True)
    for axes in (left, right):
        axes.set(xticks=[], yticks=[])
    return figure


def by_class(
    means: Array, classes: Sequence[str], elements: Sequence[str], title: str, *, of_joints: bool
) -> Figure:
    """A heat map of ``means`` (classes, elements), the mean relative attention: a row per class."""
    step = -(-len(elements) // _NAMED)
    width = max(5.0, 0.26 * min(len(elements), _NAMED) + 2.6)
    figure = new_figure(width, max(2.6, 0.26 * len(classes) + 1.6))
    figure.suptitle(title, fontsize=10)
    axes = figure.add_subplot()
    _draw(figure, axes, means, of_joints=of_joints)
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xticks(range(0, len(elements), step), elements[::step], rotation=90)
    axes.tick_params(labelsize=7)
    return figure


def _draw(
    figure: Figure, axes: Axes, values: Array, *, of_joints: bool = False, square: bool = False
) -> None:
    """Draw ``values`` in colours that are white where attention is average, with a colour bar.

    A gate that has learned little differs from the average by hundredths, so the colours reach only
    as far as the values do. An element that is zero in all samples has no attention, and is grey.
    """
    average = 3.0 if of_joints else 1.0
    seen = values[values > 0]
    reach = float(np.abs(seen - average).max(initial=1e-3))
    axes.set_facecolor("0.8")
    picture = axes.imshow(
        np.where(values > 0, values, np.nan), aspect="equal" if square else "auto",
        interpolation="nearest", cmap="RdBu_r", vmin=average - reach, vmax=average + reach,
    )  # fmt: skip
    what = "x + y + z; 3 is average" if of_joints else "1 is average"
    figure.colorbar(picture, ax=axes).set_label(
        f"attention relative to its mean\nover these samples ({what})", fontsize=8
    )
