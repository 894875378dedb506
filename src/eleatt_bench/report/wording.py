"""A table in words: what stands in its cells and below it, the same for every reader."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from eleatt_bench.report.numbers import DIGITS, NOTHING, number, signed
from eleatt_bench.report.verdict_text import SIGNS, judgement_text, marks, outlook
from eleatt_bench.tables.judgement import Judgement, Verdict
from eleatt_bench.tables.statistics import CONFIDENCE, ERROR
from eleatt_bench.tables.table import Claim, Crossed, Section, Table, TableCell


def cell_text(cell: TableCell, digits: int = DIGITS) -> str:
    """``95.3 ± 0.4 (n=3)``, or ``95.1 ± – (1/3 seeds)`` while seeds are missing."""
    if not cell.results:
        return NOTHING
    asked, done = len(cell.results), len(cell.values)
    count = f"n={done}" if done == asked else f"{done}/{asked} seeds"
    if cell.runs > asked and done < asked:
        count += f", {cell.finished}/{cell.runs} runs"
    if cell.mean is None:
        return count
    return f"{number(cell.mean, digits)} ± {number(cell.std, digits)} ({count})"


def paper_text(cell: TableCell, digits: int = DIGITS) -> str:
    """The paper's value, and this project's difference from it: ``84.3 (−19.2)``."""
    if cell.paper is None or cell.difference is None:
        return number(cell.paper, digits)
    return f"{number(cell.paper, digits)} ({signed(cell.difference, digits)})"


def devices(table: Table) -> list[str]:
    """What the table's runs were computed on; a time names one by its place, counted from 1."""
    return sorted({name for row in table.rows for cell in row.cells for name in cell.seconds or ()})


def section_title(section: Section) -> str:
    """The section's name, capitalised; empty in a table without sections."""
    return section.name[:1].upper() + section.name[1:]


def claim_text(claim: Claim) -> str:
    """``EleAtt-GRU > GRU``."""
    return f"{claim.better} > {claim.than}"


def claim_place(claim: Claim) -> str:
    """``from scratch, EleAtt-GRU > GRU, cross_view``."""
    return ", ".join(filter(None, (claim.section, claim_text(claim), claim.column)))


def open_text(claim: Claim) -> str:
    """What an undecided claim waits for, in one line; empty for other claims."""
    said = "; ".join(outlook(claim.judgement))
    return f"{claim_place(claim)}: {said}." if said else ""


def is_tested(claim: Claim) -> bool:
    return claim.judgement.verdict is not Verdict.NOT_TESTED


def claim_line(claim: Claim, digits: int = DIGITS) -> list[str]:
    """The texts of a claim, in the columns of `grid.CLAIM_HEADER`."""
    found = claim.judgement
    return [
        claim_text(claim),
        claim.column,
        interval_text(found, digits),
        interval_text(claim.crossed, digits),
        NOTHING if found.paper is None else signed(found.paper, digits),
        judgement_text(found) + family_mark(claim),
    ]


def interval_text(found: Judgement | Crossed | None, digits: int = DIGITS) -> str:
    """``+1.2 [−0.3, +2.7]``."""
    if found is None or found.mean is None:
        return NOTHING
    center = signed(found.mean, digits)
    if found.low is None or found.high is None:
        return center
    return f"{center} [{signed(found.low, digits)}, {signed(found.high, digits)}]"


def family_mark(claim: Claim) -> str:
    """A star if the claim is not exploratory and holds for all claims of the table together."""
    holds = claim.holm is not None and claim.holm <= ERROR and not claim.judgement.exploratory
    return "*" if holds else ""


def verdict_signs(claim: Claim) -> str:
    """The signs for all remarks on the verdict: ``*‡``."""
    return family_mark(claim) + "".join(SIGNS[mark] for mark in marks(claim.judgement))


def sign_notes(claims: Sequence[Claim]) -> list[str]:
    """What the signs of `verdict_signs` mean, for those that ``claims`` have."""
    used = {mark for claim in claims for mark in marks(claim.judgement)}
    signs = (f"{sign} {mark}" for mark, sign in SIGNS.items() if mark in used)
    return [*family_note(claims), *signs]


def family_note(claims: Sequence[Claim]) -> list[str]:
    """What the star of `family_mark` means, if any of ``claims`` has it."""
    return [_FAMILY] if any(family_mark(claim) for claim in claims) else []


_FAMILY = "* holds for all claims of the table together (Holm, 5 %)"

_REHEARSAL = (
    "A REHEARSAL (quick=true) of a few epochs, seeds, folds and samples, to see that everything "
    "runs: its numbers are no results."
)


