"""What this repository publishes follows from the runs that it publishes."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from eleatt_bench.cli import main
from eleatt_bench.data import catalog

ROOT = Path(__file__).resolve().parents[1]
MOST = 15_000_000  # bytes


def test_every_published_table_follows_from_its_runs(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)  # where there are no data and no runs
    assert main(["results", "verify", str(ROOT / "results")]) == 0, capsys.readouterr()
    costs = re.findall(r"^(\w+)  equal to .*, (\S+ core hours)", capsys.readouterr().out, re.M)
    assert costs
    lines = (ROOT / "results" / "README.md").read_text("utf-8").splitlines()
    for name, hours in costs:
        assert any(line.startswith(f"| [{name}](") and hours in line for line in lines), name


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


NUMBER = r"(\d+\.\d ± \d+\.\d)"
EXPERIMENTS = sorted((ROOT / "configs" / "experiment").glob("*.yaml"))


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_a_recipe_expects_what_is_published(path: Path) -> None:
    """Numbers of runs are those of a row of a published table; others are the paper's."""
    block = re.search(r"^# Expect: (.*(?:\n#  {8,}.*)*)", path.read_text("utf-8"), re.MULTILINE)
    assert block, "says nothing of what to expect"
    said = re.sub(r"\s*\n#\s+", " ", block[1])
    table = re.search(r"results/\w+\.md", said)
    if table is None:
        assert not re.search(NUMBER, said)
        assert re.search(r"the paper has|unknown", said)
        return
    rows = (ROOT / table[0]).read_text("utf-8").splitlines()
    named = re.findall(rf"([\w.()+-]+(?: (?:joints|bones|velocities|ensemble))?) {NUMBER}", said)
    assert len(named) == len(re.findall(NUMBER, said)) > 0
    for row, number in named:
        assert any(line.startswith(f"| {row} |") and f" {number} " in line for line in rows), row


def test_the_readme_says_what_is_published() -> None:
    tables = "\n".join(path.read_text("utf-8") for path in (ROOT / "results").glob("*.md"))
    numbers = re.findall(NUMBER, (ROOT / "README.md").read_text("utf-8"))
    assert numbers
    assert {number for number in numbers if number not in tables} == set()


INTERVAL = r"([+−]\d+\.(\d+)) \[([+−]\d+\.\d+), ([+−]\d+\.\d+)\]"


def test_the_pages_have_the_intervals_that_are_published() -> None:
    published: list[tuple[float, ...]] = []
    for path in (ROOT / "results").glob("*-claims.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file):
                for low, high in (("low", "high"), ("crossed_low", "crossed_high")):
                    if line[low]:
                        published.append(tuple(float(line[key]) for key in ("mean", low, high)))
    found = 0
    for name in ("README.md", "results/README.md"):
        for mean, digits, low, high in re.findall(INTERVAL, (ROOT / name).read_text("utf-8")):
            said = (mean, low, high)
            texts = [
                tuple(f"{value:+.{len(digits)}f}".replace("-", "−") for value in values)
                for values in published
            ]
            assert said in texts, f"{name}: {said}"
            found += 1
    assert found > 3
