"""Made-up releases go through the real readers and can be split by every protocol."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from eleatt_bench.data import catalog
from eleatt_bench.data.protocols import PROTOCOLS, labelled, split

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "rehearsal_data.py"


def write(folder: Path, *names: str) -> None:
    subprocess.run([sys.executable, SCRIPT, str(folder), *names], check=True, capture_output=True)


def check(data_dir: Path, name: str) -> None:
    """Every class can be learnt and is tested in some fold, by every protocol."""
    store = catalog.open_store(data_dir, name)
    for protocol, found in PROTOCOLS[name].items():
        seen = labelled(store, protocol)
        tested: set[int] = set()
        for fold in range(found.folds):
            parts = split(seen, protocol, fold=fold)
            tested |= set(seen.labels[parts.test])
            assert len(set(seen.labels[parts.train])) > 0.8 * len(set(seen.labels))
        assert tested == set(seen.labels)


@pytest.mark.parametrize("name", ["nucla", "dhg"])
@pytest.mark.few(1)
def test_what_it_writes_can_be_prepared(tmp_path: Path, name: str) -> None:
    write(tmp_path, name)
    catalog.prepare(tmp_path / "data", name, tmp_path / name)
    check(tmp_path / "data", name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ntu", "sysu", "shrec17"])
def test_what_else_it_writes_can_be_prepared(tmp_path: Path, name: str) -> None:
    write(tmp_path, name)
    catalog.prepare(tmp_path / "data", name, tmp_path / name)
    check(tmp_path / "data", name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["jhmdb", "ntu_rgb"])
def test_videos_and_their_backbone_make_features(tmp_path: Path, name: str, monkeypatch) -> None:
    from eleatt_bench.cli.data import data

    monkeypatch.setenv("ELEATT_DATA", str(tmp_path / "data"))
    write(tmp_path, name)
    top = tmp_path / name
    lists = ["--splits", str(top / "splits")] if name == "jhmdb" else []
    arguments = ["--source", str(top / "videos"), "--backbone", str(top / "backbone.pt2"), *lists]
    assert data(["features", name, *arguments]) == 0
    check(tmp_path / "data", name)
    assert catalog.open_store(tmp_path / "data", name).input_size == 2048


@pytest.mark.slow
def test_the_same_every_time(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write(tmp_path / folder, "nucla")
    one, two = (sorted((tmp_path / f / "nucla").iterdir()) for f in ("one", "two"))
    assert [p.name for p in one] == [p.name for p in two]
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, str(tmp_path), "nuclaa"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "'nuclaa' is none of nucla, ntu" in done.stderr
