"""Pictures of sequences, read back."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.sources import hand, ntu, nucla
from eleatt_bench.report.canvas import new_figure, save
from eleatt_bench.report.filmstrip import BODY_COLOURS, bodies_of, draw_sequence, filmstrip


def walk(joints: int, frames: int = 20) -> np.ndarray:
    """Any movement: (frames, joints · 3)."""
    random = np.random.default_rng()
    start, velocity = random.normal(size=(2, joints, 3))
    steps = np.linspace(0, 1, frames)[:, None, None]
    return (start + steps * velocity).reshape(frames, -1).astype(np.float32)


@pytest.mark.parametrize(
    ("layout", "sizes"),
    [(nucla.LAYOUT, [20]), (hand.LAYOUT, [22]), (ntu.LAYOUT, [25, 25])],
    ids=["nucla", "hand", "ntu"],
)
def test_bodies_are_what_bones_connect(layout, sizes: list[int]) -> None:
    bodies = bodies_of(len(layout["joints"]), layout["bones"])
    assert np.bincount(bodies).tolist() == sizes
    assert (np.diff(bodies) >= 0).all()


def test_two_bodies_in_two_colours_and_the_absent_not_at_all() -> None:
    frames = walk(50)
    frames[10:, 75:] = 0  # the second actor leaves
    strip = filmstrip(frames, ntu.LAYOUT, "two", shown=2)
    first, last = strip.axes
    assert {line.get_color() for line in first.lines} == set(BODY_COLOURS)
    assert {line.get_color() for line in last.lines} == {BODY_COLOURS[0]}
    assert len(last.lines) == len(ntu.LAYOUT["bones"]) // 2
    assert sum(len(dots.get_offsets()) for dots in last.collections) == 25
    assert first.get_xlim() == last.get_xlim()


def test_joints_are_where_they_are_and_as_large_as_asked() -> None:
    frames, sizes = walk(20, 1), np.arange(20, dtype=np.float32)[None]
    (axes,) = filmstrip(frames, nucla.LAYOUT, "one frame", sizes=sizes).axes
    (dots,) = axes.collections
    np.testing.assert_allclose(dots.get_offsets(), frames.reshape(20, 3)[:, :2], rtol=1e-6)
    np.testing.assert_allclose(dots.get_sizes(), (2 * sizes[0]) ** 2)


@pytest.mark.parametrize(
    ("frames", "layout"),
    [
        (walk(20), nucla.LAYOUT),
        (np.zeros((3, 60), np.float32), nucla.LAYOUT),  # nobody there
        (walk(22, 1), hand.LAYOUT),
        (np.eye(8, dtype=np.float32), {"kind": "image", "height": 8, "width": 8}),
        (np.ones((5, 300), np.float32), {"kind": "features"}),
    ],
    ids=["skeleton", "nobody", "one frame", "image", "features"],
)
@pytest.mark.parametrize("form", ["png", "pdf", "svg"])
@pytest.mark.few(1)
def test_every_kind_is_drawn_in_every_format(tmp_path: Path, frames, layout, form: str) -> None:
    path = tmp_path / f"picture.{form}"
    save(draw_sequence(frames, layout, "a title"), path)
    assert [path] == list(tmp_path.iterdir())
    if form == "png":
        pixels = matplotlib.image.imread(path)
        assert pixels.std() > 0.01
    else:
        head = {"pdf": b"%PDF", "svg": b"<?xml"}[form]
        assert path.read_bytes().startswith(head)


def test_a_link_leads_to_the_new_picture(tmp_path: Path) -> None:
    link = tmp_path / "link.png"
    link.symlink_to("picture.png")
    save(new_figure(1, 1), link)
    assert link.is_symlink()
    assert (tmp_path / "picture.png").is_file()


def test_another_format_and_no_matplotlib(tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(UserError, match=r"ends in one of \.png, \.pdf, \.svg"):
        save(new_figure(1, 1), tmp_path / "picture.bmp")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match=r"pip install 'eleatt-bench\[figures\]'"):
        new_figure(1, 1)
