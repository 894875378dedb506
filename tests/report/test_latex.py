"""Tables in LaTeX: every sign escaped, and a document that compiles."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eleatt_bench.report.latex import PACKAGES, escape, latex
from eleatt_bench.tables.table import Table

COMPILERS = [name for name in ("tectonic", "pdflatex") if shutil.which(name)]
NASTY = r"100 % & $5 #1 a_b {c} ~d ^e \f <g> |h| [i] *j* é “q” … − – × ± ° √n ≤ 1’s 中 `` ''"


def test_special_characters_are_escaped(make_table) -> None:
    text = latex([make_table()])
    body = text.split(r"\begin{table}")[1]
    assert r"N-UCLA \& co, 100 \%" in body
    assert r"cross\_view" in body
    assert r"a\_b is 50 \% of \#1" in body
    assert r"62.0 $\pm$ 2.0" in body
    assert text.isascii()


@given(st.text())
def test_whatever_the_text_it_is_plain_ascii_with_every_special_sign_escaped(text: str) -> None:
    escaped = escape(text)
    assert escaped.isascii()
    rest = re.sub(r"\\[a-zA-Z]+\{\}|\\[&%$#_{}]|\$\^?\\[a-z]+\$", "", escaped)
    assert not re.search(r"[\\&%$#_{}~^<>|\"]", rest)


def test_each_row_has_as_many_cells_as_the_tabular(make_table, folded: Table) -> None:
    for table in (make_table(), folded):
        blocks = re.findall(
            r"\\begin\{tabular\}\{([lr]+)\}\n(.*?)\\end\{tabular\}", latex([table]), re.DOTALL
        )
        assert len(blocks) == 2
        for columns, body in blocks:
            rows = [line for line in body.splitlines() if line.endswith(r"\\")]
            for row in rows:
                if "multicolumn" not in row:
                    assert len(re.findall(r"(?<!\\)&", row)) == len(columns) - 1
            assert [body.count(rule) for rule in (r"\toprule", r"\bottomrule")] == [1, 1]


def test_a_table_without_cited_rows_begins_with_one_rule(folded: Table) -> None:
    assert "\\midrule\n\\midrule" not in latex([folded])


@pytest.mark.parametrize(
    "compiler",
    COMPILERS or [pytest.param("", marks=pytest.mark.skip(reason="neither tectonic nor pdflatex"))],
)
def test_it_compiles(make_table, folded: Table, compiler: str, tmp_path: Path) -> None:
    worst = make_table(title=NASTY, notes=(NASTY,), name="worst")
    packages = "\n".join(rf"\usepackage{{{name}}}" for name in PACKAGES)
    document = "\n".join(
        [r"\documentclass{article}", packages, r"\begin{document}",
         latex([make_table(), folded, worst]), r"\end{document}"]
    )  # fmt: skip
    (tmp_path / "t.tex").write_text(document, encoding="utf-8")
    flags = [] if compiler == "tectonic" else ["-interaction=nonstopmode", "-halt-on-error"]
    done = subprocess.run(
        [compiler, *flags, "t.tex"], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "t.pdf").stat().st_size > 1000
    assert "Overfull \\hbox" not in done.stdout
