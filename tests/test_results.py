"""What this repository publishes follows from the runs that it publishes."""

from __future__ import annotations

import json
from pathlib import Path

from eleatt_bench.cli import main
from eleatt_bench.data import catalog

ROOT = Path(__file__).resolve().parents[1]
MOST = 15_000_000  # bytes


def test_every_published_table_follows_from_its_runs(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)  # where there are no data and no runs
    assert main(["results", "verify", str(ROOT / "results")]) == 0, capsys.readouterr()


def test_the_published_weights_give_their_numbers(tmp_path, monkeypatch, capsys) -> None:
    """Those on the digits, which are always at hand; the others are said to be not tested."""
    monkeypatch.chdir(tmp_path)
    assert main(["results", "verify", str(ROOT / "results"), "--weights"]) == 0
    said = capsys.readouterr().out
    for path in (ROOT / "results" / "weights").glob("digits-*"):
        assert f"{path.name}  accuracy " in said


def test_the_data_sets_are_those_that_the_docs_describe(tmp_path) -> None:
    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    assert f"| `digits` | `{catalog.data_digest(tmp_path, 'digits')}` |" in text
    for path in (ROOT / "results" / "data").glob("*.json"):
        assert json.loads(path.read_text())["content_digest"] in text, path.stem


def test_they_are_small() -> None:
    paths = (ROOT / "results").rglob("*")
    assert sum(path.stat().st_size for path in paths if path.is_file()) < MOST
