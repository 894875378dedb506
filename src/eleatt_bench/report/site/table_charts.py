"""Charts of tables, made as in `eleatt_bench.report.site.charts`: accuracies, claims, losses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Any

from eleatt_bench.report.forest import MARKS, reach
from eleatt_bench.report.losses import LOSSES, Panels, band
from eleatt_bench.report.site.charts import Chart, Json, by_epoch, epochs_of, line, short
from eleatt_bench.report.wording import (
    claim_place,
    claim_text,
    is_tested,
    section_title,
    sign_notes,
    verdict_signs,
)
from eleatt_bench.runs.curves import Curve
from eleatt_bench.tables.judgement import Verdict
from eleatt_bench.tables.statistics import Bounds
from eleatt_bench.tables.table import Claim, Row, Section, Table

_ACROSS = 3  # columns side by side
_LEGEND: Json = {"orientation": "h", "yref": "container", "y": 1, "yanchor": "top", "x": 0}


def accuracies(table: Table, section: Section) -> Iterator[Chart]:
    """The paper's Figure 2: the means of rows with a finished seed, with their intervals.

    The seeds are shown too, and the paper's values if it has the section. A chart has up to
    `_ACROSS` columns side by side.
    """
    rows = section.done
    for first in range(0, len(table.columns), _ACROSS):
        places = range(len(table.columns))[first : first + _ACROSS]
        names = ", ".join(table.columns[place].name for place in places)
        data: list[Json] = []
        layout: Json = {
            "height": 120 + 34 * len(rows),
            "margin": {"l": 8, "r": 12, "t": 34, "b": 8},
            "grid": {"rows": 1, "columns": len(places), "pattern": "coupled", "xgap": 0.06},
            "showlegend": True,
            "legend": _LEGEND,
            "yaxis": _rows([row.name for row in rows]),
        }
        for number, place in enumerate(places):
            axis = str(number + 1) if number else ""
            of_column = {"text": f"{table.columns[place].name} (%)"}
            layout[f"xaxis{axis}"] = {"automargin": True, "nticks": 6, "title": of_column}
            common = {"xaxis": f"x{axis}", "showlegend": not number}
            data += _dots(rows, place, section.in_paper, common)
        says = f"Mean accuracies of {len(rows)} rows in {names}; the table above says the same"
        yield Chart(section_title(section) or "Accuracies", says, data, layout)


def _rows(names: Sequence[str], texts: Sequence[str] | None = None) -> Json:
    """An axis with a line for each of ``names``, the first on top."""
    return {
        "type": "category",
        "automargin": True,
        "categoryarray": list(names),
        "range": [len(names) - 0.5, -0.5],
        "tickmode": "array",
        "tickvals": list(names),
        "ticktext": list(texts or map(_plain, names)),
    }


def _dots(rows: Sequence[Row], place: int, in_paper: bool, common: Json) -> Iterator[Json]:
    cells = {row.name: row.cells[place] for row in rows}
    means = [(name, cell.mean) for name, cell in cells.items() if cell.mean is not None]
    ends = [cells[name].interval or Bounds(center, center) for name, center in means]
    mean = _marks("mean, 95 % interval", means, {"symbol": "circle", "size": 9}, 0)
    mean["error_x"] = _interval(
        [high - center for (_, center), (_, high) in zip(means, ends, strict=True)],
        [center - low for (_, center), (low, _) in zip(means, ends, strict=True)],
    )
    seeds = ((name, value) for name, cell in cells.items() for value in cell.values)
    papers = [(name, cell.paper) for name, cell in cells.items() if cell.paper is not None]
    yield mean | common
    yield _marks("a seed", seeds, {"symbol": "line-ns-open", "size": 8}, None) | common
    if papers and in_paper:
        yield _marks("the paper", papers, {"symbol": "diamond-open", "size": 10}, 1) | common


def _interval(above: Sequence[float], below: Sequence[float]) -> Json:
    return {"symmetric": False, "array": list(map(short, above)),
            "arrayminus": list(map(short, below)), "thickness": 2, "width": 0}  # fmt: skip


def _marks(name: str, points: Iterable[tuple[str, Any]], marker: Json, colour: int | None) -> Json:
    listed = list(points)
    return {
        "type": "scatter", "mode": "markers", "name": name, "legendgroup": name,
        "y": [y for y, _ in listed], "x": [short(x) for _, x in listed],
        "marker": marker,
        "hovertemplate": f"%{{y}}: %{{x:.1f}}<extra>{name}</extra>",
        "meta": {"colour": colour},
    }  # fmt: skip


def forest(tables: Sequence[Table], title: str) -> Chart | None:
    """The forest plot of all claims of ``tables`` that were tested; None where none was."""
    tested = [(t, claim) for t in tables for claim in t.claims if is_tested(claim)]
    if not tested:
        return None
    several = len(tables) > 1
    names = {_name(t, claim, several): claim for t, claim in tested}
    texts = [_two_lines(t, claim, several) for t, claim in tested]
    verdicts = {
        name: claim.judgement.verdict + verdict_signs(claim) for name, claim in names.items()
    }
    widest = max(map(len, verdicts.values()))
    layout = {
        "height": 130 + 36 * len(names),
        "margin": {"l": 8, "r": 20 + 7 * widest, "t": 34, "b": 8},
        "showlegend": True,
        "legend": _LEGEND,
        "xaxis": {"automargin": True, "title": {"text": "difference (percentage points)"},
                  "range": list(reach(claim.judgement for claim in names.values()))},
        "shapes": [{"type": "line", "x0": 0, "x1": 0, "y0": 0, "y1": 1, "yref": "paper",
                    "line": {"width": 1}}],
        "yaxis": _rows(list(names), texts),
        "annotations": [
            {"x": 1, "xref": "paper", "xanchor": "left", "xshift": 8, "y": name,
             "text": verdict, "showarrow": False}
            for name, verdict in verdicts.items()
        ],
    }  # fmt: skip
    says = f"Differences of {len(names)} claims with their intervals and verdicts, also in tables"
    data = [*_band(names), *_verdicts(names), *_papers(names)]
    return Chart(title, says, data, layout, tuple(sign_notes([*names.values()])))


def _name(table: Table, claim: Claim, several: bool) -> str:
    return f"{table.name}: {claim_place(claim)}" if several else claim_place(claim)


def _two_lines(table: Table, claim: Claim, several: bool) -> str:
    where = ", ".join(filter(None, (table.name if several else "", claim.section, claim.column)))
    return f"{_plain(claim_text(claim))}<br>{_plain(where)}"


def _plain(text: str) -> str:
    """``text`` with what Plotly would take for markup escaped."""
    return escape(text, quote=False)


def _band(names: dict[str, Claim]) -> Iterator[Json]:
    """The bands around 0, each as wide as its claim's margin."""
    x: list[float | None] = []
    y: list[str | None] = []
    for name, claim in names.items():
        x += [-claim.judgement.margin, claim.judgement.margin, None]
        y += [name, name, None]
    yield {
        "type": "scatter", "mode": "lines", "name": "differences that do not matter",
        "x": x, "y": y, "line": {"width": 18}, "hoverinfo": "skip",
        "meta": {"colour": None, "pale": True},
    }  # fmt: skip


