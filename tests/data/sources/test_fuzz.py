"""Whole releases with one damaged file: every reader answers with good samples or sentences."""

from __future__ import annotations

import gzip
import io
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.release import BadSample, Release
from eleatt_bench.data.sources import dhg, mnist, ntu, nucla, shrec17, sysu, sysu_splits
from eleatt_bench.data.sources.archive import Source
from eleatt_bench.data.store import Sample

READERS: dict[str, Callable[[Path], Release]] = {
    "ntu": lambda path: ntu.read(path, processes=1),
    "nucla": nucla.read,
    "shrec17": shrec17.read,
    "dhg": dhg.read,
}
FEW = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MANY = settings(FEW, max_examples=5000)


def outcomes(name: str, source: Path) -> Iterator[Sample | UserError]:
    try:
        for found in READERS[name](source).samples:
            yield found.error if isinstance(found, BadSample) else found
    except UserError as error:
        yield error


@pytest.fixture(scope="module")
def releases(publish, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: publish(name, tmp_path_factory.mktemp(name)).source for name in READERS}


@pytest.fixture
def survives(releases, damaged, one_sentence) -> Callable[[str, st.DataObject], None]:
    """Damage a file of the release, whichever it is, read all of it, and mend the file."""

    def check(name: str, data: st.DataObject) -> None:
        files = sorted(path for path in releases[name].rglob("*") if path.is_file())
        path = data.draw(st.sampled_from(files))
        whole = path.read_bytes()
        path.write_bytes(data.draw(damaged(whole)))
        try:
            for found in outcomes(name, releases[name]):
                if isinstance(found, UserError):
                    one_sentence(found, f"eleatt-bench data prepare {name}")
                else:
                    assert len(found.frames) > 0
                    assert np.isfinite(found.frames).all()
        finally:
            path.write_bytes(whole)

    return check


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", READERS)
@FEW
@given(data=st.data())
def test_some_damage(survives, name: str, data) -> None:
    survives(name, data)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", READERS)
@MANY
@given(data=st.data())
def test_much_damage(survives, name: str, data) -> None:
    survives(name, data)


NUCLA = Source(Path("/there"), "all_sqe.zip", "eleatt-bench data prepare nucla --source PATH")
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=12,
)


@settings(deadline=None)
@given(values, st.integers(0, 9))
def test_any_json_in_place_of_skeletons(one_sentence, value, depth: int) -> None:
    for _ in range(depth):
        value = [value]
    try:
        frames = nucla._frames(NUCLA, "a01_s01_e00_v01.json", value)
    except UserError as error:
        one_sentence(error, "eleatt-bench data prepare nucla")
    else:
        assert frames.shape[1] == 60


@pytest.fixture(scope="module")
def mat_file() -> bytes:
    file = io.BytesIO()
    savemat(file, {"SW": np.random.default_rng(0).normal(size=(20, 3, 2))}, do_compression=True)
    return file.getvalue()


@pytest.mark.slow
@pytest.mark.timeout(1200)
@MANY
@given(data=st.data())
def test_much_damage_to_a_matlab_file(mat_file: bytes, damaged, one_sentence, data) -> None:
    source = Source(Path("/s"), "3DvideoNorm", "eleatt-bench data prepare sysu --source PATH")
    try:
        frames = sysu.parse(source, "sklWorld.mat", data.draw(damaged(mat_file)))
    except UserError as error:
        one_sentence(error, "eleatt-bench data prepare sysu")
    else:
        assert (np.abs(frames) <= 100).all()


IDX = struct.pack(">2x2B3I", 8, 3, 2, 28, 28) + bytes(range(256)) * 6 + bytes(32)


@pytest.mark.parametrize("compressed", [False, True])
@FEW
@given(data=st.data())
def test_damage_to_an_idx_file(
    tmp_path: Path, damaged, one_sentence, compressed: bool, data
) -> None:
    """Even what still has the right form is refused: it is not the published file."""
    path = tmp_path / ("train-images-idx3-ubyte" + (".gz" if compressed else ""))
    path.write_bytes(data.draw(damaged(gzip.compress(IDX, mtime=0) if compressed else IDX)))
    with pytest.raises(UserError) as caught:
        mnist.read(tmp_path)
    assert str(caught.value).startswith(f"{path} ")
    one_sentence(caught.value, "eleatt-bench data prepare mnist")


def test_an_idx_file_that_unpacks_to_far_too_much(tmp_path: Path) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(IDX[:16] + bytes(1 << 26), 1))
    with pytest.raises(UserError, match=r"\.gz is larger than any of MNIST's files: remove it"):
        mnist.read(tmp_path)


SPLITS = np.array([np.random.default_rng(n).permutation(40) + 1 for n in range(30)])


@pytest.mark.parametrize("kind", ["numbers", "objects"])
@FEW
@given(data=st.data())
def test_damage_to_a_list_of_splits(tmp_path: Path, damaged, kind: str, data) -> None:
    """Whatever the list is damaged to, it is refused or still 30 splits of the 40 subjects."""
    for name, half in (("train", SPLITS[:, :20]), ("test", SPLITS[:, 20:])):
        array = half
        if kind == "objects":
            array = np.empty(30, object)
            array[:] = [list(row) for row in half]
        np.save(tmp_path / f"cross_subject_{name}_splits.npy", array)
    path = tmp_path / "cross_subject_train_splits.npy"
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    try:
        tested = sysu_splits.read(tmp_path, 40, 12)
    except UserError as error:
        text = str(error)
        assert text.startswith(str(tmp_path))
        assert text.endswith("data prepare sysu --source PATH --splits PATH")
        assert text.isprintable()
    else:
        assert [len(subjects) for subjects in tested] == [20] * 30


KINDS = [
    b"<!DOCTYPE html><html>", b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b\x08", b"7z\xbc\xaf\x27\x1c",
    b"Rar!\x1a\x07", b"BZh9", b"\xfd7zXZ\x00", b"version https://git-lfs", b"\xff\xfe", b"\xfe\xff",
    b"\xef\xbb\xbf", b"\xff\xfe\x00\x00", b"\x89HDF\r\n\x1a\n", b"%PDF-1.7",
]  # fmt: skip


@pytest.mark.parametrize("name", READERS)
@FEW
@given(data=st.data())
def test_the_beginnings_of_other_kinds_of_files(releases, one_sentence, name: str, data) -> None:
    files = sorted(path for path in releases[name].rglob("*") if path.is_file())
    path = data.draw(st.sampled_from(files))
    whole = path.read_bytes()
    path.write_bytes(data.draw(st.sampled_from(KINDS)) + data.draw(st.binary() | st.just(whole)))
    try:
        for found in outcomes(name, releases[name]):
            if isinstance(found, UserError):
                one_sentence(found, f"eleatt-bench data prepare {name}")
    finally:
        path.write_bytes(whole)
