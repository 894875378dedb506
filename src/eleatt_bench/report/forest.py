"""What a forest plot shows: the claims of some tables, line by line, and how each is marked.

The plots in print, on pages and in terminals share it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from eleatt_bench.report.wording import claim_text, is_tested, section_title, title
from eleatt_bench.tables.judgement import Judgement, Verdict
from eleatt_bench.tables.statistics import Bounds
from eleatt_bench.tables.table import Claim, Table

CLAIM, SECTION, TABLE = range(3)
"""What a `Heading` names, from the smallest part to the largest."""


class Heading(NamedTuple):
    text: str
    level: int


@dataclass(frozen=True)
class ForestLine:
    """A tested claim; its ``label`` does not repeat the headings above it."""

    label: str
    claim: Claim

    @property
    def judgement(self) -> Judgement:
        return self.claim.judgement


class Mark(NamedTuple):
    """How a verdict looks. Marks differ in shape as well as in colour.

    The colours follow Okabe and Ito, for a white background, so everyone can tell them apart.
    ``place`` is the colour's place in the palette of the pages.
    """

    sign: str
    shape: str  # as matplotlib calls it
    symbol: str  # as Plotly calls it
    colour: str
    place: int | None
    style: str  # in a terminal


_FOR = Mark("●", "o", "circle", "#0072B2", 0, "cyan")
_SMALLER = Mark("◀", "<", "triangle-left", "#00785A", 2, "green")
_LARGER = _SMALLER._replace(sign="▶", shape=">", symbol="triangle-right")
_AGAINST = Mark("▼", "v", "triangle-down", "#D55E00", 1, "yellow")
_SAME = Mark("■", "s", "square", "#222222", None, "")
_OPEN = Mark("○", "o", "circle-open", "#767676", 4, "dim")

MARKS = {
    Verdict.REPRODUCED: _FOR,
    Verdict.SMALLER: _SMALLER,
    Verdict.LARGER: _LARGER,
    Verdict.CONTRADICTED: _AGAINST,
    Verdict.BETTER: _FOR,
    Verdict.WORSE: _AGAINST,
    Verdict.NO_DIFFERENCE: _SAME,
    Verdict.UNDECIDED: _OPEN,
    Verdict.NOT_TESTED: _OPEN,
}
IS_OPEN = frozenset(verdict for verdict, mark in MARKS.items() if mark is _OPEN)
"""Verdicts whose marks are hollow."""


def forest(table: Table, *, named: bool = False) -> list[Heading | ForestLine]:
    """The tested claims of ``table``, below headings that say what they are about.

    If all claims are of one column, the label of a line is its claim, else its column. The table's
    title comes first if the table is ``named``.
    """
    tested = [claim for claim in table.claims if is_tested(claim)]
    single = len({claim.column for claim in table.claims}) == 1
    found: list[Heading | ForestLine] = []
    for section in table.sections:
        claims = [claim for claim in tested if claim.section == section.name]
        if claims and section.name:
            found.append(Heading(section_title(section), SECTION))
        above = None
        for claim in claims:
            text = claim_text(claim)
            if not single and text != above:
                found.append(Heading(text, CLAIM))
            above = text
            found.append(ForestLine(text if single else claim.column, claim))
    return [Heading(title(table), TABLE), *found] if found and named else found


def whole_forest(tables: Sequence[Table]) -> list[Heading | ForestLine]:
    """The tested claims of all ``tables``, below the tables' titles if there are several."""
    return [one for table in tables for one in forest(table, named=len(tables) > 1)]


def lines_of(shown: Iterable[Heading | ForestLine]) -> list[ForestLine]:
    """The lines among ``shown``."""
    return [one for one in shown if isinstance(one, ForestLine)]


def reach(judgements: Iterable[Judgement]) -> Bounds:
    """The ends of an axis that shows 0, every difference, the paper's differences and the margins.

    It shows whole intervals too, unless they are much wider than all that.
    """
    core, ends = [0.0], []
    for found in judgements:
        core += [found.mean or 0.0, -found.margin, found.margin]
        core += [] if found.paper is None else [found.paper]
        ends += [end for end in (found.low, found.high) if end is not None]
    low, high = min(core), max(core)
    most = high - low
    low = max(low - most, min([low, *ends]))
    high = min(high + most, max([high, *ends]))
    air = 0.04 * (high - low)
    return Bounds(low - air, high + air)
