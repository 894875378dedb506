"""Opening stores: what is wrong with a file is said in one sentence, with what mends it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.store import SequenceStore, read_digest

MENDS = "eleatt-bench data prepare nucla --source PATH"


def copy(store: SequenceStore, folder: Path) -> Path:
    return Path(shutil.copy(store.path, folder / "nucla.h5"))


def refused(path: Path, says: str) -> None:
    """Opening and reading the digest must both fail with ``says`` and the mending command."""
    for attempt in (SequenceStore.open, read_digest):
        with pytest.raises(UserError) as caught:
            attempt(path, name="nucla")
        assert str(path) in str(caught.value)
        assert says in str(caught.value)
        assert str(caught.value).endswith(MENDS)


def damaged(path: Path, says: str) -> None:
    """Opening or verifying must find what is wrong inside."""
    with pytest.raises(UserError, match=f"is damaged: .*{says}.*{MENDS}"):
        SequenceStore.open(path, name="nucla").verify()


def test_frames_are_a_read_only_map_of_the_file(make_store) -> None:
    store = make_store()
    assert isinstance(store.frames, np.memmap)
    assert store.frames.offset % 64 == 0
    with pytest.raises(ValueError, match="read-only"):
        store.frames[0, 0] = 1
    with h5py.File(store.path) as file:
        assert file["frames"].chunks is None
        assert file["frames"].compression is None
        np.testing.assert_array_equal(file["frames"][...], store.frames)


def test_read_digest(make_store) -> None:
    store = make_store()
    assert read_digest(store.path) == read_digest(store.path, name="nucla") == store.content_digest


def test_missing(tmp_path: Path) -> None:
    refused(tmp_path / "nucla.h5", "There is no store")


@pytest.mark.parametrize("content", [b"", b"\x89HDF", b"PK\x03\x04" + bytes(100)])
def test_not_hdf5(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "nucla.h5"
    path.write_bytes(content)
    refused(path, "is not an HDF5 file")


@pytest.mark.parametrize("kept", [0.01, 0.1, 0.5, 0.9, 0.999])
def test_cut_short(make_store, tmp_path: Path, kept: float) -> None:
    path = copy(make_store(range(1, 200)), tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    refused(path, "is cut short")


def test_a_damaged_head(make_store, tmp_path: Path) -> None:
    path = copy(make_store(), tmp_path)
    content = bytearray(path.read_bytes())
    content[8:200] = bytes(192)
    path.write_bytes(content)
    refused(path, "is damaged")


def test_an_hdf5_file_that_is_no_store(tmp_path: Path) -> None:
    path = tmp_path / "nucla.h5"
    with h5py.File(path, "w") as file:
        file["x"] = [1]
    refused(path, "is an HDF5 file, but not a store")


def test_another_format_version(make_store, tmp_path: Path) -> None:
    path = copy(make_store(), tmp_path)
    with h5py.File(path, "a") as file:
        file.attrs["format_version"] = 2
    refused(path, "has format version 2, this program reads 1")


def test_another_data_set(make_store) -> None:
    path = make_store(name="mnist").path
    refused(path, "holds the data set 'mnist', not 'nucla'")
    assert SequenceStore.open(path).name == "mnist"


def test_an_embedded_data_set_is_mended_without_a_source(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"eleatt-bench data prepare digits$"):
        SequenceStore.open(tmp_path / "x.h5", name="digits")


@pytest.mark.parametrize("part", ["frames", "offsets", "label", "name", "metadata"])
def test_a_missing_part(make_store, tmp_path: Path, part: str) -> None:
    path = copy(make_store(), tmp_path)
    with h5py.File(path, "a") as file:
        del file[part]
    damaged(path, part)


def test_compressed_frames_cannot_be_mapped(make_store, tmp_path: Path) -> None:
    path = copy(make_store(), tmp_path)
    with h5py.File(path, "a") as file:
        frames = file["frames"][...]
        del file["frames"]
        file.create_dataset("frames", data=frames, compression="gzip")
    damaged(path, "not one contiguous float32 array")


@pytest.mark.parametrize(
    ("part", "index", "value", "says"),
    [
        ("frames", (4, 2), 7.5, "sequence s2 does not match its digest"),
        ("frames", (4, 2), np.nan, "sequence s2 holds a value that is not finite"),
        ("label", 1, 0, "its content does not match its digest"),
        ("label", 1, 2, "it has a label without a class"),
        ("name", 1, b"s9", "its content does not match its digest"),
        ("metadata/camera", 0, 3, "its content does not match its digest"),
        ("offsets", 1, 2, "does not match its digest"),
        ("offsets", 1, 4, "its offsets do not fit its frames"),
        ("offsets", 4, 12, "its offsets do not fit its frames"),
        ("sequence_digest", (0, 0), 0, "sequence s0 does not match its digest"),
    ],
)
def test_changed_content(make_store, tmp_path: Path, part, index, value, says: str) -> None:
    path = copy(make_store(), tmp_path)
    with h5py.File(path, "a") as file:
        file[part][index] = value
    damaged(path, says)


def test_a_shortened_column(make_store, tmp_path: Path) -> None:
    path = copy(make_store(), tmp_path)
    with h5py.File(path, "a") as file:
        labels = file["label"][:2]
        del file["label"]
        file["label"] = labels
    damaged(path, "columns are empty or of different lengths")


def test_what_answers_quickly_does_not_import_torch() -> None:
    code = (
        "import sys; from eleatt_bench.data import catalog, protocols, store, writing;"
        "heavy = {'torch', 'sklearn', 'scipy', 'pooch', 'pytorch_lightning'} & set(sys.modules);"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