def title(table: Table) -> str:
    """The title above the table."""
    return f"REHEARSAL: {table.title}" if table.rehearsal else table.title


def notes(table: Table) -> list[str]:
    """The notes below the table and its claims."""
    return [*cell_notes(table), *claim_notes(table), *crossed_notes(table), *remarks(table)]


def cell_notes(table: Table) -> list[str]:
    """What the numbers in the cells are."""
    found = ["Accuracy in %: mean ± sample standard deviation over n seeds"]
    if any(column.folds > 1 for column in table.columns):
        found[-1] += (
            ", each seed being the mean over all folds; ± folds: sample standard deviation over "
            "the folds of a seed, averaged over seeds"
        )
    found[-1] += "."
    for row in {row.name: row for row in table.rows}.values():
        if row.members:
            found.append(
                f"{row.name}: the mean of the probabilities of {', '.join(row.members)}, seed by "
                "seed; parameters and times are their sums."
            )
    if any(table.in_paper):
        note = "paper: the value printed in the paper"
        found.append(f"{note}, {table.paper_note}." if table.paper_note else f"{note}.")
    found += section_notes(table.sections)
    return found + _device_notes(table)


def section_notes(sections: Iterable[Section]) -> list[str]:
    """What the paper's values beside ``sections`` are."""
    named = ((section_title(section), section.note) for section in sections if section.note)
    return [f"{': '.join(filter(None, one))}." for one in named]


def remarks(table: Table) -> list[str]:
    """Remarks on all numbers of the table, such as that it is a rehearsal, or what is missing."""
    found = [_REHEARSAL] if table.rehearsal else []
    if table.finished < table.runs:
        found.append(f"{table.finished} of {table.runs} runs are done. The others: {table.command}")
    return [*found, *table.notes]


def _device_notes(table: Table) -> list[str]:
    found = devices(table)
    if not found:
        return []
    if len(found) == 1:
        return [f"{_SECONDS} {found[0]}."]
    listed = "; ".join(f"[{index}] {name}" for index, name in enumerate(found, start=1))
    return [f"{_SECONDS} {listed}."]


_SECONDS = "s/epoch: seconds of a training epoch, in the median of the runs, on"


_CLAIMS = (
    "Claims: mean difference in percentage points, paired by seed, and from three seeds on its t "
    "interval at "
)
_CROSSED = "Over {groups} too: the same with seeds and {groups} as crossed random effects."


def claim_notes(table: Table) -> list[str]:
    """What the numbers of the claims are, and how many claims have none."""
    tested = [claim for claim in table.claims if is_tested(claim)]
    found = [f"{_CLAIMS}{levels_text(tested)}.", f"{margins_text(tested)}."] if tested else []
    if len(tested) < len(table.claims):
        done = len(tested) or "None"
        found.append(f"{done} of {len(table.claims)} claims of {table.name} tested.")
    return found


def levels_text(claims: Sequence[Claim]) -> str:
    """``98.05 %, over the looks of a claim 95 %``, or for single looks ``95 %``.

    If there are several levels, each names its columns.
    """
    columns: dict[float, dict[str, None]] = {}
    for claim in claims:
        columns.setdefault(claim.judgement.confidence, {})[claim.column] = None
    several = len(columns) > 1
    listed = [
        f"{100 * level:.4g} %" + (f" ({', '.join(names)})" if several else "")
        for level, names in columns.items()
    ]
    said = " or ".join(listed)
    return said if max(columns) <= CONFIDENCE else f"{said}, over the looks of a claim 95 %"


def margins_text(claims: Sequence[Claim]) -> str:
    """``Differences within ±1 point do not matter``."""
    margins = sorted({claim.judgement.margin for claim in claims})
    least, most = (f"{margin:.3g}" for margin in (margins[0], margins[-1]))
    if least == most:
        return f"Differences within ±{least} point{'s' * (margins[0] != 1)} do not matter"
    return f"Differences within ±{least} to ±{most} points do not matter, as the claim has it"


def crossed_notes(table: Table) -> list[str]:
    """What the second interval of a claim is, where it is shown."""
    groups = dict.fromkeys(claim.groups for claim in table.claims if claim.crossed is not None)
    return [_CROSSED.format(groups=name) for name in groups]


def seconds_text(cell: TableCell, table: Table) -> str:
    """The seconds of an epoch, each with its device's number if the table has several devices."""
    if not cell.seconds:
        return NOTHING
    places = devices(table)
    marks = [f" [{places.index(name) + 1}]" if len(places) > 1 else "" for name in cell.seconds]
    times = (f"{value:.3g}" if value < 100 else f"{value:.0f}" for value in cell.seconds.values())
    return ", ".join(time + mark for time, mark in zip(times, marks, strict=True))
