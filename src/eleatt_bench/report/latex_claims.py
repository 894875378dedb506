r"""The tested claims of a table in LaTeX, readable at the width of one column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from eleatt_bench.report.forest import SECTION, ForestLine, Heading, forest, lines_of
from eleatt_bench.report.latex import (
    COLUMN,
    PAGE,
    boxed,
    document,
    environment,
    heading,
    row,
    seeds_text,
)
from eleatt_bench.report.latex_text import comment, escape, halves, plain, width
from eleatt_bench.report.numbers import DIGITS, signed
from eleatt_bench.report.verdict_text import judgement_text
from eleatt_bench.report.wording import (
    claim_notes,
    claim_place,
    interval_text,
    levels_text,
    margins_text,
    remarks,
    sign_notes,
    title,
    verdict_signs,
)
from eleatt_bench.tables.table import Claim, Table

SIZE = 8.0  # points: the size of \footnotesize
_GAP = 3.0
_RAISED = 0.75  # of the size: the size of raised signs


def latex_claims(tables: Sequence[Table], digits: int = DIGITS) -> str:
    """The claims of each table as a floating environment, or only as comments if none is tested."""
    return document([_one(table, digits) for table in tables if table.claims])


def _one(table: Table, digits: int) -> str:
    shown = forest(table)
    lines = lines_of(shown)
    said = [title(table), *claim_notes(table), *remarks(table)]
    said += (_in_full(line.claim, digits) for line in lines)
    if not lines:
        return "\n".join(map(comment, [*said, "Nothing is printed: no claim is tested."]))
    counts = [line.judgement.count for line in lines]
    caption = f"{heading(table)}: differences in points, {seeds_text(counts)}."
    kind, body = _tabular(shown, lines, digits)
    label = f"{table.name}-claims"
    return environment(kind, caption, label, body, said, _GAP, r"\footnotesize")


def _in_full(claim: Claim, digits: int) -> str:
    over = f"over {claim.groups} too {interval_text(claim.crossed, digits)}"
    also = "" if claim.crossed is None else f"; {over}"
    return f"{claim_place(claim)}: {judgement_text(claim.judgement)}{also}"


def _tabular(
    shown: Sequence[Heading | ForestLine], lines: Sequence[ForestLine], digits: int
) -> tuple[str, list[str]]:
    """The name of the environment that is wide enough, and the lines in it."""
    in_paper = any(line.judgement.paper is not None for line in lines)
    head = ["", "difference", *["paper"] * in_paper, "verdict"]
    numbers = {id(line): _numbers(line, in_paper, digits) for line in lines}
    columns = zip(head[1:-1], *numbers.values(), strict=True)
    verdicts = max(_widest(halves(line.judgement.verdict)) for line in lines)
    raised = _RAISED * _widest(verdict_signs(line.claim) for line in lines)
    indent = "" if len(lines) == len(shown) else r"\enspace "
    taken = verdicts + raised + sum(2 * _GAP + _widest(texts) for texts in columns)
    taken += 2 * _GAP + (SIZE / 2 if indent else 0)
    least = _widest(word for line in lines for word in plain(line.label).split())
    kind, limit = ("table", COLUMN) if taken + least <= COLUMN else ("table*", PAGE)
    body: list[str] = []
    above: Heading | ForestLine | None = None
    for one in shown:
        if isinstance(one, Heading):
            body += [r"\addlinespace"] * isinstance(above, ForestLine)
            body.append(_heading(one, len(head)))
        else:
            verdict = boxed(one.judgement.verdict, verdicts + raised, SIZE, _signs(one.claim))
            name = indent + boxed(plain(one.label), limit - taken, SIZE)
            body.append(row([name, *map(escape, numbers[id(one)]), verdict]))
        above = one
    return kind, [
        rf"\begin{{tabular}}{{@{{}}l{'r' * (len(head) - 2)}l@{{}}}}",
        r"\toprule",
        row([*map(escape, head)]),
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        *_key(lines),
    ]


def _widest(texts: Iterable[str]) -> float:
    """The width of the widest of ``texts``, in points."""
    return SIZE * max(map(width, texts))


def _numbers(line: ForestLine, in_paper: bool, digits: int) -> list[str]:
    paper = line.judgement.paper
    of_paper = [] if not in_paper else ["" if paper is None else signed(paper, digits)]
    return [interval_text(line.judgement, digits), *of_paper]


def _heading(one: Heading, columns: int) -> str:
    text = boxed(one.text, COLUMN, SIZE)
    text = rf"\textit{{{text}}}" if one.level == SECTION else text
    return rf"\multicolumn{{{columns}}}{{@{{}}l}}{{{text}}} \\"


def _signs(claim: Claim) -> str:
    signs = escape(verdict_signs(claim))
    return rf"\textsuperscript{{{signs}}}" if signs else ""


def _key(lines: Sequence[ForestLine]) -> list[str]:
    claims = [line.claim for line in lines]
    said = [f"Intervals: {levels_text(claims)}", margins_text(claims)]
    # The blank after a sign must not break, so that no line ends in a sign.
    signs = "; ".join(escape(note).replace(" ", "~", 1) for note in sign_notes(claims))
    return [rf"\par\smallskip {'. '.join([*map(escape, said), signs]).rstrip()}"]
