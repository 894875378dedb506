"""MNIST's IDX files: real ones, small ones in the same format, and broken ones."""

from __future__ import annotations

import gzip
import hashlib
import socket
import struct
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.data import catalog
from eleatt_bench.data.sources import mnist
from eleatt_bench.data.verification import Fold, verify

TRAIN = "train-images-idx3-ubyte"
IMAGES = np.random.default_rng(0).integers(0, 256, (7, 28, 28), dtype=np.uint8)
LABELS = np.array([3, 1, 4, 1, 5, 9, 2], dtype=np.uint8)


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">2x2B{array.ndim}I", 8, array.ndim, *array.shape) + array.tobytes()


FILES = {
    TRAIN: idx(IMAGES[:5]),
    "train-labels-idx1-ubyte": idx(LABELS[:5]),
    "t10k-images-idx3-ubyte": idx(IMAGES[5:]),
    "t10k-labels-idx1-ubyte": idx(LABELS[5:]),
}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of seven images that count as the published ones, compressed."""
    folder = tmp_path / "small"
    folder.mkdir()
    for name, content in FILES.items():
        monkeypatch.setitem(mnist.MD5, name, hashlib.md5(content).hexdigest())
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    return folder


@pytest.mark.slow
def test_the_published_files(published: Path, tmp_path: Path) -> None:
    if not (published / "mnist").is_dir():
        pytest.skip(f"{published / 'mnist'} is not there")
    seen = []
    store = catalog.prepare(
        tmp_path, "mnist", published / "mnist", lambda done, total: seen.append((done, total))
    )
    assert (len(seen), seen[-1]) == (70_000, (70_000, 70_000))
    assert set(store.lengths) == {28}
    assert store.input_size == 28
    assert np.bincount(store.metadata["split"]).tolist() == [60_000, 10_000]
    assert store.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert store.labels[60_000:60_005].tolist() == [7, 2, 1, 0, 4]
    pixels = gzip.decompress((published / "mnist" / f"{TRAIN}.gz").read_bytes())[16:]
    image = np.frombuffer(pixels, np.uint8, 784, offset=59_999 * 784).reshape(28, 28)
    np.testing.assert_array_equal(store.sequence(59_999), (image / 255).astype(np.float32))
    (found,) = verify(tmp_path, "mnist").protocols.values()
    assert (found.folds, found.repeats) == ((Fold(60_000, 10_000),), {})


@pytest.mark.parametrize("spelling", ["{}.gz", "{}", "dotted", "dotted.gz"])
def test_every_spelling(small: Path, tmp_path: Path, spelling: str) -> None:
    for name, content in FILES.items():
        (small / f"{name}.gz").unlink()
        path = small / spelling.replace("dotted", name.replace("-idx", ".idx")).format(name)
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    samples = list(mnist.read(small).samples)
    assert [s.name for s in samples][-3:] == ["train_00004", "t10k_00000", "t10k_00001"]
    assert [s.label for s in samples] == LABELS.tolist()
    assert [s.metadata["split"] for s in samples] == [0] * 5 + [1] * 2
    frames = np.stack([s.frames for s in samples])
    np.testing.assert_array_equal(frames, IMAGES.astype(np.float32) / 255)
    assert catalog.prepare(tmp_path, "mnist", small).input_size == 28


def test_the_forms_in_which_others_hand_it_out(small: Path, tmp_path: Path, zipped) -> None:
    """As torchvision keeps it, packed and not; as on Kaggle, each file twice; half unpacked."""
    expected = [s.label for s in mnist.read(small).samples]
    top = tmp_path / "MNIST" / "raw"
    top.mkdir(parents=True)
    for name, content in FILES.items():
        (top / f"{name}.gz").write_bytes(gzip.compress(content))
        (top / name).write_bytes(content)
    kaggle = tmp_path / "kaggle"
    for name, content in FILES.items():
        (kaggle / name).mkdir(parents=True)
        (kaggle / name / name).write_bytes(content)
        (kaggle / name.replace("-idx", ".idx")).write_bytes(content)
    (small / f"{TRAIN}.gz").write_bytes(FILES[TRAIN])  # as some browsers leave it
    for path in (tmp_path / "MNIST", top, kaggle, zipped(kaggle), small):
        assert [s.label for s in mnist.read(path).samples] == expected
    (kaggle / TRAIN / TRAIN).write_bytes(b"broken")
    assert [s.label for s in mnist.read(kaggle).samples] == expected


def broken(case: str) -> bytes:
    whole = gzip.compress(FILES[TRAIN])
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    return {
        "cut short": whole[:-100],
        "head only": whole[:4],
        "flipped": bytes(flipped),
        "labels": gzip.compress(FILES["train-labels-idx1-ubyte"]),
        "too few pixels": gzip.compress(FILES[TRAIN][:-5]),
        "empty": gzip.compress(b""),
        "page": b"<!DOCTYPE HTML><html><title>503 Service Unavailable</title></html>",
        "other": gzip.compress(FILES[TRAIN][:-1] + bytes([FILES[TRAIN][-1] ^ 1])),
    }[case]


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("cut short", "is cut short"),
        ("head only", "is cut short"),
        ("page", "is a web page, not the file that its name promises"),
        ("flipped", "cannot be unpacked|is not"),
        ("labels", "is not an IDX file of unsigned bytes in the right number of axes"),
        ("too few pixels", r"has 3,915 values where its head announces \(5, 28, 28\)"),
        ("empty", "is not an IDX file"),
        ("other", "is not the published file"),
    ],
)
def test_a_broken_file_is_named(small: Path, case: str, says: str) -> None:
    (small / f"{TRAIN}.gz").write_bytes(broken(case))
    with pytest.raises(UserError, match=rf"{TRAIN}\.gz ({says}).*data prepare mnist --source"):
        mnist.read(small)


def test_missing_things(small: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"idx3-ubyte\.gz is compressed by gzip: unpack it and giv"):
        mnist.read(small / f"{TRAIN}.gz")
    (small / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(UserError, match=r"has no t10k-labels-idx1-ubyte \(nor"):
        mnist.read(small)
    with pytest.raises(UserError, match="nowhere does not exist"):
        mnist.read(tmp_path / "nowhere")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def mirror(small: Path):
    """The small files behind HTTP on this machine: the address, and the folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(small)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", small
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def nobody() -> str:
    """An address where nothing answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/"


def test_download_goes_on_to_the_next_mirror(mirror, nobody, tmp_path: Path, monkeypatch) -> None:
    address, _ = mirror
    monkeypatch.setattr(mnist, "MIRRORS", (nobody, address + "no/such/folder/", address))
    folder = catalog.download(tmp_path / "data", "mnist")
    assert folder == tmp_path / "data" / "raw" / "mnist"
    assert {p.name for p in folder.iterdir()} == {f"{name}.gz" for name in FILES}
    assert len(catalog.prepare(tmp_path / "data", "mnist", folder).labels) == 7


def test_download_replaces_what_is_broken_and_keeps_the_rest(
    mirror, nobody, tmp_path: Path, monkeypatch
) -> None:
    address, small = mirror
    for path in small.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(mnist, "MIRRORS", (nobody,))
    mnist.download(tmp_path)  # all there: nothing is asked for
    (tmp_path / f"{TRAIN}.gz").write_bytes(b"broken")
    monkeypatch.setattr(mnist, "MIRRORS", (address,))
    mnist.download(tmp_path)
    mnist.read(tmp_path)


def test_download_refuses_other_files(mirror, tmp_path: Path, monkeypatch) -> None:
    address, small = mirror
    (small / f"{TRAIN}.gz").write_bytes(gzip.compress(idx(IMAGES[1:6])))
    monkeypatch.setattr(mnist, "MIRRORS", (address,))
    with pytest.raises(UserError, match=rf"{TRAIN}\.gz is not the published file"):
        mnist.download(tmp_path)
    assert not (tmp_path / f"{TRAIN}.gz").exists()


def test_without_a_network_it_says_what_to_do_by_hand(nobody, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(mnist, "MIRRORS", (nobody,))
    with pytest.raises(UserError) as caught:
        mnist.download(tmp_path)
    message = str(caught.value)
    assert "ConnectionError" in message
    assert all(f"{name}.gz" in message for name in FILES)
    assert nobody in message
    assert message.endswith(f"eleatt-bench data prepare mnist --source {tmp_path}")
