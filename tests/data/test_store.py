"""Opening stores: what is wrong with a file is said in one sentence, with what mends it."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.store import SequenceStore, StoreError, read_digest


def copy(store: SequenceStore, folder: Path) -> Path:
    return Path(shutil.copy(store.path, folder / "nucla.h5"))


def refused(path: Path, says: str) -> None:
    """Opening and reading the digest must both fail with ``says``."""
    for attempt in (SequenceStore.open, read_digest):
        with pytest.raises(StoreError) as caught:
            attempt(path, name="nucla")
        assert str(path) in str(caught.value)
        assert says in str(caught.value)


def damaged(path: Path, says: str) -> None:
    """Opening or verifying must find what is wrong inside."""
    with pytest.raises(StoreError, match=f"is damaged: .*{says}"):
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


@pytest.mark.parametrize("part", ["frames", "label", "metadata/camera", "metadata"])
@pytest.mark.parametrize("kind", ["soft", "external"])
def test_what_lies_elsewhere_is_not_read(make_store, tmp_path: Path, part: str, kind: str) -> None:
    path = copy(make_store(), tmp_path)
    shutil.copy(path, tmp_path / "other.h5")
    with h5py.File(path, "a") as file:
        file.move(part, "elsewhere")
        link = h5py.SoftLink("/elsewhere")
        file[part] = link if kind == "soft" else h5py.ExternalLink("other.h5", f"/{part}")
    damaged(path, f"it has no {part.split('/')[-1]}")


@pytest.mark.parametrize("how", ["external", "virtual", "lzf", "chunks"])
def test_a_column_that_is_no_plain_array_of_this_file(make_store, tmp_path: Path, how: str) -> None:
    path = copy(make_store(), tmp_path)
    with h5py.File(path, "a") as file:
        labels = file["label"][...]
        del file["label"]
        if how == "external":
            (tmp_path / "raw").write_bytes(labels.tobytes())
            file.create_dataset("label", (4,), "i8", external=[(str(tmp_path / "raw"), 0, 32)])
        elif how == "virtual":
            layout = h5py.VirtualLayout((4,), "i8")
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "label", (4,))
            file.create_virtual_dataset("label", layout)
        elif how == "lzf":
            file.create_dataset("label", data=labels, compression="lzf")
        else:
            file.create_dataset("label", (4,), "i8", chunks=(1 << 27,), maxshape=(None,))
    says = {"lzf": "its label is packed in a way", "chunks": "in chunks of 1,073,741,824 bytes"}
    damaged(path, says.get(how, "its label is not an array of this file"))


def test_a_column_that_would_fill_the_memory(make_store, tmp_path: Path) -> None:
    path = copy(make_store(), tmp_path)
    with h5py.File(path, "a") as file:
        del file["label"]
        file.create_dataset("label", (1 << 40,), "i8")  # never written: no bytes on the disk
    damaged(path, "its label has 8,796,093,022,208 bytes")


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("class_names", ["yes", "no"]),
        ("layout", '{"kind": "image", "height": 1, "width": 6}'),
        ("origin_applied", True),
    ],
)
def test_changed_attributes(make_store, tmp_path: Path, attribute: str, value) -> None:
    path = copy(make_store(), tmp_path)
    with h5py.File(path, "a") as file:
        file.attrs[attribute] = value
    damaged(path, "its class names, layout or origin do not match their digest")


def test_a_disk_without_locks_is_no_damage(make_store, tmp_path: Path, monkeypatch) -> None:
    path = copy(make_store(), tmp_path)

    def fails(*arguments: object, **options: object) -> None:
        assert options["locking"] is False
        raise OSError(errno.ENOLCK, "unable to lock file")

    monkeypatch.setattr(h5py, "File", fails)
    with pytest.raises(UserError, match=r"cannot be opened here \(No locks available\), whole as"):
        SequenceStore.open(path)


def test_what_may_not_be_read_is_no_damage(make_store, tmp_path: Path, monkeypatch) -> None:
    path = copy(make_store(), tmp_path)

    def fails(*arguments: object, **options: object) -> None:
        raise OSError(errno.EIO, "unable to read")

    monkeypatch.setattr(h5py, "File", fails)
    with pytest.raises(UserError, match=r"cannot be read \(Input/output error\): mend its perm"):
        SequenceStore.open(path)


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
