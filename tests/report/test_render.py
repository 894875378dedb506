"""Tables as text, read back by other programs where there is one."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from eleatt_bench.common.errors import UserError
from eleatt_bench.report.render import FORMATS, files, render, write_files
from eleatt_bench.tables.table import Column, Row, Section, SeedResult, Table, TableCell


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_ends_in_one_newline(make_table, folded: Table, form: str) -> None:
    text = render([make_table(), folded], form)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


@pytest.mark.parametrize("form", [form for form, made in FORMATS.items() if made.claims])
def test_so_do_the_claims_of_every_format_that_has_them_apart(make_table, folded, form) -> None:
    text = render([make_table(), folded], form, claims=True)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_files_of_claims_that_are_no_longer_made_go(make_table, tmp_path: Path) -> None:
    forms = ("json", "csv", "md")

    def write(stem: str, **changes: object) -> set[str]:
        write_files(tmp_path, stem, files(stem, make_table(**changes), forms))
        return {path.name for path in tmp_path.iterdir()}

    cells = {"table4.json", "table4.csv", "table4.md"}
    assert write("table4") == cells | {"table4-claims.csv", "table4-claims.md"}
    assert write("table4", claims=()) == cells
    others = write("table4-claims", claims=()) - cells
    assert others == {"table4-claims.json", "table4-claims.csv", "table4-claims.md"}
    assert write("table4", claims=()) == cells | others, "those of a table with such a name stay"


@pytest.mark.parametrize("form", ["md", "term", "tex"])
def test_people_are_told_what_the_papers_values_are_and_what_is_missing(make_table, form) -> None:
    text = " ".join(render([make_table()], form).replace("%", " ").split())
    assert "with NTU pre-training" in text
    assert "3 of 6 runs are done" in text
    assert "eleatt-bench reproduce table4" in text
    claims = " ".join(render([make_table()], form, claims=True).split())
    assert "the next look is at 6" in claims
    assert "1 of 2 claims of table4 tested" in claims


def grid_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("|")]


def test_markdown_has_every_row_and_the_same_number_of_cells_in_each(make_table, folded) -> None:
    for table in (make_table(), folded):
        cells, claims = (grid_of(render([table], "md", claims=part)) for part in (False, True))
        for grid in (cells, claims):
            assert len({one.replace("\\|", "").count("|") for one in grid}) == 1
        named = sum(bool(section.name) for section in table.sections)
        assert len(cells) == 2 + len(table.rows) + named
        assert len(claims) == 2 + 1 + bool(named), "one claim of each is tested"
    expected = "| Baseline-GRU | 62.0 ± 2.0 (n=3) | 84.3 (−22.3) | 55.0 ± – (1/3 seeds) | 1,234 |"
    assert expected in render([make_table()], "md")


def test_markdown_says_what_a_star_is(make_table) -> None:
    sure = tuple(replace(claim, holm=0.01) for claim in make_table().claims)
    note = "- \\* holds for all claims of the table together (Holm, 5 %)"
    assert note in render([make_table(claims=sure)], "md", claims=True)
    assert note not in render([make_table()], "md", claims=True)


def test_markdown_escapes_what_would_be_markup(make_table) -> None:
    text = render([make_table(title="a|b <c> `d` \\e")], "md")
    assert "a\\|b \\<c\\> \\`d\\` \\\\e" in text


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_has_a_line_of_plain_numbers_for_each_cell(make_table, folded: Table) -> None:
    lines = read_csv(render([make_table(), folded], "csv"))
    assert [line["cited"] for line in lines] == ["True"] * 2 + ["False"] * 6
    ours = lines[2]
    assert (ours["table"], ours["row"], ours["column"]) == ("table4", "Baseline-GRU", "cross_view")
    assert [float(ours[key]) for key in ("mean", "sd", "n", "paper")] == [62.0, 2.0, 3, 84.3]
    low, high = stats.t.interval(0.95, 2, loc=62.0, scale=2.0 / 3**0.5)
    assert float(ours["low"]) == pytest.approx(low)
    assert float(ours["high"]) == pytest.approx(high)
    empty = lines[4]
    assert (empty["mean"], empty["sd"], empty["low"], empty["n"]) == ("", "", "", "0")
    assert (lines[6]["folds"], lines[6]["folds_sd"], lines[6]["n_asked"]) == (
        "2",
        repr(8**0.5),
        "2",
    )


@pytest.mark.parametrize("form", ["csv", "json", "md", "term", "tex"])
def test_a_section_that_the_paper_does_not_have_is_said_to_be_none(folded, form: str) -> None:
    """Its values beside such a section belong to something else, noted or not."""
    first, second = folded.sections
    table = replace(folded, sections=(replace(first, paper_note="", in_paper=False), second))
    before, text = (render([one], form) for one in (folded, table))
    if form == "csv":
        assert [line["in_paper"] for line in read_csv(before)] == ["True"] * 2
        assert [line["in_paper"] for line in read_csv(text)] == ["False", "True"]
    else:
        shown = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
        assert "the paper has no such section" in " ".join(shown.split())


def test_csv_has_a_line_of_plain_numbers_for_each_claim(make_table, folded: Table) -> None:
    claim, untested, other = read_csv(render([make_table(), folded], "csv", claims=True))
    assert (claim["better"], claim["than"]) == ("EleAtt-GRU", "Baseline-GRU")
    found = make_table().claims[0].judgement
    assert (float(claim["low"]), float(claim["high"])) == (found.low, found.high)
    assert (claim["verdict"], claim["decided_at"], claim["paper"]) == ("undecided", "", "4.7")
    assert (float(claim["p"]), claim["holm"], claim["crossed_low"]) == (found.p, "0.31", "-3.5")
    assert (untested["verdict"], untested["n"], untested["mean"]) == ("not tested", "0", "")
    assert (other["section"], other["n"], other["mean"]) == ("from scratch", "1", "-1.0")


@given(cells=st.lists(st.floats(0, 100), min_size=3, max_size=6))
def test_csv_gives_back_the_very_numbers(cells: list[float]) -> None:
    cell = TableCell(tuple(SeedResult(k, (v,)) for k, v in enumerate(cells)), 1 / 3)
    table = Table("t", "T", (Column("c"),), (Section("", (Row("a", (cell,)),)),), (), (), "", (), 1,
                  1, "")  # fmt: skip
    (line,) = read_csv(render([table], "csv"))
    assert (float(line["mean"]), float(line["sd"])) == (cell.mean, cell.std)
    assert 0 <= float(line["low"]) <= float(line["mean"]) + 1e-9
    assert float(line["mean"]) <= float(line["high"]) + 1e-9 <= 100 + 1e-9
    assert float(line["paper"]) == 1 / 3


@pytest.mark.parametrize(
    ("form", "asked", "says"),
    [
        ("json", {"claims": True}, "--claims is not for json"),
        ("json", {"digits": 2}, "--digits is not for json"),
        ("csv", {"digits": 2}, "--digits is not for csv"),
    ],
)
def test_what_makes_no_sense_is_refused(make_table, form: str, asked: dict, says: str) -> None:
    with pytest.raises(UserError, match=says):
        render([make_table()], form, **asked)


@pytest.mark.parametrize("form", ["term", "md", "tex", "svg"])
def test_digits_are_those_that_are_asked_for(make_table, form: str) -> None:
    text = render([make_table()], form, digits=2).replace("&#160;", " ").replace("$\\pm$", "±")
    assert "62.00 ± 2.00" in text
    assert "62.0 ± 2.0" not in text


def test_json_holds_everything(make_table, folded: Table) -> None:
    first, second = json.loads(render([make_table(), folded], "json"))
    assert (first["name"], first["runs"], first["runs_asked"]) == ("table4", 3, 6)
    baseline = next(c for c in first["cells"] if c["row"] == "Baseline-GRU")
    assert [r["accuracies"] for r in baseline["results"]] == [[60.0], [62.0], [64.0]]
    assert (baseline["mean"], baseline["std"], baseline["parameters"]) == (62.0, 2.0, 1234)
    assert baseline["seconds_per_epoch"] == {"CPU_1, 1 thread": 2.345}
    claim = first["claims"][0]
    assert (claim["better"], claim["than"]) == ("EleAtt-GRU", "Baseline-GRU")
    assert claim["tests"][1] == {
        "seed": 1, "better_only": 90, "than_only": 3, "mcnemar_p": 1e-9,
    }  # fmt: skip
    found = {**claim, "count": claim["seeds"]}
    plain = make_table().claims[0].judgement.plain()
    assert {key: found[key] for key in plain} == plain
    assert claim["crossed"] == {
        "mean": 2.0, "low": -3.5, "high": 7.5, "groups": 10, "degrees": 4.2,
    }  # fmt: skip
    assert (claim["groups"], claim["collapsed"], claim["holm"]) == ("subjects", [2], 0.31)
    assert second["columns"] == [{"name": "cross_subject", "folds": 2}]
    assert second["cells"][0]["results"][1] == {
        "seed": 1, "mean": None, "accuracies": [70.0, None], "runs": [],
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


def test_claims_of_several_tables_have_the_remarks_of_each(make_table, folded: Table) -> None:
    other = replace(folded, notes=("RANDOM WEIGHTS",))
    text = " ".join(render([make_table(), other], "term", claims=True).split())
    assert "table4: a_b is 50 % of #1" in text
    assert "table5: RANDOM WEIGHTS" in text
    assert "table4:" not in render([make_table()], "term", claims=True)


def test_what_is_too_wide_for_the_terminal_is_made_longer(make_table, monkeypatch) -> None:
    monkeypatch.setattr("eleatt_bench.report.terminal._WIDTH", 80)
    text = render([make_table()], "term")
    assert max(map(len, text.splitlines())) <= 80
    assert "62.0 ± 2.0 (n=3)" in text
    assert [line.strip() for line in text.splitlines()].count("cross_view") == 2
