"""A table in words: what stands in its cells and below it, the same for every reader."""

from __future__ import annotations

from eleatt_bench.report.numbers import NOTHING, number, signed
from eleatt_bench.report.verdict_text import judgement_text
from eleatt_bench.tables.looks import ERROR
from eleatt_bench.tables.table import Claim, Section, Table, TableCell


def cell_text(cell: TableCell) -> str:
    """``95.3 ± 0.4 (n=3)``, or ``95.1 ± – (1/3 seeds)`` while seeds are missing."""
    if not cell.results:
        return NOTHING
    asked, done = len(cell.results), len(cell.values)
    count = f"n={done}" if done == asked else f"{done}/{asked} seeds"
    if cell.runs > asked and done < asked:
        count += f", {cell.finished}/{cell.runs} runs"
    if cell.mean is None:
        return count
    return f"{cell.mean:.1f} ± {number(cell.std)} ({count})"


def paper_text(cell: TableCell) -> str:
    """The paper's value and how far this project's is from it: ``84.3 (−19.2)``."""
    if cell.paper is None:
        return NOTHING
    if cell.difference is None:
        return f"{cell.paper:.1f}"
    return f"{cell.paper:.1f} ({signed(cell.difference)})"


def devices(table: Table) -> list[str]:
    """What the table's runs were computed on; a time names one by its place, from 1 on."""
    return sorted({name for row in table.rows for cell in row.cells for name in cell.seconds or ()})


def section_title(section: Section) -> str:
    """The section's name, or nothing where a table has but one."""
    return section.name[:1].upper() + section.name[1:]


def claim_line(claim: Claim) -> list[str]:
    """A claim, as `grid.CLAIM_HEADER` says."""
    found, both = claim.judgement, claim.crossed
    return [
        f"{claim.better} > {claim.than}",
        claim.column,
        interval_text(found.mean, found.low, found.high),
        NOTHING if both is None else interval_text(both.mean, both.low, both.high),
        NOTHING if found.paper is None else signed(found.paper),
        judgement_text(found) + family_mark(claim),
    ]


def interval_text(mean: float | None, low: float | None, high: float | None) -> str:
    """``+1.2 [−0.3, +2.7]``."""
    if mean is None:
        return NOTHING
    if low is None or high is None:
        return signed(mean)
    return f"{signed(mean)} [{signed(low)}, {signed(high)}]"


def family_mark(claim: Claim) -> str:
    """A star for a claim that holds for all of the table together."""
    return "*" if claim.holm is not None and claim.holm <= ERROR else ""


_REHEARSAL = (
    "A REHEARSAL (quick=true) of a few epochs, seeds, folds and samples, to see that everything "
    "runs: its numbers are no results."
)


def title(table: Table) -> str:
    """What stands above the table."""
    return f"REHEARSAL: {table.title}" if table.rehearsal else table.title


def notes(table: Table) -> list[str]:
    """What has to be said below the table."""
    found = ["Accuracy in %: mean ± sample standard deviation over n seeds"]
    if table.rehearsal:
        found.insert(0, _REHEARSAL)
    if any(column.folds > 1 for column in table.columns):
        found[-1] += (
            ", each seed being the mean over all folds; ± folds: sample standard deviation over "
            "the folds of a seed, averaged over seeds"
        )
    found[-1] += "."
    if any(table.in_paper):
        note = "paper: the value printed in the paper"
        found.append(f"{note}, {table.paper_note}." if table.paper_note else f"{note}.")
    for section in table.sections:
        if section.paper_note:
            found.append(f"{section_title(section)}: {section.paper_note}.")
    found += _device_notes(table) + _claim_notes(table)
    if table.finished < table.runs:
        found.append(f"{table.finished} of {table.runs} runs are done. The others: {table.command}")
    return [*found, *table.notes]


def _device_notes(table: Table) -> list[str]:
    found = devices(table)
    if not found:
        return []
    if len(found) == 1:
        return [f"s/epoch: mean seconds of a training epoch on {found[0]}."]
    listed = "; ".join(f"[{index}] {name}" for index, name in enumerate(found, start=1))
    return [f"s/epoch: mean seconds of a training epoch on {listed}."]


_CLAIMS = (
    "Claims: mean difference in percentage points, paired by seed, and its {percent:.4g} % t "
    "interval: over all looks of a claim it holds in 95 %. Over {groups} too: the same with seeds "
    "and {groups} as crossed random effects"
)


def _claim_notes(table: Table) -> list[str]:
    if not table.claims:
        return []
    found = []
    kinds = ((claim.judgement.confidence, claim.groups) for claim in table.claims)
    for confidence, groups in dict.fromkeys(kinds):
        found.append(_CLAIMS.format(percent=100 * confidence, groups=groups) + ".")
    if any(family_mark(claim) for claim in table.claims):
        found.append("*: it holds for all claims of the table together (Holm, 5 %).")
    return found


def seconds_text(cell: TableCell, table: Table) -> str:
    """Seconds of an epoch; where there are several, each with the number of its device."""
    if not cell.seconds:
        return NOTHING
    places = devices(table)
    marks = [f" [{places.index(name) + 1}]" if len(places) > 1 else "" for name in cell.seconds]
    times = (f"{value:.3g}" if value < 100 else f"{value:.0f}" for value in cell.seconds.values())
    return ", ".join(time + mark for time, mark in zip(times, marks, strict=True))
