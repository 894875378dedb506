r"""The tested claims of a table in LaTeX, readable at the width of one column."""

from __future__ import annotations

from collections.abc import Sequence

from eleatt_bench.report.forest import SECTION, Heading, Line, forest, lines_of
from eleatt_bench.report.latex import (
    COLUMN,
    boxed,
    document,
    environment,
    heading,
    row,
    section_line,
    seeds_text,
)
from eleatt_bench.report.latex_text import comment, escape, halves, width
from eleatt_bench.report.numbers import DIGITS, signed
from eleatt_bench.report.verdict_text import MARKS, judgement_text, marks
from eleatt_bench.report.wording import claim_notes, claim_text, interval_text, remarks, title
from eleatt_bench.tables.judge import Judgement
from eleatt_bench.tables.table import Claim, Table

SIZE = 8.0  # points: the size of \footnotesize
_GAP = 3.0
_SIGNS = dict(zip(MARKS, (r"\dagger", r"\ddagger", r"\S"), strict=True))


def latex_claims(tables: Sequence[Table], digits: int = DIGITS) -> str:
    """The claims of each table as a ``table`` environment; as comments alone where none is
    tested."""
    return document([_one(table, digits) for table in tables if table.claims])


def _one(table: Table, digits: int) -> str:
    shown = forest(table)
    lines = lines_of(shown)
    said = [title(table), *claim_notes(table), *remarks(table)]
    said += (f"{_named(line.claim)}: {judgement_text(line.judgement)}" for line in lines)
    if not lines:
        return "\n".join(map(comment, [*said, "Nothing is printed: no claim is tested."]))
    counts = [line.judgement.count for line in lines]
    caption = f"{heading(table)}: differences in points, {seeds_text(counts)}."
    body = _tabular(shown, lines, digits)
    label = f"{table.name}-claims"
    return environment("table", caption, label, body, said, _GAP, r"\footnotesize")


def _tabular(shown: Sequence[Heading | Line], lines: Sequence[Line], digits: int) -> list[str]:
    in_paper = any(line.judgement.paper is not None for line in lines)
    head = ["", "difference", *["paper"] * in_paper, "verdict"]
    numbers = {id(line): _numbers(line, in_paper, digits) for line in lines}
    columns = zip(head[1:-1], *numbers.values(), strict=True)
    taken = sum(2 * _GAP + SIZE * max(map(width, texts)) for texts in columns)
    words = max(SIZE * max(map(width, halves(line.judgement.verdict))) for line in lines)
    words += SIZE * width("**")
    label = COLUMN - taken - words - 2 * _GAP
    body: list[str] = []
    for one in shown:
        if isinstance(one, Heading):
            body += _heading(one, len(head), bool(body))
        else:
            verdict = boxed(one.judgement.verdict, words, SIZE)
            texts = [boxed(one.label, label, SIZE), *map(escape, numbers[id(one)])]
            body.append(row([*texts, verdict + _marks(one.judgement)]))
    return [
        rf"\begin{{tabular}}{{@{{}}l{'r' * (len(head) - 2)}l@{{}}}}",
        r"\toprule",
        row(head),
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        *_key(lines),
    ]


def _named(claim: Claim) -> str:
    return ", ".join(filter(None, (claim.section, claim_text(claim), claim.column)))


def _numbers(line: Line, in_paper: bool, digits: int) -> list[str]:
    paper = line.judgement.paper
    of_paper = [] if not in_paper else ["" if paper is None else signed(paper, digits)]
    return [interval_text(line.judgement, digits), *of_paper]


def _heading(one: Heading, columns: int, between: bool) -> list[str]:
    space = [r"\addlinespace"] if between else []
    if one.level == SECTION:
        return [*space, *section_line(one.text, columns)]
    text = boxed(one.text, COLUMN, SIZE)
    return [*space, rf"\multicolumn{{{columns}}}{{@{{}}l}}{{{text}}} \\"]


def _marks(found: Judgement) -> str:
    signs = ",".join(_SIGNS[mark] for mark in marks(found))
    return f"$^{{{signs}}}$" if signs else ""


def _key(lines: Sequence[Line]) -> list[str]:
    """What the marks mean, as far as there are any."""
    used = {mark for line in lines for mark in marks(line.judgement)}
    said = [f"$^{{{sign}}}$ {escape(mark)}" for mark, sign in _SIGNS.items() if mark in used]
    return [rf"\par\smallskip {', '.join(said)}"] if said else []
