"""Videos that the tests encode: decoded exactly where the codec is exact, refused where broken."""

from __future__ import annotations

import io
import sys

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.rgb import video
from eleatt_bench.data.rgb.video import BrokenVideoError, decode

PICTURES = np.random.default_rng(0).integers(0, 256, (6, 24, 40, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def whole(encoded) -> bytes:
    return encoded(PICTURES)


def refused(content: bytes, says: str) -> None:
    with pytest.raises(BrokenVideoError, match=says) as caught:
        list(decode(content))
    assert str(caught.value).isprintable()


def test_a_lossless_video_gives_its_pictures(whole: bytes) -> None:
    found = list(decode(whole))
    assert [picture.dtype for picture in found] == [np.uint8] * 6
    np.testing.assert_array_equal(np.stack(found), PICTURES)


@pytest.mark.parametrize(("codec", "pixels"), [("mpeg4", "yuv420p"), ("mjpeg", "yuvj420p")])
def test_colours_are_red_green_blue(encoded, codec: str, pixels: str) -> None:
    colours = np.array([[200, 40, 60], [30, 180, 70], [50, 60, 210]], dtype=np.uint8)
    pictures = np.broadcast_to(colours[:, None, None], (3, 32, 48, 3)).copy()
    found = np.stack(list(decode(encoded(pictures, codec, pixels))))
    assert found.shape == pictures.shape
    assert np.abs(found.astype(int) - pictures).max() < 12


def test_no_frames(encoded) -> None:
    refused(encoded(PICTURES[:0]), "^has no frames$")


def test_no_video() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="avi") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    refused(file.getvalue(), "^has no video in it$")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "^is empty$"),
        (b"just some text\n", "^is not an AVI file$"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "^is not an AVI file$"),
        (b"RIFF\x04\x00\x00\x00WAVE", "^is not an AVI file$"),
        (b"RIFF\x04\x00\x00\x00AVI ", "^cannot be decoded at frame 0 .Invalid data found"),
    ],
)
def test_not_a_video(content: bytes, says: str) -> None:
    refused(content, says)


@given(at=st.floats(0, 1))
@settings(deadline=None)
def test_a_cut_file_is_always_noticed(whole: bytes, at: float) -> None:
    refused(whole[: int(at * (len(whole) - 2))], "is cut short|is empty|is not an AVI file")


def test_a_cut_that_hides_its_length_is_noticed(encoded) -> None:
    content = encoded(PICTURES, "mjpeg", "yuvj420p")
    movie = content.index(b"movi")
    cut = bytearray(content[: movie + (len(content) - movie) // 3])
    cut[4:8] = (len(cut) - 8).to_bytes(4, "little")
    refused(bytes(cut), "has [12] frames where it says 6")


def test_a_frame_that_the_decoder_marks_is_noticed(encoded) -> None:
    content = bytearray(encoded(PICTURES, "mpeg4", "yuv420p"))
    middle = (content.index(b"movi") + len(content)) // 2
    content[middle : middle + 300] = bytes(300)
    refused(bytes(content), "is damaged at frame [1-5]")


def test_absurd_sizes(encoded, whole: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    long = encoded(np.zeros((1025, 16, 16, 3), dtype=np.uint8), "mpeg4", "yuv420p")
    refused(long, "has more than 1,024 frames")
    monkeypatch.setattr(video, "_MOST_PIXELS", 24 * 40 - 1)
    refused(whole, "has frames of 40 × 24 pixels")


@given(data=st.data())
@settings(deadline=None)
def test_damage_gives_frames_or_words(whole: bytes, damaged, data) -> None:
    content = data.draw(damaged(whole))
    try:
        found = list(decode(content))
    except BrokenVideoError as error:
        if not str(error).isprintable():
            raise
    else:
        assert {picture.ndim for picture in found} == {3}
        assert 3 <= len(found) <= 7


def test_without_pyav(whole: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match=r"pip install 'eleatt-bench\[rgb\]'$"):
        list(decode(whole))
