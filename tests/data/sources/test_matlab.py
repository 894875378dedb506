"""MATLAB files as scipy and h5py write them, as MATLAB does, and broken ones."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.io import loadmat, savemat

from eleatt_bench.data.sources import matlab

AXES = (2, 3)
VALUES = np.random.default_rng(0).normal(size=(*AXES, 4))


def v5(compressed: bool = False, **variables: Any) -> bytes:
    file = io.BytesIO()
    savemat(file, variables, do_compression=compressed)
    return file.getvalue()


def v73(
    values: Any,
    *,
    attributes: dict[str, Any] | None = None,
    user_block: bool = True,
    **options: Any,
) -> bytes:
    """What MATLAB 7.3 saves: axes in the opposite order, after 512 bytes of head."""
    file = io.BytesIO()
    with h5py.File(file, "w", userblock_size=512 if user_block else 0) as hdf5:
        stored = hdf5.create_dataset("SW", data=np.asarray(values).T, **options)
        for key, value in (attributes or {"MATLAB_class": np.bytes_("double")}).items():
            stored.attrs[key] = value
    if not user_block:
        return file.getvalue()
    head = b"MATLAB 7.3 MAT-file, Platform: PCWIN64".ljust(124) + b"\x00\x02IM"
    return head + file.getvalue()[128:]


def by_hand(values: np.ndarray, order: str, stored: str, number: int) -> bytes:
    """A MATLAB 5 file as MATLAB writes it: in either byte order, whole numbers stored small."""

    def element(kind: int, data: bytes) -> bytes:
        if len(data) <= 4:
            packed = len(data) << 16 | kind
            return struct.pack(f"{order}I", packed) + data.ljust(4, b"\0")
        return struct.pack(f"{order}2I", kind, len(data)) + data + bytes(-len(data) % 8)

    body = element(6, struct.pack(f"{order}2I", 6, 0))
    body += element(5, np.array(values.shape, f"{order}i4").tobytes())
    body += element(1, b"SW")
    body += element(number, values.flatten(order="F").astype(f"{order}{stored}").tobytes())
    version = struct.pack(f"{order}H", 0x0100) + (b"IM" if order == "<" else b"MI")
    return b"MATLAB 5.0".ljust(124) + version + element(14, body)


def read(content: bytes) -> np.ndarray:
    return matlab.array(content, "SW", axes=AXES)


@settings(deadline=None)
@given(
    values=hnp.arrays(
        st.sampled_from([np.float64, np.float32]),
        st.tuples(st.just(2), st.just(3), st.integers(1, 5)),
        elements=st.floats(-99, 99, width=32),
    ),
    compressed=st.booleans(),
    before=st.booleans(),
)
def test_every_array_comes_back(values: np.ndarray, compressed: bool, before: bool) -> None:
    others = {"aText": "SW", "aCell": np.array([1, "x"], dtype=object), "aStruct": {"SW": 1}}
    variables = {**(others if before else {}), "SW": values, **others}
    content = v5(compressed, **variables)
    found = read(content)
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values)
    np.testing.assert_array_equal(found, loadmat(io.BytesIO(content))["SW"])
    for options in ({}, {"chunks": True, "compression": "gzip"}):
        np.testing.assert_array_equal(read(v73(values, **options)), values)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("stored", "number"), [("u1", 2), ("i2", 3), ("i4", 5), ("f4", 7)])
def test_as_matlab_writes_it(order: str, stored: str, number: int) -> None:
    values = np.arange(24.0).reshape(*AXES, 4)
    content = by_hand(values, order, stored, number)
    assert read(content).dtype == np.float64
    np.testing.assert_array_equal(read(content), values)
    np.testing.assert_array_equal(loadmat(io.BytesIO(content))["SW"], values)


def test_one_frame_has_no_last_axis() -> None:
    for content in (v5(SW=VALUES[:, :, 0]), v73(VALUES[:, :, 0]), v5(SW=VALUES[:, :, :1])):
        np.testing.assert_array_equal(read(content), VALUES[:, :, :1])


def test_hdf5_without_matlabs_head() -> None:
    np.testing.assert_array_equal(read(v73(VALUES, user_block=False)), VALUES)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not a file of MATLAB 5 or 7.3"),
        (b"0.1 0.2 0.3\n" * 99, "is not a file of MATLAB 5 or 7.3"),
        (v5(other=VALUES), "has no variable SW"),
        (v5(True, other=VALUES), "has no variable SW"),
        (v5(), "has no variable SW"),
        (v5(SW=VALUES.transpose(2, 0, 1)), r"shape \(4, 2, 3\), not \(2, 3, n\)"),
        (v5(SW=VALUES[:, :, :, None]), r"shape \(2, 3, 4, 1\), not"),
        (v5(SW=VALUES[:, :, :0]), "SW that is empty"),
        (v5(SW=VALUES[:, :, :0].T), r"shape \(0, 3, 2\)"),
        (v5(SW="text"), r"SW of shape|SW that is not"),
        (v5(SW={"a": VALUES}), r"SW of shape \(1, 1\), not"),
        (v5(SW=VALUES.astype(int)), "SW that is not of real floating-point numbers"),
        (v5(SW=VALUES > 0), "SW that is not of real floating-point numbers"),
        (v5(SW=VALUES * 1j), "SW that is not of real floating-point numbers"),
        (v5(SW=VALUES)[:-1], "is cut short"),
        (v5(SW=VALUES)[:130], "is cut short"),
        (v5(True, SW=VALUES)[:-1], "is cut short"),
        (v73(VALUES.T), r"shape \(4, 3, 2\), not \(2, 3, n\)"),
        (v73(VALUES.astype(np.int32)), "SW that is not of real floating-point numbers"),
        (v73(VALUES * 1j), "SW that is not of real floating-point numbers"),
        (v73(np.zeros((2, 3, 0))), "SW that is empty"),
        (v73(np.zeros(AXES), attributes={"MATLAB_empty": 1}), "SW that is empty"),
        (v73(np.bytes_("text")), r"SW of shape \(\), not"),
        (v73(VALUES)[:900], r"is damaged \(Unable"),
        (v73(VALUES)[:520], r"is damaged \("),
    ],
)
def test_what_is_refused(content: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=rf"^(is|has) .*{says}|^{says}"):
        read(content)


@pytest.mark.parametrize("frames", [1, 5, 1 << 24, (1 << 31) - 1])
def test_a_count_that_lies(frames: int) -> None:
    content = bytearray(v5(SW=VALUES))
    at = content.index(struct.pack("<3i", 2, 3, 4)) + 8
    content[at : at + 4] = struct.pack("<i", frames)
    with pytest.raises(ValueError, match=r"is damaged|more than a file can hold"):
        read(bytes(content))


def test_an_hdf5_count_that_lies() -> None:
    """A data set may announce terabytes that nobody wrote: it must not be read."""
    file = io.BytesIO()
    with h5py.File(file, "w", userblock_size=512) as hdf5:
        hdf5.create_dataset("SW", shape=(1 << 40, 3, 2), dtype="f8", chunks=(16, 3, 2))
    with pytest.raises(ValueError, match="more than a file can hold"):
        read(file.getvalue())


def test_compressed_data_without_end() -> None:
    packed = zlib.compress(bytes(99))[:-6]
    content = v5(SW=VALUES)[:128] + struct.pack("<2I", 15, len(packed)) + packed
    with pytest.raises(ValueError, match="compressed data do not end"):
        read(content)


@pytest.mark.slow
def test_what_unpacks_to_gigabytes() -> None:
    """Many variables of which each is small enough: it is the sum that counts."""
    for count, size in ((1, 1 << 27), (100, 1 << 21)):
        bomb = zlib.compress(bytes(size))
        content = v5(SW=VALUES)[:128] + count * (struct.pack("<2I", 15, len(bomb)) + bomb)
        with pytest.raises(ValueError, match="unpacks to more than 67,108,864 bytes"):
            read(content)


def test_a_chunk_that_unpacks_to_gigabytes() -> None:
    file = io.BytesIO()
    with h5py.File(file, "w", userblock_size=512) as hdf5:
        hdf5.create_dataset(
            "SW", (2, 3, 20), "f8", chunks=(1 << 21, 3, 20), maxshape=(None, 3, 20),
            compression="gzip",
        )  # fmt: skip
    with pytest.raises(ValueError, match=r"SW is stored in chunks of 1,006,632,960 bytes"):
        read(file.getvalue())


def test_a_filter_that_is_a_program_of_its_own() -> None:
    file = io.BytesIO()
    with h5py.File(file, "w", userblock_size=512) as hdf5:
        hdf5.create_dataset("SW", data=VALUES.T, compression="lzf")
    with pytest.raises(ValueError, match="SW is packed in a way that is not read here"):
        read(file.getvalue())


@pytest.mark.parametrize("link", [h5py.ExternalLink("/etc/x.h5", "/SW"), h5py.SoftLink("/other")])
def test_links_are_not_followed(link: Any) -> None:
    file = io.BytesIO()
    with h5py.File(file, "w", userblock_size=512) as hdf5:
        hdf5["other"] = VALUES.T
        hdf5["SW"] = link
    with pytest.raises(ValueError, match="has no variable SW"):
        read(file.getvalue())


def test_values_in_another_file_are_not_read(tmp_path) -> None:
    (tmp_path / "secret").write_bytes(VALUES.T.tobytes())
    path = tmp_path / "x.mat"
    with h5py.File(path, "w") as hdf5:
        external = [(str(tmp_path / "secret"), 0, VALUES.nbytes)]
        hdf5.create_dataset("SW", shape=(4, 3, 2), dtype="f8", external=external)
    with pytest.raises(ValueError, match="SW is not an array"):
        read(path.read_bytes())


@pytest.mark.parametrize(
    "content",
    [v5(SW=VALUES, b=1), v5(True, SW=VALUES), v73(VALUES), v73(VALUES, compression="gzip")],
)
@settings(deadline=None)
@given(data=st.data())
def test_damage_is_refused_in_words(damaged, content: bytes, data) -> None:
    try:
        found = read(data.draw(damaged(content)))
    except ValueError as error:
        check_words(str(error))
    else:
        assert found.dtype.kind == "f"
        assert found.shape[:2] == AXES


def check_words(text: str) -> None:
    assert text.startswith(("is ", "has ")), text
    assert text.isprintable(), text
