"""Digests, against the same thing written down with hashlib alone."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
import pytest

from eleatt_bench.data.digests import ContentHash, sequence_digest

FRAMES = np.arange(10, dtype=np.float32).reshape(5, 2)
REST = {
    "frame_size": 2,
    "offsets": np.array([0, 3, 5]),
    "labels": np.array([1, 0]),
    "names": ("a", "bü"),
    "metadata": {"split": np.array([0, 1]), "camera": np.array([2, 3])},
}


def content(frames=FRAMES, **changes) -> str:
    hashed = ContentHash()
    hashed.frames(frames)
    return hashed.digest(**{**REST, **changes})


def test_content_digest_is_the_hash_of_the_arrays_alone() -> None:
    expected = hashlib.sha256(struct.pack("<10f", *range(10)) + b"frames:2")
    for key, column in (
        ("offsets", (0, 3, 5)),
        ("label", (1, 0)),
        ("metadata/camera", (2, 3)),
        ("metadata/split", (0, 1)),
    ):
        expected.update(f"{key}:{len(column)}".encode() + struct.pack(f"<{len(column)}q", *column))
    expected.update(b"name:1a" + b"name:3" + "bü".encode())
    assert content() == expected.hexdigest()


def test_content_digest_does_not_depend_on_pieces_or_byte_order() -> None:
    pieces = ContentHash()
    pieces.frames(FRAMES[:1])
    pieces.frames(FRAMES[1:].astype(">f4"))
    assert pieces.digest(**REST) == content()
    assert content(labels=np.array([1, 0], dtype=">i4")) == content()


@pytest.mark.parametrize(
    "change",
    [
        {"frames": FRAMES + np.float32(1e-6)},
        {"offsets": np.array([0, 2, 5])},
        {"labels": np.array([0, 0])},
        {"names": ("ab", "ü")},
        {"metadata": {"split": np.array([0, 1]), "setup": np.array([2, 3])}},
        {"metadata": {"split": np.array([0, 1]), "camera": np.array([2, 1])}},
    ],
)
def test_every_change_of_content_changes_the_digest(change) -> None:
    assert content(**change) != content()


def test_sequence_digest() -> None:
    expected = hashlib.blake2b(
        struct.pack("<10f", *range(10)) + struct.pack("<2q", 5, 2), digest_size=16
    ).digest()
    assert sequence_digest(FRAMES) == expected
    assert sequence_digest(FRAMES.reshape(2, 5)) != expected
    assert sequence_digest(FRAMES.T) != sequence_digest(FRAMES.reshape(2, 5))
