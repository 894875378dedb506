r"""Tables in LaTeX, for \input into a document that has the packages of `PACKAGES`."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from eleatt_bench.report.grid import Grid, lay_out, lay_out_claims
from eleatt_bench.report.wording import notes, title
from eleatt_bench.tables.table import Table

PACKAGES = ("booktabs", "graphicx")
_WIDTH = 120  # characters of a line that is still legible on a page


def latex(tables: Sequence[Table]) -> str:
    """Each table as a ``table`` environment, its notes as the caption."""
    head = "".join(f"\\usepackage{{{name}}} " for name in PACKAGES).rstrip()
    return "\n".join([f"% needs {head}", *(_one(table) for table in tables)]) + "\n"


def _one(table: Table) -> str:
    caption = " ".join([f"{escape(title(table))}.", *(escape(note) for note in notes(table))])
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{caption}}}",
        rf"\label{{tab:{table.name}}}\medskip",
        *_tabular(lay_out(table, _WIDTH), "r"),
    ]
    if table.claims:
        lines += ["", r"\medskip", *_tabular(lay_out_claims(table), "l")]
    return "\n".join([*lines, r"\end{table}"])


def _tabular(layout: Grid, side: str) -> list[str]:
    r"""Never wider than the text: ``\resizebox`` shrinks what is, and nothing else."""
    width = len(layout.header)
    body: list[str] = []
    for group in layout.groups:
        body += [r"\midrule"] if body else []
        if group.title:
            name = escape(group.title)
            body.append(rf"\multicolumn{{{width}}}{{l}}{{\textit{{{name}}}}} \\")
        body += [_row(line) for line in group.lines]
    return [
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{l{side * (width - 1)}}}",
        r"\toprule",
        _row(layout.header),
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
