"""Drawings for TensorBoard."""

from __future__ import annotations

import numpy as np
import pytest

from eleatt_bench.training.board.pictures import Panel, attention, confusion

DARK = (8, 48, 107)  # the end of matplotlib's "Blues"
YELLOW, VIOLET = (253, 231, 36), (68, 1, 84)  # the ends of "viridis"


def share(pixels: np.ndarray, colour: tuple[int, int, int]) -> float:
    near = np.abs(pixels.astype(int) - colour).max(axis=2) <= 2
    return float(near.mean())


def test_who_is_always_right_has_a_dark_diagonal() -> None:
    names = [f"class {i}" for i in range(10)]
    right = confusion(np.eye(10, dtype=np.int64) * 7, names, "All right")
    wrong = confusion(np.ones((10, 10), dtype=np.int64), names, "All the same")
    assert right.dtype == np.uint8
    assert right.shape[2] == 3
    assert share(right, DARK) > 0.015
    assert share(wrong, DARK) == 0


@pytest.mark.parametrize("classes", [2, 60])
def test_a_confusion_matrix_fits_a_page(classes: int) -> None:
    names = [f"the rather long name of class number {i}" for i in range(classes)]
    pixels = confusion(np.eye(classes, dtype=np.int64), names, "Many")
    assert max(pixels.shape) < 1000
    for edge in (pixels[:, 0], pixels[:, -1], pixels[0], pixels[-1]):
        assert (edge == 255).all(), "something is cut off"


@pytest.mark.parametrize(
    "panel",
    [
        Panel("one\nclass", np.ones((20, 40), np.float32), "frame", names=["a joint's name"] * 20),
        Panel("one\nclass", np.ones((148, 300), np.float32), "frame", names=["a joint"] * 148),
        Panel("one\nclass", np.ones((8, 8), np.float32), image=np.eye(8, dtype=np.float32)),
        Panel("one\nclass", np.ones((100, 7), np.float32), "frame", "output of layer 0"),
        Panel("one\nclass", np.ones((1, 1), np.float32), "step", "element of the input"),
    ],
)
@pytest.mark.few(2)
def test_an_open_gate_is_bright_and_a_closed_one_dark(panel: Panel) -> None:
    panels = [panel, panel._replace(values=panel.values * 0)]
    pixels = attention(panels, "Attention\nafter epoch 1", 1.0)
    assert max(pixels.shape) < 1000
    for colour in (YELLOW, VIOLET):
        assert share(pixels, colour) > 0.05
    for edge in (pixels[:, 0], pixels[:, -1], pixels[0], pixels[-1]):
        assert (edge == 255).all(), "something is cut off"


def test_without_a_highest_value_the_brightest_is_what_occurs() -> None:
    panel = Panel("one", np.linspace(0, 0.02, 100, dtype=np.float32).reshape(10, 10))
    assert share(attention([panel], "", None), YELLOW) > 0.001
    assert share(attention([panel], "", 1.0), YELLOW) < share(attention([panel], "", None), YELLOW)
