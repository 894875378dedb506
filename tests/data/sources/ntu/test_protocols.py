"""NTU's protocols: the published sizes from the published lists of names."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from eleatt_bench.data.sources import ntu
from eleatt_bench.data.sources.ntu import protocols as ntu_protocols
from eleatt_bench.data.sources.ntu.protocols import cross_setup, cross_subject, cross_view

SIZES = {
    ("sample_names_ntu60", cross_subject): (40_091, 16_487),
    ("sample_names_ntu60", cross_view): (37_646, 18_932),
    ("sample_names_ntu120", cross_subject): (63_026, 50_919),
    ("sample_names_ntu120", cross_setup): (54_468, 59_477),
}


def names(published: Path, which: str) -> list[str]:
    path = published / "ntu" / f"{which}.txt.gz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return gzip.decompress(path.read_bytes()).decode().split()


@pytest.mark.parametrize(("which", "protocol"), SIZES)
@pytest.mark.few(1)
def test_published_sizes(published: Path, which: str, protocol) -> None:
    codes = [ntu.code(name) for name in names(published, which)]
    assert None not in codes
    columns = np.array(codes).T
    metadata = dict(zip(ntu.Code._fields, columns, strict=True))
    test = protocol(metadata)
    assert test.dtype == np.bool_
    assert (int((~test).sum()), int(test.sum())) == SIZES[which, protocol]


@pytest.mark.parametrize(
    ("which", "edition"), [("sample_names_ntu60", ntu.NTU), ("sample_names_ntu120", ntu.NTU_120)]
)
def test_the_lists_are_what_is_not_missing(published: Path, which: str, edition) -> None:
    listed = names(published, which)
    assert len(listed) == len(set(listed))
    assert ntu.missing().isdisjoint(listed)
    assert all(edition.has(ntu.code(name)) for name in listed)


def test_missing_samples_are_those_published(published: Path) -> None:
    for file, first, count in (
        ("samples_with_missing_skeletons.txt", 0, 302),
        ("ntu120_samples_with_missing_skeletons.txt", 3, 535),
    ):
        path = published / "ntu" / file
        if not path.exists():
            pytest.skip(f"{path} is not there")
        expected = path.read_text().split("\n")[first:]
        edition = ntu.NTU if count == 302 else ntu.NTU_120
        ours = {name for name in ntu.missing() if edition.has(ntu.code(name))}
        assert ours == {name.strip() for name in expected if name.strip()}
        assert len(ours) == count


def test_twenty_of_forty_and_53_of_106_subjects_train() -> None:
    subjects = ntu_protocols.TRAINING_SUBJECTS
    assert len(set(subjects)) == len(subjects) == 53
    assert sum(subject <= 40 for subject in subjects) == 20
    assert cross_subject({"subject": np.array([1, 3, 45, 106])}).tolist() == [0, 1, 0, 1]


def test_cameras_and_setups() -> None:
    assert cross_view({"camera": np.array([1, 2, 3])}).tolist() == [True, False, False]
    assert cross_setup({"setup": np.array([1, 2, 31, 32])}).tolist() == [True, False, True, False]
