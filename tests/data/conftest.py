"""Small stores made on the spot, and stores of the published data where these are at hand."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import strategies as st
from scipy.io import savemat

from eleatt_bench.common.errors import UserError
from eleatt_bench.data import catalog
from eleatt_bench.data.store import Sample, SequenceStore
from eleatt_bench.data.writing import write_store

SKELETON = {"kind": "skeleton", "joints": ["a", "b"], "bones": [[0, 1]], "origin": 1}
IMAGE = {"kind": "image", "height": 3, "width": 4}

MakeStore = Callable[..., SequenceStore]


@pytest.fixture(scope="session")
def make_store(tmp_path_factory: pytest.TempPathFactory) -> MakeStore:
    """A store of random sequences of the given lengths; images where ``layout`` says so."""

    def make(
        lengths: Sequence[int] = (3, 1, 5, 2),
        *,
        name: str = "nucla",
        width: int = 6,
        layout: dict = SKELETON,
        metadata: dict[str, Sequence[int]] | None = None,
        origin_applied: bool = False,
        samples: list[Sample] | None = None,
    ) -> SequenceStore:
        random = np.random.default_rng(len(lengths))
        metadata = metadata or {"camera": [1 + i % 3 for i in range(len(lengths))]}
        samples = samples or [
            Sample(
                f"s{i}",
                random.normal(size=(length, width)).astype(np.float32),
                i % 2,
                {key: int(column[i]) for key, column in metadata.items()},
            )
            for i, length in enumerate(lengths)
        ]
        return write_store(
            tmp_path_factory.mktemp("store") / f"{name}.h5",
            name=name,
            samples=samples,
            class_names=["no", "yes"],
            layout=layout,
            source="a test",
            origin_applied=origin_applied,
        )

    return make


@pytest.fixture(scope="session")
def real_nucla(published: Path, tmp_path_factory: pytest.TempPathFactory) -> SequenceStore:
    """The store of the real Northwestern-UCLA release."""
    source = published / "nucla" / "all_sqe.zip"
    if not source.exists():
        pytest.skip(f"{source} is not there")
    return catalog.prepare(tmp_path_factory.mktemp("nucla"), "nucla", source)


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> SequenceStore:
    return catalog.open_store(tmp_path_factory.mktemp("digits"), "digits")


class Published(NamedTuple):
    """A small release as its publishers hand it out, and the file of each sample, by name."""

    name: str
    source: Path
    files: dict[str, Path]


def _ntu(folder: Path) -> dict[str, Path]:
    values = np.random.default_rng(0).normal(size=(6, 2, 25, 3)).round(4).tolist()
    files = {}
    for number, frames in enumerate(values, start=1):
        lines = [str(len(frames))]
        for frame in frames:
            lines += ["1", "72057594037931101 0 1 1 1 1 0 0.027 0.057 2", "25"]
            lines += [
                f"{x} {y} {z} 277.4 191.8 1036.2 519.1 -0.2 0.1 0.9 -0.1 2" for x, y, z in frame
            ]
        name = f"S001C00{1 + number % 3}P00{1 + number % 4}R001A{number:03d}"
        files[name] = folder / f"{name}.skeleton"
        files[name].write_text("\r\n".join(lines) + "\r\n")
    return files


def _nucla(folder: Path) -> dict[str, Path]:
    values = np.random.default_rng(0).normal(size=(6, 2, 20, 3)).round(4).tolist()
    files = {}
    for number, frames in enumerate(values, start=1):
        name = f"a{number:02d}_s01_e00_v0{1 + number % 3}"
        files[name] = folder / f"{name}.json"
        files[name].write_text(json.dumps({"file_name": name, "skeletons": frames}))
    return files


def _sysu(folder: Path) -> dict[str, Path]:
    values = np.random.default_rng(0).normal(size=(12, 20, 3, 2))
    files = {}
    for action, array in enumerate(values, start=1):
        content = io.BytesIO()
        savemat(content, {"SW": array})
        for subject in range(1, 41):
            path = folder / f"{subject:02d}" / f"video{action}" / "sklWorld.mat"
            path.parent.mkdir(parents=True)
            path.write_bytes(content.getvalue())
            files[f"s{subject:02d}_a{action:02d}"] = path
    return files


def _hand(folder: Path, file: str) -> dict[str, Path]:
    values = np.random.default_rng(0).normal(size=(6, 3, 66)).round(6).tolist()
    files = {}
    for number, frames in enumerate(values, start=1):
        path = folder / f"gesture_{number}/finger_1/subject_{number}/essai_1/{file}"
        path.parent.mkdir(parents=True)
        path.write_text("".join(" ".join(map(str, frame)) + "\n" for frame in frames))
        files[f"g{number:02d}_f1_s{number:02d}_e01"] = path
    return files


def _shrec17(folder: Path) -> dict[str, Path]:
    lines = [f"{n} 1 {n} 1 {n} {2 * n - 1} 3\n" for n in range(1, 7)]
    (folder / "train_gestures.txt").write_text("".join(lines[:3]))
    (folder / "test_gestures.txt").write_text("".join(lines[3:]))
    return _hand(folder, "skeletons_world.txt")


def _dhg(folder: Path) -> dict[str, Path]:
    lines = [f"{n} 1 {n} 1 0 2\n" for n in range(1, 7)]
    (folder / "informations_troncage_sequences.txt").write_text("".join(lines))
    return _hand(folder, "skeleton_world.txt")


_WRITERS = {"ntu": _ntu, "nucla": _nucla, "sysu": _sysu, "shrec17": _shrec17, "dhg": _dhg}


@pytest.fixture(scope="session")
def publish() -> Callable[[str, Path], Published]:
    """Write a small release of data set ``name`` into a folder, in its publishers' format."""

    def write(name: str, folder: Path) -> Published:
        source = folder / "release"
        source.mkdir()
        return Published(name, source, dict(sorted(_WRITERS[name](source).items())))

    return write


