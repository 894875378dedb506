"""Write the figures of docs/verdicts.md, from the file of scripts/simulate_verdicts.py.

    .venv/bin/python scripts/verdicts_page.py docs/verdicts/simulation.csv docs/verdicts.md

They go between the marks `<!-- simulated: NAME -->` and `<!-- end -->`; the words around them are
written by hand. Levels and detectable differences are computed here, by the package itself.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Callable
from pathlib import Path

from simulate_verdicts import looks_of_tables

from eleatt_bench.tables.judgement import Verdict
from eleatt_bench.tables.power import detectable, seeds_needed
from eleatt_bench.tables.verdicts import levels_of

Row = dict[str, str]
LOOKS = looks_of_tables()
COUNTS = (3, 5, 10, 20)


def table(heads: list[str], lines: list[list[str]]) -> str:
    rules = ["---"] + ["---:"] * (len(heads) - 1)
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, rules, *lines))


def percent(row: Row) -> str:
    return f"{100 * float(row['value']):.1f} ± {100 * float(row['error']):.1f}"


def points(row: Row) -> str:
    return f"{float(row['value']):.2f}"


def pivot(rows: list[Row], column: str, text: Callable[[Row], str] = percent, **of: str) -> str:
    """A line for each case, a column for each value of another key; ``of`` picks the rows."""
    rows = [row for row in rows if all(row[key] == value for key, value in of.items())]
    columns = list(dict.fromkeys(row[column] for row in rows))
    lines: dict[str, dict[str, str]] = {}
    for row in rows:
        lines.setdefault(row["case"], {})[row[column]] = text(row)
    body = [[case, *(found.get(name, "–") for name in columns)] for case, found in lines.items()]
    heads = [f"looks at {name}" if column == "looks" else name for name in columns]
    return table(["", *heads], body)


def unplanned(rows: list[Row]) -> str:
    found = [row for row in rows if row["part"] == "unplanned"]
    return table(["", *(row["case"] for row in found)], [["%", *(percent(r)[:4] for r in found)]])


def levels(_: list[Row]) -> str:
    """The nominal levels, in %."""
    names = [", ".join(map(str, looks)) for looks in LOOKS]
    found = [levels_of(looks) for looks in LOOKS]
    lines = [
        ["two-sided, of a direction", *(f"{100 * level.sign:.2f} %" for level in found)],
        ["one-sided, of the margin", *(f"{100 * level.margin:.2f} %" for level in found)],
        ["two-sided, of the paper's size", *(f"{100 * level.size:.2f} %" for level in found)],
    ]
    return table(["", *(f"looks at {name}" for name in names)], lines)


def power(rows: list[Row]) -> str:
    """How often each case gets which verdict, in %, most often first, and its mean seeds."""
    said: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows:
        if row["part"] == "power" and row["measure"] in (*Verdict, "seeds"):
            said.setdefault((row["case"], row["looks"]), {})[row["measure"]] = float(row["value"])
    texts = []
    for (case, looks), words in said.items():
        seeds = words.pop("seeds")
        often = sorted(words.items(), key=lambda item: -item[1])
        text = "; ".join(f"{100 * share:.0f} {word}" for word, share in often if share >= 0.005)
        text += f" ({seeds:.1f} seeds)" if "," in looks else ""
        texts.append({"case": case, "looks": looks, "value": text})
    return pivot(texts, "looks", lambda row: row["value"]).replace("---:", "---")


def detectables(_: list[Row]) -> str:
    """At a spread of 1: the differences that so many seeds find, and the seeds that some need."""
    lines = []
    for looks in LOOKS:
        level = levels_of(looks).sign
        lines.append(
            [f"looks at {', '.join(map(str, looks))}"]
            + [f"{detectable(1, n, level):.2f}" for n in COUNTS]
            + [str(seeds_needed(difference, 1, level)) for difference in (0.5, 1, 2)]
        )
    heads = [f"{n} seeds find" for n in COUNTS]
    return table(["", *heads, "0.5 needs", "1 needs", "2 needs"], lines)


def stops(rows: list[Row], part: str = "stops") -> str:
    cases: dict[str, dict[str, Row]] = {}
    for row in rows:
        if row["part"] == part:
            cases.setdefault(row["case"], {})[row["measure"]] = row
    columns = {
        "decided": ("% decided there", percent),
        "mean": ("mean then", points),
        "mean of all": ("mean of 20", points),
        "undecided by all": ("% with 0 inside at 20", percent),
    }
    told = {name: column for name, column in columns.items() if name in next(iter(cases.values()))}
    body = [[case, *(text(of[m]) for m, (_, text) in told.items())] for case, of in cases.items()]
    return table(["difference, decided", *(head for head, _ in told.values())], body)


SECTIONS: dict[str, Callable[[list[Row]], str]] = {
    "unplanned": unplanned,
    "levels": levels,
    "null": lambda rows: pivot(rows, "looks", part="null", measure="wrong sign"),
    "edge": lambda rows: pivot(rows, "looks", part="edge", measure="wrong no difference"),
    "size": lambda rows: pivot(rows, "looks", part="paper", measure="wrong size"),
    "power": power,
    "detectable": detectables,
    "stops": stops,
    "alike": lambda rows: stops(rows, "alike"),
    "chance": lambda rows: pivot(rows, "looks", part="chance").replace("looks at ", ""),
    "families": lambda rows: pivot(
        [{**row, "case": row["measure"]} for row in rows], "looks", part="families"
    ),
}
_MARKED = re.compile(r"(<!-- simulated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def page(text: str, rows: list[Row]) -> str:
    """``text`` with the figures of ``rows`` between its marks."""
    return _MARKED.sub(lambda mark: f"{mark[1]}{SECTIONS[mark[2]](rows)}\n{mark[3]}", text)


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("usage: verdicts_page.py FILE.csv PAGE.md")
    figures, where = map(Path, sys.argv[1:])
    with figures.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    where.write_text(page(where.read_text(encoding="utf-8"), rows), encoding="utf-8")


if __name__ == "__main__":
    main()
