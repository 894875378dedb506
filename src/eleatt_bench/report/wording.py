"""A table in words: what stands in its cells and below it, the same for every reader."""

from __future__ import annotations

from collections.abc import Sequence

from eleatt_bench.report.numbers import DIGITS, NOTHING, number, signed
from eleatt_bench.tables.statistics import CONFIDENCE, LEAST_SEEDS
from eleatt_bench.tables.table import Claim, SampleTest, Section, Table, TableCell

_LISTED = 10  # tests of one claim


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
    """The paper's value and how far this project's is from it: ``84.3 (−19.2)``."""
    if cell.paper is None or cell.difference is None:
        return number(cell.paper, digits)
    return f"{number(cell.paper, digits)} ({signed(cell.difference, digits)})"


def devices(table: Table) -> list[str]:
    """What the table's runs were computed on; a time names one by its place, from 1 on."""
    return sorted({name for row in table.rows for cell in row.cells for name in cell.seconds or ()})


def section_title(section: Section) -> str:
    """The section's name, or nothing where a table has but one."""
    return section.name[:1].upper() + section.name[1:]


def claim_line(claim: Claim) -> list[str]:
    """A claim, as `layout.CLAIM_HEADER` says."""
    return [
        f"{claim.better} > {claim.than}",
        claim.column,
        difference_text(claim),
        NOTHING if claim.paper is None else signed(claim.paper),
        verdict_text(claim),
        tests_text(claim),
    ]


def difference_text(claim: Claim) -> str:
    """``+1.2 [−0.3, +2.7]``."""
    found = claim.difference
    if found.mean is None:
        return NOTHING
    if found.low is None or found.high is None:
        return signed(found.mean)
    return f"{signed(found.mean)} [{signed(found.low)}, {signed(found.high)}]"


def verdict_text(claim: Claim) -> str:
    """The verdict with the number of seeds, and how many would decide where it is undecided."""
    found = claim.difference
    text = f"{found.verdict} at {found.count} seed{'s' * (found.count != 1)}"
    if found.verdict != "undecided":
        return text
    if found.seeds_to_decide is not None:
        return f"{text}; {found.seeds_to_decide} would decide"
    if found.count < LEAST_SEEDS:
        return f"{text}; {LEAST_SEEDS} at least"
    return f"{text}; a thousand would not decide"


def tests_text(claim: Claim) -> str:
    """What the same test samples say, seed by seed: values of p, or intervals.

    Of more seeds than anyone would read, how many say that the rows differ, and which way.
    """
    if not claim.tests:
        return NOTHING
    intervals = [t.interval for t in claim.tests if t.interval is not None]
    if len(claim.tests) > _LISTED:
        return _counted(claim.tests)
    if intervals:
        return ", ".join(f"[{signed(low)}, {signed(high)}]" for low, high in intervals)
    return "p " + ", ".join(_p(t.p) for t in claim.tests if t.p is not None)


def _counted(tests: Sequence[SampleTest]) -> str:
    """``p < 0.05 for 3 better and 1 worse of 20``."""
    signs = [_sign(test) for test in tests]
    sure = "interval without 0" if tests[0].interval is not None else f"p < {1 - CONFIDENCE:.2g}"
    return f"{sure} for {signs.count(1)} better and {signs.count(-1)} worse of {len(tests)}"


def _sign(test: SampleTest) -> int:
    """1 if the row that is said to be better is so, −1 if the other is, 0 if that is not sure."""
    if test.interval is not None:
        return int(test.interval.low > 0) - int(test.interval.high < 0)
    if test.p is None or test.p >= 1 - CONFIDENCE:
        return 0
    return 1 if test.better_only > test.than_only else -1


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
    "Claims: mean difference in percentage points and its 95 % t interval, paired by seed; "
    "reproduced if the interval lies above 0, not reproduced if it lies below, undecided under "
    f"{LEAST_SEEDS} seeds. So many seeds would decide: the least n for which "
    "t(0.975, n − 1) · s / √n is below the difference, if that and its standard deviation s stay "
    "as they are."
)


def _claim_notes(table: Table) -> list[str]:
    if not table.claims:
        return []
    found = [_CLAIMS]
    tests = [test for claim in table.claims for test in claim.tests]
    if any(test.p is not None for test in tests):
        found.append(
            "Same samples: p of McNemar's exact test, on those that only one of the two has right."
        )
    if any(test.interval is not None for test in tests):
        found.append(
            "Same samples: 95 % interval of the difference when test samples, each with all its "
            "folds, are drawn anew (paired bootstrap)."
        )
    return found


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def seconds_text(cell: TableCell, table: Table) -> str:
    """Seconds of an epoch; where there are several, each with the number of its device."""
    if not cell.seconds:
        return NOTHING
    places = devices(table)
    marks = [f" [{places.index(name) + 1}]" if len(places) > 1 else "" for name in cell.seconds]
    times = (f"{value:.3g}" if value < 100 else f"{value:.0f}" for value in cell.seconds.values())
    return ", ".join(time + mark for time, mark in zip(times, marks, strict=True))
