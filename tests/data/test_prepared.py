"""What a table has to know of data sets is what the catalog says, also when it is kept."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import pytest

from eleatt_bench.common import files
from eleatt_bench.common.errors import UserError
from eleatt_bench.data import catalog
from eleatt_bench.data.prepared import DataSets, Prepared


@pytest.fixture(autouse=True)
def settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written is settled at once."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(files, "_FINE_STEP", 0)


def by_the_catalog(data_dir: Path, name: str) -> Prepared:
    return Prepared(
        str(catalog.data_digest(data_dir, name)),
        catalog.read_layout(data_dir, name).get("weights") == "random",
        catalog.incomplete(data_dir, name),
        catalog.open_store(data_dir, name).input_size,
    )


def test_it_is_what_the_catalog_says(tmp_path: Path, publish) -> None:
    assert DataSets(tmp_path).of("nucla") is None
    catalog.prepare(tmp_path, "nucla", publish("nucla", tmp_path).source)
    found = DataSets(tmp_path).of("nucla")
    assert found == by_the_catalog(tmp_path, "nucla")
    assert found.incomplete == "6 of 1,484: incomplete, not comparable with published results"
    assert DataSets(tmp_path / "elsewhere").of("nucla") is None
    embedded = DataSets(tmp_path).of("digits")  # prepared by being asked for
    assert embedded == by_the_catalog(tmp_path, "digits")
    with pytest.raises(UserError, match="Unknown data set 'nucle'"):
        DataSets(tmp_path).of("nucle")


def test_a_store_is_opened_once_until_it_changes(tmp_path: Path, monkeypatch) -> None:
    first = DataSets(tmp_path).of("digits")
    path = catalog.store_path(tmp_path, "digits")
    state, content = path.stat(), path.read_bytes()
    DataSets(tmp_path).of("digits")
    with monkeypatch.context() as patch:
        patch.setattr(catalog, "data_digest", None)
        assert DataSets(tmp_path).of("digits") == first
    path.write_bytes(b"\0" * len(content))  # as large, and at the same time
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(UserError, match="is not an HDF5 file"):
        DataSets(tmp_path).of("digits")
    path.write_bytes(content)
    assert DataSets(tmp_path).of("digits") == first
    path.unlink()
    assert DataSets(tmp_path).of("digits") == first  # prepared anew


@pytest.mark.parametrize(
    ("attribute", "value", "says"),
    [
        ("layout", "{", "Expecting property name"),
        ("layout", "[]", "its layout is no mapping"),
        ("layout", '{"kind": "features", "weights": "random"}', "do not match their digest"),
        ("class_names", None, "class_names"),
    ],
)
def test_damaged_attributes_are_told_with_the_remedy(
    tmp_path: Path, attribute: str, value: str | None, says: str
) -> None:
    path = catalog.prepare(tmp_path, "digits", None).path
    with h5py.File(path, "a") as file:
        del file.attrs[attribute]
        if value is not None:
            file.attrs[attribute] = value
    with pytest.raises(UserError, match=f"is damaged: .*{says}.*anew with: .*prepare digits$"):
        DataSets(tmp_path).of("digits")


def test_of_a_store_that_was_just_written_nothing_is_kept(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(files, "_FINE_STEP", 10**12)
    first = DataSets(tmp_path).of("digits")
    asked = []
    digest = catalog.data_digest
    monkeypatch.setattr(catalog, "data_digest", lambda *a: asked.append(a) or digest(*a))
    for _ in range(2):
        assert DataSets(tmp_path).of("digits") == first
    assert len(asked) == 2
