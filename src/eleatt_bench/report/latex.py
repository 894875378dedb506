r"""Tables in LaTeX, for \input into a document that has the packages of `PACKAGES`."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from eleatt_bench.report.wording import (
    CLAIM_HEADER,
    claim_line,
    header,
    line,
    notes,
    section_title,
    title,
)
from eleatt_bench.tables.table import Table

PACKAGES = ("booktabs", "graphicx")


def latex(tables: Sequence[Table]) -> str:
    """Each table as a ``table`` environment, its notes as the caption."""
    head = "".join(f"\\usepackage{{{name}}} " for name in PACKAGES).rstrip()
    return "\n".join([f"% needs {head}", *(_one(table) for table in tables)]) + "\n"


def _one(table: Table) -> str:
    names = header(table)
    body = [_row(line(table, row)) for row in table.cited]
    for section in table.sections:
        body += [r"\midrule"] if body else []
        if section.name:
            name = escape(section_title(section))
            body.append(rf"\multicolumn{{{len(names)}}}{{l}}{{\textit{{{name}}}}} \\")
        body += [_row(line(table, row)) for row in section.rows]
    caption = " ".join([f"{escape(title(table))}.", *(escape(note) for note in notes(table))])
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{caption}}}",
        rf"\label{{tab:{table.name}}}\medskip",
        *_tabular("l" + "r" * (len(names) - 1), names, body),
    ]
    if table.claims:
        body = [_row(claim_line(claim)) for claim in table.claims]
        lines += ["", r"\medskip", *_tabular("l" * len(CLAIM_HEADER), CLAIM_HEADER, body)]
    return "\n".join([*lines, r"\end{table}"])


def _tabular(columns: str, names: Sequence[str], body: Sequence[str]) -> list[str]:
    r"""Never wider than the text: ``\resizebox`` shrinks what is, and nothing else."""
    return [
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _row(names),
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}}",
    ]


def _row(cells: Sequence[str]) -> str:
    return " & ".join(_cell(cell) for cell in cells) + r" \\"


def _cell(text: str) -> str:
    # A bracket or a star that begins a row would be read as an option of the \\ before it.
    return f"{{{escape(text)}}}" if text[:1] in {"[", "*"} else escape(text)


_SIGNS = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "±": r"$\pm$",
    "−": "$-$",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "√": r"$\surd$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "°": r"$^\circ$",
    "’": "'",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def escape(text: str) -> str:
    """``text`` such that LaTeX prints it; what its default fonts lack becomes the nearest ASCII."""
    return "".join(_SIGNS.get(sign) or _ascii(sign) for sign in text)


def _ascii(sign: str) -> str:
    if sign.isascii():
        return sign if sign.isprintable() else " "
    plain = unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode()
    return "".join(_SIGNS.get(s, s) for s in plain) or "?"
