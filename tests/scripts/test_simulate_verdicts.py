"""A short run of what docs/verdicts.md shows, and that the page shows what was run."""

from __future__ import annotations

import math
from collections import defaultdict
from importlib import import_module
from pathlib import Path

import pytest

from .conftest import SCRIPTS, rows_of, run

ROOT = Path(__file__).resolve().parents[2]
PAGE, FIGURES = ROOT / "docs" / "verdicts.md", ROOT / "docs" / "verdicts" / "simulation.csv"
ERRORS = {
    "null": "wrong sign",
    "edge": "wrong no difference",
    "paper": "wrong size",
    "families": "any false mark",
    "chance": "0 outside",
}


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> tuple:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return import_module("simulate_verdicts"), import_module("verdicts_page")


def unskewed(part: str, case: str) -> bool:
    return not (part == "null" and "of one row's seeds lose" in case)


def hold(figures: list, deviations: float) -> None:
    """That no error is above 5 % by more than so many Monte-Carlo errors."""
    for part, case, looks, measure, value, _, draws in figures:
        if ERRORS.get(part) == measure and unskewed(part, case):
            limit = 0.06 if part == "chance" else 0.054 if "3 degrees" in case else 0.05
            assert value <= limit + deviations * math.sqrt(0.05 * 0.95 / draws), (part, case, looks)


def test_a_short_run_keeps_its_errors(scripts: tuple) -> None:
    simulate, _ = scripts
    found = list(simulate.claims(1000, seed=1)) + list(simulate.families(400, seed=1))
    hold(found, 3.5)
    by_case = defaultdict(dict)
    for figure in found:
        by_case[figure.part, figure.case, figure.looks][figure.measure] = figure.value
    assert by_case["power", "+4.7, spread 2, paper +4.7", "5, 10, 20"]["reproduced"] > 0.97
    assert by_case["power", "−2, spread 2, paper +4.7", "5, 10, 20"]["contradicted"] > 0.9
    assert by_case["null", "a tenth of one row's seeds lose 20 points", "5, 10, 20"][
        "wrong sign"
    ] > 0.2  # fmt: skip
    naive = by_case["families", "12 claims, 4 baselines", "5, 10, 20"]
    assert naive["Holm on the p of the stop"] > naive["any false mark"]


def test_the_same_draws_give_the_same_figures(scripts: tuple) -> None:
    simulate, _ = scripts
    assert list(simulate.stops(300, 7)) == list(simulate.stops(300, 7))
    assert list(simulate.stops(300, 7)) != list(simulate.stops(300, 8))


def test_the_whole_run_has_kept_its_errors(scripts: tuple) -> None:
    simulate, _ = scripts
    numbers = [
        (r["part"], r["case"], r["looks"], r["measure"], float(r["value"]), 0, int(r["draws"]))
        for r in rows_of(FIGURES)
    ]
    hold(numbers, 3)
    cases = {case.name for case in (*simulate.NULL, *simulate.EDGE, *simulate.PAPER)}
    assert cases <= {case for _, case, *_ in numbers}
    least = min(draws for part, *_, draws in numbers if part in ("null", "edge", "paper", "power"))
    assert least >= 20_000


def test_the_page_shows_what_was_run(scripts: tuple) -> None:
    _, page = scripts
    text = PAGE.read_text(encoding="utf-8")
    assert page.page(text, rows_of(FIGURES)) == text, "run scripts/verdicts_page.py"
    for name in page.SECTIONS:
        assert f"<!-- simulated: {name} -->\n|" in text


def test_looks_are_those_of_the_tables_and_all_were_simulated(scripts: tuple) -> None:
    simulate, page = scripts
    assert page.LOOKS == simulate.LOOKS == ((5, 10, 20), (3, 6, 12), (3,))
    for part in ("null", "edge", "paper", "power", "families"):
        assert {row["looks"] for row in rows_of(FIGURES) if row["part"] == part} == {
            simulate.named(looks) for looks in simulate.LOOKS
        }


@pytest.mark.slow
def test_from_nothing_to_a_page(tmp_path: Path) -> None:
    figures, written = tmp_path / "figures.csv", tmp_path / "page.md"
    written.write_text("# Title\n\n<!-- simulated: null -->\n<!-- end -->\n\nThe end.\n")
    run("simulate_verdicts.py", "--draws", "200", "--csv", str(figures))
    run("verdicts_page.py", str(figures), str(written))
    text = written.read_text(encoding="utf-8")
    assert "| t with 3 degrees of freedom | " in text
    assert text.endswith("<!-- end -->\n\nThe end.\n")