def _verdicts(names: dict[str, Claim]) -> Iterator[Json]:
    """Differences with their intervals, by verdict."""
    for verdict in Verdict:
        mark = MARKS[verdict]
        found = {n: c.judgement for n, c in names.items() if c.judgement.verdict is verdict}
        if not found:
            continue
        points = ((name, one.mean) for name, one in found.items())
        trace = _marks(verdict, points, {"symbol": mark.symbol, "size": 10}, mark.place)
        half = [
            0.0 if one.high is None or one.mean is None else one.high - one.mean
            for one in found.values()
        ]
        # No legend is needed, since each verdict stands in words beside its mark.
        yield trace | {"error_x": _interval(half, half), "showlegend": False}


def _papers(names: dict[str, Claim]) -> Iterator[Json]:
    papers = [(n, c.judgement.paper) for n, c in names.items() if c.judgement.paper is not None]
    if papers:
        yield _marks("the paper", papers, {"symbol": "diamond-open", "size": 9}, None)


def losses(panels: Panels) -> list[Chart]:
    """The paper's Figure 4: a row's mean loss and ± s over its runs, by epoch."""
    return [
        Chart(
            _capitalised(", ".join(filter(None, (panel, name)))),
            f"Mean {name} by epoch of {len(rows)} rows, each with a band of one sample "
            "standard deviation",
            [trace for place, (row, of_row) in enumerate(rows.items())
             for trace in _loss(row, of_row[tag], place)],
            by_epoch(True, None, True) | {"height": 320},
        )
        for panel, rows in panels.items()
        for tag, name in LOSSES.items()
    ]  # fmt: skip


def _loss(name: str, of_row: Sequence[Curve], place: int) -> list[Json]:
    found = band(of_row)
    center = line(f"{name} (n={found.runs})", "", dict(zip(found.epochs, found.mean, strict=True)),
                 1, place)  # fmt: skip
    if found.runs < 2:
        return [center]
    edge = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "showlegend": False,
            "hoverinfo": "skip", "legendgroup": name, **epochs_of(found.epochs)}  # fmt: skip
    low = {**edge, "y": [short(value) for value in found.low], "meta": {"colour": place}}
    high = {**edge, "y": [short(value) for value in found.high], "fill": "tonexty",
            "meta": {"colour": place}}  # fmt: skip
    return [low, high, {**center, "legendgroup": name}]


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
