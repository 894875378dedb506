r"""The accuracies of a table in LaTeX, for \input into a paper that has the package booktabs.

It prints what is done: rows with a finished seed, other people's rows, a caption, and below it what
the paper's values beside a section are, if they are not what they seem. All other notes are
comments. A table is as wide as one column of a two-column paper, or else as a narrow page. If that
is not enough, its columns are continued below.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from eleatt_bench.report.latex_text import comment, escape, halves, plain, width
from eleatt_bench.report.numbers import DIGITS, number
from eleatt_bench.report.wording import cell_notes, remarks, section_notes, section_title, title
from eleatt_bench.tables.table import Row, Table, TableCell

PACKAGE = r"\usepackage{booktabs}"
COLUMN = 219.0
"""Points: the width of a column in the narrowest of the usual two-column styles."""
PAGE = 345.0
"""Points: the width of the text in the narrowest of the usual styles of one column."""
SMALL = 9.0  # points: the size of \small

_GAP, _WIDEST_GAP = 3.0, 6.0  # points on either side of a column, at least and at most
_MEASURED = ("measured", "paper")


def latex(tables: Sequence[Table], digits: int = DIGITS) -> str:
    """Each table as a floating environment, or only as comments if it has no finished seed."""
    return document([_one(table, digits) for table in tables])


def document(parts: Sequence[str]) -> str:
    """``parts`` in one file, which says what package it needs."""
    return "\n\n".join([comment(f"needs {PACKAGE}"), *parts]) + "\n"


def environment(
    name: str,
    caption: str,
    label: str,
    body: Sequence[str],
    said: Sequence[str],
    gap: float,
    size: str = r"\small",
) -> str:
    """A floating environment below comments of what is ``said``.

    ``gap`` is the space in points on either side of a column.
    """
    return "\n".join(
        [
            *map(comment, said),
            rf"\begin{{{name}}}[t]",
            rf"\caption{{{caption}}}",
            rf"\label{{tab:{label}}}",
            rf"\centering{size}\medskip",
            rf"\setlength{{\tabcolsep}}{{{gap:g}pt}}",
            *body,
            rf"\end{{{name}}}",
        ]
    )


def heading(table: Table) -> str:
    """The table's title, escaped, without a leading "Table 1:" or "Figure 2:"."""
    text = re.sub(r"^(REHEARSAL: )?(?:Table|Figure) \d+: ", r"\1", title(table))
    return escape(text[:1].upper() + text[1:])


def seeds_text(counts: Sequence[int]) -> str:
    """``3 to 5 seeds``."""
    least, most = min(counts), max(counts)
    if most == 1:
        return "one seed"
    return f"{most} seeds" if least == most else f"{least} to {most} seeds"


def row(cells: Sequence[str]) -> str:
    """A line of a tabular, from ``cells`` that are escaped already."""
    # A bracket or a star that begins a row would be read as an option of the \\ before it.
    protected = (f"{{{cell}}}" if cell[:1] in {"[", "*"} else cell for cell in cells)
    return " & ".join(protected).rstrip() + r" \\"


@dataclass(frozen=True)
class _Group:
    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class _Part:
    """A column of the table, which takes one or two columns of the tabular."""

    title: str
    heads: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]  # a line for each row of each group

    @property
    def width(self) -> float:
        return 2 * _GAP + max(self.inner, SMALL * max(map(width, self.lines_of_title)))

    @property
    def inner(self) -> float:
        """The width of its numbers."""
        columns = zip(*(self.heads, *self.lines), strict=True)
        gaps = 2 * _GAP * (len(self.heads) - 1)
        return gaps + sum(SMALL * max(map(width, texts)) for texts in columns)

    @property
    def lines_of_title(self) -> tuple[str, ...]:
        fits = SMALL * width(self.title) <= self.inner
        return (self.title,) if fits else halves(self.title)


def _one(table: Table, digits: int) -> str:
    groups = list(_groups(table))
    counts = [len(c.values) for g in groups for r in g.rows for c in r.cells if c.values]
    said = [title(table), *cell_notes(table), *remarks(table), *_left_out(table)]
    if not counts:
        return "\n".join(map(comment, [*said, "Nothing is printed: no seed is finished."]))
    parts = [
        _part(table, place, groups, max(counts), digits) for place in range(len(table.columns))
    ]
    names = [r.name for group in groups for r in group.rows]
    name_width = min(SMALL * max(map(width, names)), COLUMN / 2)
    kind, limit = "table", COLUMN
    blocks = list(_blocks(parts, limit - name_width))
    if len(blocks) > 1:
        kind, limit = "table*", PAGE
        blocks = list(_blocks(parts, limit - name_width))
    gap = min(_gap(block, limit - name_width) for block in blocks)
    fewer = ", or as many as in brackets" if min(counts) < max(counts) else ""
    spread = r" $\pm$ sd" if max(counts) > 1 else ""
    caption = rf"{heading(table)}: accuracy (\%){spread}, {seeds_text([max(counts)])}{fewer}."
    body = r"\par\medskip".join(
        f"{_tabular(block, groups, name_width)}\n" for block in blocks
    ).rstrip()
    notes = section_notes(section for section in table.sections if section.done)
    below = [rf"\par\smallskip {escape(note)}" for note in notes]
    return environment(kind, caption, table.name, [body, *below], said, gap)