@pytest.fixture(scope="session")
def zipped() -> Callable[[Path], Path]:
    """Put a folder into a zip archive beside it, its files in reverse order."""

    def zip_it(folder: Path) -> Path:
        path = folder.with_suffix(".zip")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(folder.rglob("*"), reverse=True):
                archive.write(file, file.relative_to(folder.parent))
        return path

    return zip_it


def _apply(content: bytes, edits: list[tuple[str, float, bytes]]) -> bytes:
    for kind, where, new in edits:
        at = int(where * len(content))
        if kind == "cut":
            content = content[:at]
        elif kind == "insert":
            content = content[:at] + new + content[at:]
        elif kind == "overwrite":
            content = content[:at] + new + content[at + len(new) :]
        else:
            content = content[:at] + content[at + len(new) :]
    return content


@pytest.fixture(scope="session")
def damaged() -> Callable[[bytes], st.SearchStrategy[bytes]]:
    """A strategy: the content after one to three cuts, insertions, overwritings and deletions."""
    pieces = st.binary(min_size=1, max_size=6) | st.sampled_from(
        [b"\n", b"\r\n", b" ", b"-", b".", b"nan", b"inf", b"1e9", b"1_0", b"x", b"\x00", b"\xff"]
    )
    kinds = st.sampled_from(["cut", "insert", "overwrite", "delete"])
    edits = st.lists(
        st.tuples(kinds, st.floats(0, 1, exclude_max=True), pieces), min_size=1, max_size=3
    )
    return lambda content: edits.map(lambda chosen: _apply(content, chosen))


@pytest.fixture(scope="session")
def one_sentence() -> Callable[[UserError, str], None]:
    """Check that an error is one sentence that ends with the command that mends it."""

    def check(error: UserError, command: str) -> None:
        text = str(error)
        assert text.endswith(f"{command} --source PATH"), text
        assert text.isprintable(), text
        assert ". " not in text, text

    return check
