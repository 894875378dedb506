"""Tables in LaTeX: every sign escaped, and a document that compiles."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eleatt_bench.report.latex import PACKAGE, latex
from eleatt_bench.report.latex_claims import latex_claims
from eleatt_bench.report.latex_text import escape, halves, width
from eleatt_bench.tables.table import Column, Row, Section, Table

COMPILERS = [name for name in ("tectonic", "pdflatex") if shutil.which(name)]
NASTY = r'100 % "x" & $5 #1 a_b {c} ~d ^e \f <g> |h| [i] *j* é “q” … − – × ± ° √n ≤ 1’s 中 `` †‡§ ░'


def test_special_characters_are_escaped(make_table) -> None:
    text = latex([make_table()])
    body = text.split(r"\begin{table}")[1]
    assert "% a_b is 50 % of #1" in text, "what is a comment needs no escapes"
    assert r"N-UCLA \& co, 100 \%" in body
    assert "cross view" in body
    assert r"62.0 $\pm$ 2.0" in body
    assert text.isascii()


@given(st.text())
def test_whatever_the_text_it_is_plain_ascii_with_every_special_sign_escaped(text: str) -> None:
    escaped = escape(text)
    assert escaped.isascii()
    rest = re.sub(r"\\[a-zA-Z]+\{\}|\\[&%$#_{}]|\$\^?\\[a-z]+\$", "", escaped)
    assert not re.search(r"[\\&%$#_{}~^<>|\"]", rest)


def tabulars(text: str) -> list[tuple[str, str]]:
    return re.findall(
        r"\\begin\{tabular\}\{@\{\}([lr]+)@\{\}\}\n(.*?)\n\\end\{tabular\}", text, re.DOTALL
    )


def test_each_row_has_as_many_cells_as_the_tabular(make_table, folded: Table) -> None:
    for write in (latex, latex_claims):
        blocks = tabulars(write([make_table(), folded]))
        assert len(blocks) == 2
        for columns, body in blocks:
            for line in body.splitlines():
                if line.endswith(r"\\"):
                    spans = [int(n) for n in re.findall(r"\\multicolumn\{(\d+)\}", line)]
                    cells = len(re.findall(r"(?<!\\)&", line)) + 1 + sum(n - 1 for n in spans)
                    assert cells == len(columns), line
            assert [body.count(rule) for rule in (r"\toprule", r"\bottomrule")] == [1, 1]
            assert "\\midrule\n\\midrule" not in body


def test_what_is_printed_is_what_is_done(make_table) -> None:
    text = latex([make_table()])
    ((_, body),) = tabulars(text)
    assert "Baseline-GRU & 62.0 $\\pm$ 2.0 & 84.3 & 55.0 (1)" in body
    assert "EleAtt-GRU" not in body
    assert "% Without a finished seed, so left out: EleAtt-GRU." in text
    assert "HOJ3D &  & 54.5 &" in body
    ((_, claims),) = tabulars(latex_claims([make_table()]))
    assert "+2.0 [$-$2.1, +6.1] & +4.7 & undecided" in claims
    assert "cross view clean" not in claims, "it is not tested"


def test_the_caption_is_one_line_and_the_notes_are_comments(make_table) -> None:
    for write in (latex, latex_claims):
        text = write([make_table(title="Table 4: N-UCLA", rehearsal=True)])
        (caption,) = re.findall(r"^\\caption\{(.*)\}$", text, re.MULTILINE)
        assert caption.startswith("REHEARSAL: N-UCLA: "), "LaTeX numbers tables itself"
        assert len(caption) < 90
        lines = [line for line in text.splitlines() if "reproduce table4" in line]
        assert lines
        assert all(line.startswith("% ") for line in lines)


def test_what_the_papers_values_are_stands_below_them(folded: Table) -> None:
    (line,) = re.findall(r"^\\par\\smallskip .*", latex([folded]), re.MULTILINE)
    assert line == r"\par\smallskip From scratch: the paper's are with pre-training."


def test_without_a_finished_run_there_are_comments_alone(make_table) -> None:
    untested = make_table().claims[1]
    rows = (make_table().sections[0].rows[1],)
    empty = make_table(claims=(untested,), sections=(Section("", rows),))
    for write in (latex, latex_claims):
        assert all(not line or line.startswith("% ") for line in write([empty]).splitlines())


def test_columns_that_do_not_fit_beside_each_other_stand_below(make_table) -> None:
    cell = make_table().sections[0].rows[0].cells[0]
    for count, kind, blocks in ((2, "table", 1), (4, "table*", 1), (9, "table*", 3)):
        wide = make_table(
            columns=tuple(Column(f"column_{k}") for k in range(count)),
            sections=(Section("", (Row("A", (cell,) * count),)),),
            cited=(),
        )
        text = latex([wide])
        assert rf"\begin{{{kind}}}[t]" in text
        assert len(tabulars(text)) == blocks
        assert text.count("62.0 $\\pm$ 2.0") == count


@given(st.text(max_size=60))
def test_a_line_is_broken_where_that_helps_most(text: str) -> None:
    lines = halves(text)
    assert " ".join(lines) == text
    assert max(map(width, lines)) <= width(text)


def compiled(text: str, folder: Path) -> str:
    """What LaTeX said of an article in two columns with ``text`` in it."""
    paragraph = "All work and no play makes a dull paper indeed. " * 30
    document = "\n".join(
        [r"\documentclass[twocolumn]{article}", PACKAGE, r"\begin{document}", paragraph, text,
         *["", paragraph] * 40, r"\end{document}"]
    )  # fmt: skip
    (folder / "t.tex").write_text(document, encoding="utf-8")
    compiler = COMPILERS[0]
    flags = [] if compiler == "tectonic" else ["-interaction=nonstopmode", "-halt-on-error"]
    done = subprocess.run(
        [compiler, *flags, "t.tex"], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert (folder / "t.pdf").stat().st_size > 1000
    return done.stdout


needs_latex = pytest.mark.skipif(
    not COMPILERS,
    reason="neither tectonic nor pdflatex; on Debian: apt install texlive-latex-recommended",
)


@needs_latex
def test_it_compiles(make_table, folded: Table, tmp_path: Path) -> None:
    claim = replace(make_table().claims[0], column=NASTY)
    worst = make_table(title=NASTY, notes=(NASTY,), name="worst", claims=(claim,))
    tables = [make_table(), folded, worst]
    said = compiled(latex(tables) + latex_claims(tables), tmp_path)
    assert "Overfull \\hbox" not in said


@needs_latex
@pytest.mark.slow
def test_nothing_is_wider_than_its_column(made_up: list[Table], tmp_path: Path) -> None:
    """Every shipped table as it will be when its runs are done, with few digits and with many."""
    assert len(made_up) > 10
    for digits in (1, 3):
        said = compiled(latex(made_up, digits) + latex_claims(made_up, digits), tmp_path)
        assert "Overfull" not in said
    for table in made_up:
        assert tabulars(latex([table])), table.name
        assert tabulars(latex_claims([table])), table.name
