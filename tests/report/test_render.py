"""Tables as text, read back by other programs where there is one."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ElementTree

import pytest

from eleatt_bench.report.render import FORMATS, render
from eleatt_bench.tables.judge import Judgement
from eleatt_bench.tables.table import Table


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_ends_in_one_newline(make_table, folded: Table, form: str) -> None:
    text = render([make_table(), folded], form)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


@pytest.mark.parametrize("form", ["md", "term", "tex"])
def test_people_are_told_what_the_papers_values_are_and_what_is_missing(make_table, form) -> None:
    text = " ".join(render([make_table()], form).split())
    assert "with NTU pre-training" in text
    assert "3 of 6 runs are done" in text
    assert "eleatt-bench reproduce table4" in text
    assert "the next look is at 6" in text


def test_markdown_has_every_row_and_the_same_number_of_cells_in_each(make_table, folded) -> None:
    for table in (make_table(), folded):
        grids: list[list[str]] = [[]]
        for one in render([table], "md").splitlines():
            if one.startswith("|"):
                grids[-1].append(one)
            elif grids[-1]:
                grids.append([])
        cells, claims = grids[:2]
        for grid in (cells, claims):
            assert len({one.replace("\\|", "").count("|") for one in grid}) == 1
        named = sum(bool(section.name) for section in table.sections)
        assert len(cells) == 2 + len(table.rows) + named
        assert len(claims) == 2 + len(table.claims) + named
    expected = "| Baseline-GRU | 62.0 ± 2.0 (n=3) | 84.3 (−22.3) | 55.0 ± – (1/3 seeds) | 1,234 |"
    assert expected in render([make_table()], "md")


def test_markdown_escapes_what_would_be_markup(make_table) -> None:
    text = render([make_table(title="a|b <c> `d` \\e")], "md")
    assert "a\\|b \\<c\\> \\`d\\` \\\\e" in text


def test_csv_holds_the_numbers_themselves(make_table, folded: Table) -> None:
    lines = list(csv.DictReader(io.StringIO(render([make_table(), folded], "csv"))))
    assert [line["kind"] for line in lines] == (
        ["cited"] * 2 + ["ours"] * 4 + ["claim"] * 2 + ["ours"] * 2 + ["claim"]
    )
    ours = lines[2]
    assert (ours["table"], ours["row"], ours["column"]) == ("table4", "Baseline-GRU", "cross_view")
    values = dict(pair.split(":") for pair in ours["values"].split("; "))
    assert {int(k): float(v) for k, v in values.items()} == {0: 60.0, 1: 62.0, 2: 64.0}
    assert (float(ours["mean"]), float(ours["std"])) == (62.0, 2.0)
    assert (ours["seeds"], ours["seeds_asked"], ours["paper"]) == ("3", "3", "84.3")
    assert float(ours["difference"]) == 62.0 - 84.3
    assert ours["seconds_per_epoch"] == "2.345 on CPU_1, 1 thread"
    empty = lines[4]
    assert (empty["mean"], empty["std"], empty["seeds"]) == ("", "", "0")
    claim = lines[6]
    assert (claim["row"], claim["than"]) == ("EleAtt-GRU", "Baseline-GRU")
    found = make_table().claims[0].judgement
    assert (float(claim["low"]), float(claim["high"])) == (found.low, found.high)
    assert (claim["verdict"], claim["decided_at"], claim["paper"]) == ("undecided", "", "4.7")
    assert (float(claim["p"]), claim["holm"], claim["crossed_low"]) == (found.p, "0.31", "-3.5")
    assert (lines[-3]["fold_std"], lines[-3]["runs"]) == (repr(8**0.5), "3")


def test_json_holds_everything(make_table, folded: Table) -> None:
    first, second = json.loads(render([make_table(), folded], "json"))
    assert (first["name"], first["runs"], first["runs_asked"]) == ("table4", 3, 6)
    baseline = next(c for c in first["cells"] if c["row"] == "Baseline-GRU")
    assert [r["accuracies"] for r in baseline["results"]] == [[60.0], [62.0], [64.0]]
    assert (baseline["mean"], baseline["std"], baseline["parameters"]) == (62.0, 2.0, 1234)
    assert baseline["seconds_per_epoch"] == {"CPU_1, 1 thread": 2.345}
    claim = first["claims"][0]
    assert (claim["better"], claim["than"], claim["seeds"]) == ("EleAtt-GRU", "Baseline-GRU", 3)
    assert claim["tests"][1] == {
        "seed": 1, "better_only": 90, "than_only": 3, "mcnemar_p": 1e-9,
    }  # fmt: skip
    assert Judgement.of_plain(claim["judgement"]) == make_table().claims[0].judgement
    assert claim["crossed"] == {
        "mean": 2.0, "low": -3.5, "high": 7.5, "groups": 10, "degrees": 4.2,
    }  # fmt: skip
    assert (claim["groups"], claim["collapsed"], claim["holm"]) == ("subjects", [2], 0.31)
    assert second["columns"] == [{"name": "cross_subject", "folds": 2}]
    assert second["cells"][0]["results"][1] == {
        "seed": 1, "mean": None, "accuracies": [70.0, None],
    }  # fmt: skip
    assert second["claims"][0]["tests"][0]["bootstrap_high"] == 0.04


def test_svg_is_a_picture_of_the_table(make_table) -> None:
    root = ElementTree.fromstring(render([make_table()], "svg"))
    text = "".join(root.itertext()).replace("\xa0", " ")
    assert root.tag.endswith("svg")
    assert "Baseline-GRU" in text
    assert "62.0 ± 2.0" in text


def test_redirected_output_is_plain_and_has_every_mark(make_table, folded: Table) -> None:
    text = render([make_table(), folded], "term")
    assert "\x1b" not in text
    assert "0.5 [1], 123 [2]" in text
    assert "From scratch" in text
    assert max(map(len, text.splitlines())) <= 120


def test_what_is_too_wide_for_the_terminal_is_made_longer(make_table, monkeypatch) -> None:
    monkeypatch.setattr("eleatt_bench.report.terminal._WIDTH", 80)
    text = render([make_table()], "term")
    assert max(map(len, text.splitlines())) <= 80
    assert "62.0 ± 2.0 (n=3)" in text
    assert [line.strip() for line in text.splitlines()].count("cross_view") == 2