def _groups(table: Table) -> Iterator[_Group]:
    """Other people's rows, then those of each section that have a finished seed."""
    if table.cited:
        yield _Group("", table.cited)
    for section in table.sections:
        if section.done:
            yield _Group(section_title(section), section.done)


def _left_out(table: Table) -> Iterator[str]:
    for section in table.sections:
        names = [r.name for r in section.rows if not r.is_done]
        if names:
            where = f" ({section_title(section)})" if section.name else ""
            yield f"Without a finished seed, so left out{where}: {', '.join(names)}."


def _part(table: Table, place: int, groups: Sequence[_Group], most: int, digits: int) -> _Part:
    cells = [r.cells[place] for group in groups for r in group.rows]
    in_paper = any(cell.paper is not None for cell in cells)
    lines = [
        (_measured(cell, most, digits), *([_paper(cell, digits)] if in_paper else []))
        for cell in cells
    ]
    heads = _MEASURED if in_paper else ("",)
    return _Part(plain(table.columns[place].name), heads, tuple(lines))


def _measured(cell: TableCell, most: int, digits: int) -> str:
    if cell.mean is None:
        return ""
    spread = "" if cell.std is None else f" ± {number(cell.std, digits)}"
    fewer = f" ({len(cell.values)})" if len(cell.values) < most else ""
    return f"{number(cell.mean, digits)}{spread}{fewer}"


def _paper(cell: TableCell, digits: int) -> str:
    return "" if cell.paper is None else number(cell.paper, digits)


def _blocks(parts: Sequence[_Part], limit: float) -> Iterator[list[_Part]]:
    """``parts`` in blocks of as many as fit ``limit`` points side by side, at least one."""
    block: list[_Part] = []
    for part in parts:
        if block and sum(p.width for p in (*block, part)) > limit:
            yield block
            block = []
        block.append(part)
    yield block


def _gap(block: Sequence[_Part], limit: float) -> float:
    """The points for which ``limit`` has room on either side of each column."""
    spare = (limit - sum(part.width for part in block)) / (2 * sum(len(p.heads) for p in block))
    return min(_WIDEST_GAP, math.floor(2 * (_GAP + max(0.0, spare))) / 2)


def _tabular(block: Sequence[_Part], groups: Sequence[_Group], name_width: float) -> str:
    columns = sum(len(part.heads) for part in block)
    body: list[str] = []
    place = 0
    for group in groups:
        lines = []
        for one in group.rows:
            texts = [text for part in block for text in part.lines[place]]
            place += 1
            if any(texts):
                lines.append(row([boxed(one.name, name_width, SMALL), *map(escape, texts)]))
        if lines:
            body += [r"\midrule", *_section_line(group.title, columns + 1), *lines]
    return "\n".join(
        [
            rf"\begin{{tabular}}{{@{{}}l{'r' * columns}@{{}}}}",
            r"\toprule",
            *_header(block),
            *body,
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _section_line(name: str, columns: int) -> list[str]:
    """The line with a section's name above its rows; none without a name."""
    if not name:
        return []
    return [rf"\multicolumn{{{columns}}}{{@{{}}l}}{{\textit{{{escape(name)}}}}} \\"]


def boxed(text: str, limit: float, size: float, after: str = "") -> str:
    """``text`` of that ``size``, broken into lines of ``limit`` points where it is wider."""
    inner = escape(text) + after
    if size * width(text) <= limit:
        return inner
    return rf"\parbox[t]{{{limit:.0f}pt}}{{\raggedright {inner}\strut}}"


def _header(block: Sequence[_Part]) -> list[str]:
    titles, rules, heads, place = [""], [], [""], 2
    for part in block:
        count = len(part.heads)
        titles.append(rf"\multicolumn{{{count}}}{{c}}{{{_stacked(part.lines_of_title)}}}")
        heads += part.heads
        if count > 1:
            rules.append(rf"\cmidrule(lr){{{place}-{place + count - 1}}}")
        place += count
    return [row(titles), *(["".join(rules), row(heads)] if rules else [])]


def _stacked(lines: Sequence[str]) -> str:
    if len(lines) == 1:
        return escape(lines[0])
    inner = r" \\ ".join(map(escape, lines))
    return rf"\begin{{tabular}}[b]{{@{{}}c@{{}}}}{inner}\end{{tabular}}"
