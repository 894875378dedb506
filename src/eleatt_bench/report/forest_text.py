"""The forest plot in characters: its claims line by line, on an axis above them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from textwrap import wrap

from rich.text import Text

from eleatt_bench.common.text import printable
from eleatt_bench.report.forest import MARKS, SECTION, TABLE, ForestLine, Heading, lines_of, reach
from eleatt_bench.report.wording import interval_text, sign_notes, verdict_signs
from eleatt_bench.tables.judgement import Judgement
from eleatt_bench.tables.statistics import Bounds

_ZERO, _BAND, _PAPER = "│", "░", "◇"
_WITHIN = {" ": "─", _BAND: "═", _ZERO: "┼"}
"""The sign of an interval where it covers each of these signs."""
_LABEL, _VERDICT = 30, 15  # characters: longer texts are wrapped
_PLOT = (15, 64)  # characters: at least (a shorter one says nothing), and at most
_STYLES = {TABLE: "bold", SECTION: "italic"}
_GAP = "  "


def forest_text(shown: Sequence[Heading | ForestLine], width: int, digits: int) -> Iterator[Text]:
    """The plot in lines of at most ``width`` characters, if that is enough for the words."""
    lines = lines_of(shown)
    limits = reach(line.judgement for line in lines)
    indent = _GAP if any(isinstance(one, Heading) for one in shown) else ""
    cells = {id(line): _cells(line, indent, digits) for line in lines}
    labels, intervals, verdicts = (
        max(len(text) for cell in cells.values() for text in cell[place]) for place in range(3)
    )
    plot = width - labels - intervals - verdicts - 3 * len(_GAP)
    plot = min(plot, _PLOT[1]) if plot >= _PLOT[0] else 0
    head = [" " * labels, scale(limits, plot) if plot else "", "difference".ljust(intervals)]
    yield Text(_GAP.join([*filter(None, head), "verdict"]), style="bold")
    for one in shown:
        if isinstance(one, Heading):
            yield Text(printable(one.text), style=_STYLES.get(one.level, ""))
            continue
        style = MARKS[one.judgement.verdict].style
        drawn = [strip(one.judgement, limits, plot)] if plot else []
        for label, picture, interval, verdict in zip_longest(
            cells[id(one)][0], drawn, *cells[id(one)][1:], fillvalue=""
        ):
            found = Text(label.ljust(labels) + _GAP)
            if plot:
                found.append(picture.ljust(plot) + _GAP, style)
            found.append(interval.ljust(intervals) + _GAP)
            found.append(verdict, style)
            found.rstrip()
            yield found


def key(lines: Sequence[ForestLine]) -> str:
    """What the signs in ``lines`` mean."""
    said = [f"{_BAND} {_WITHIN[_BAND]} differences that do not matter"]
    if any(line.judgement.paper is not None for line in lines):
        said.append(f"{_PAPER} the paper's")
    return "; ".join([*said, *sign_notes([line.claim for line in lines])])


def _cells(line: ForestLine, indent: str, digits: int) -> tuple[list[str], list[str], list[str]]:
    """The label, the interval and the verdict of ``line``, each wrapped to lines of text."""
    label = wrap(printable(line.label), _LABEL, initial_indent=indent, subsequent_indent=indent)
    verdict = line.judgement.verdict + verdict_signs(line.claim)
    return label, [interval_text(line.judgement, digits)], wrap(verdict, _VERDICT)


def strip(found: Judgement, limits: Bounds, width: int) -> str:
    """The interval of ``found`` on an axis of ``width`` characters."""
    at = _Places(limits, width)
    signs = [" "] * width
    for place in range(at(-found.margin), at(found.margin) + 1):
        signs[place] = _BAND
    signs[at(0)] = _ZERO
    if found.low is not None and found.high is not None:
        low, high = at(found.low), at(found.high)
        for place in range(low, high + 1):
            signs[place] = _WITHIN[signs[place]]
        signs[low] = "<" if found.low < limits.low else "├"
        signs[high] = ">" if found.high > limits.high else "┤"
    if found.paper is not None:
        signs[at(found.paper)] = _PAPER
    if found.mean is not None:
        signs[at(found.mean)] = MARKS[found.verdict].sign
    return "".join(signs)


def scale(limits: Bounds, width: int) -> str:
    """The numbers of an axis, 0 among them, above their places on it."""
    at = _Places(limits, width)
    signs = [" "] * width
    for value in _ticks(limits, width):
        text = f"{value:+g}".replace("-", "−") if value else "0"
        first = at(value) - len(text) // 2
        if first >= 0 and first + len(text) <= width:
            signs[first : first + len(text)] = text
    return "".join(signs)


class _Places:
    """From percentage points to characters; points beyond the axis are at its end."""

    def __init__(self, limits: Bounds, width: int) -> None:
        self._low, self._width = limits.low, width
        self._per_point = (width - 1) / (limits.high - limits.low)

    def __call__(self, points: float) -> int:
        place = round((points - self._low) * self._per_point)
        return min(max(place, 0), self._width - 1)


def _ticks(limits: Bounds, width: int) -> Sequence[float]:
    """Round numbers that are at least eight characters apart."""
    least = 8 * (limits.high - limits.low) / width
    power = 10.0 ** math.floor(math.log10(least))
    step = next(power * times for times in (1, 2, 5, 10) if power * times >= least)
    first, last = math.ceil(limits.low / step), math.floor(limits.high / step)
    return [step * count for count in range(first, last + 1)]
