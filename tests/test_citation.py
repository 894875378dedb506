"""CITATION.cff is what tools read, and says of this software what the package says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from eleatt_bench import __version__

ROOT = Path(__file__).resolve().parents[1]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def test_it_cites_this_version_of_this_software() -> None:
    assert {"cff-version", "message", "title", "authors"} <= CITATION.keys()
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["version"] == __version__
    assert CITATION["license"] == "MIT"


def test_it_cites_both_papers() -> None:
    conference, journal = CITATION["references"]
    assert conference["url"].endswith("1807.04445")
    assert journal["doi"] == "10.1109/TIP.2019.2937724"
    for paper in (conference, journal):
        assert [author["family-names"] for author in paper["authors"]] == [
            "Zhang", "Xue", "Lan", "Zeng", "Gao", "Zheng",
        ]  # fmt: skip


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_ask_for_commands_that_exist(path: Path) -> None:
    from eleatt_bench.cli import VERBS

    text = path.read_text(encoding="utf-8")
    yaml.safe_load(text)
    assert set(re.findall(r"`eleatt-bench (\w+)", text)) <= VERBS.keys()
