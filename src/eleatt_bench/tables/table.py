"""The numbers that a table shows; `eleatt_bench.report` writes them for people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

from eleatt_bench.tables.judgement import Judgement
from eleatt_bench.tables.statistics import CONFIDENCE, LEAST_SEEDS, Bounds, mean, quantile, std


class Collapse(StrEnum):
    FELL_EARLY = "its learning rate fell before accuracy rose"
    LOW = "its accuracy lies far below the other seeds'"


class Crossed(NamedTuple):
    """The mean difference in percentage points, with an interval over seeds and groups."""

    mean: float
    low: float
    high: float
    groups: int
    degrees: float
    """Degrees of freedom of the interval."""

    @property
    def direction(self) -> int:
        """1 where the interval lies above 0, −1 where it lies below, else 0."""
        return int(self.low > 0) - int(self.high < 0)


class RunSource(NamedTuple):
    """The run that has an accuracy, and the content digest of its data."""

    run_id: str
    data_digest: str


@dataclass(frozen=True)
class SeedResult:
    """The accuracies (%) of one seed, one per fold; None where the run is not finished."""

    seed: int
    accuracies: tuple[float | None, ...]
    runs: tuple[RunSource | None, ...] = ()  # empty for an ensemble: its members' rows have them

    @property
    def done(self) -> tuple[float, ...]:
        return tuple(value for value in self.accuracies if value is not None)

    @property
    def mean(self) -> float | None:
        """The mean over all folds; None while one is missing."""
        return mean(self.done) if len(self.done) == len(self.accuracies) else None


@dataclass(frozen=True)
class TableCell:
    """One row and column: the results of its runs, and the paper's value.

    ``results`` are those of the seeds of the first look, and of later seeds that have a finished
    run; a cited row has none. ``seconds`` are those of an epoch, by device: the median of the runs
    there.
    """

    results: tuple[SeedResult, ...]
    paper: float | None
    parameters: int | None = None
    seconds: Mapping[str, float] | None = None
    collapsed: Mapping[int, Collapse] = field(default_factory=dict)  # seeds that collapsed, and how

    @cached_property
    def by_seed(self) -> dict[int, float]:
        """The mean over folds of every seed whose folds are all finished."""
        means = ((result.seed, result.mean) for result in self.results)
        return {seed: value for seed, value in means if value is not None}

    @property
    def values(self) -> tuple[float, ...]:
        return tuple(self.by_seed.values())

    @property
    def mean(self) -> float | None:
        return mean(self.values)

    @property
    def std(self) -> float | None:
        """Sample standard deviation over seeds (n − 1); None for fewer than two."""
        return std(self.values)

    @property
    def interval(self) -> Bounds | None:
        """The 95 % t interval of the mean over seeds, cut off at 0 and 100.

        None for fewer than `LEAST_SEEDS` seeds.
        """
        if self.mean is None or self.std is None or len(self.values) < LEAST_SEEDS:
            return None
        count = len(self.values)
        half = quantile(count, 1 - CONFIDENCE) * self.std / math.sqrt(count)
        return Bounds(max(0.0, self.mean - half), min(100.0, self.mean + half))

    @property
    def fold_std(self) -> float | None:
        """Sample standard deviation over the folds of a seed, averaged over finished seeds."""
        finished = [r for r in self.results if r.mean is not None]
        return mean([spread for r in finished if (spread := std(r.done)) is not None])

    @property
    def difference(self) -> float | None:
        """The mean less the paper's value."""
        return None if self.mean is None or self.paper is None else self.mean - self.paper

    @property
    def runs(self) -> int:
        """How many runs the cell needs, seeds × folds."""
        return sum(len(result.accuracies) for result in self.results)

    @property
    def finished(self) -> int:
        return sum(len(result.done) for result in self.results)


@dataclass(frozen=True)
class Row:
    name: str
    cells: tuple[TableCell, ...]
    members: tuple[str, ...] = ()  # the rows that it is an ensemble of

    @property
    def is_done(self) -> bool:
        """Whether a seed is finished in any column."""
        return any(cell.values for cell in self.cells)


@dataclass(frozen=True)
class Section:
    """The rows of this project, under one name; ``paper_note`` is about their paper values.

    If a section is not ``in_paper``, its paper values belong to something else, and its claims have
    no difference of the paper's.
    """

    name: str
    rows: tuple[Row, ...]
    paper_note: str = ""
    in_paper: bool = True

    @property
    def note(self) -> str:
        """What is said of its paper values; empty if they are what they seem."""
        return self.paper_note or ("" if self.in_paper else "the paper has no such section")

    @property
    def done(self) -> tuple[Row, ...]:
        """The rows with a finished seed."""
        return tuple(row for row in self.rows if row.is_done)


@dataclass(frozen=True)
class Column:
    name: str
    folds: int = 1  # a cell is the mean of so many


@dataclass(frozen=True)
class SampleTest:
    """Whether two runs of one seed differ on the same test samples.

    ``better_only`` and ``than_only`` count the samples that only one of them has right. With one
    fold there is McNemar's exact ``p``. With several, whose test sets may overlap, there is the
    95 % bootstrap ``interval`` of the difference.
    """

    seed: int
    better_only: int
    than_only: int
    p: float | None = None
    interval: Bounds | None = None


class Compared(NamedTuple):
    tests: tuple[SampleTest, ...]
    crossed: Crossed | None
    groups: str  # what ``crossed`` is over: subjects or samples

    def plain(self) -> dict[str, Any]:
        """The comparison as plain values, which JSON can hold."""
        tests = [{**vars(test), "interval": _listed(test.interval)} for test in self.tests]
        return {"tests": tests, "crossed": _listed(self.crossed), "groups": self.groups}

    @classmethod
    def of_plain(cls, values: Mapping[str, Any]) -> Compared:
        """The comparison whose `plain` values are ``values``."""
        ends = [None if t["interval"] is None else Bounds(*t["interval"]) for t in values["tests"]]
        tests = zip(values["tests"], ends, strict=True)
        return cls(
            tuple(SampleTest(**{**test, "interval": interval}) for test, interval in tests),
            None if values["crossed"] is None else Crossed(*values["crossed"]),
            values["groups"],
        )


def _listed(values: Sequence[float] | None) -> list[float] | None:
    return None if values is None else list(values)


NOTHING_COMPARED = Compared((), None, "samples")


@dataclass(frozen=True)
class Claim:
    """The claim that one row is better than another in a section and column, and its judgement."""

    section: str
    better: str
    than: str
    column: str
    judgement: Judgement  # the paper's difference is in it
    runs: str
    """A name for the runs of both rows: claims of the same runs, in whatever tables, are one."""
    crossed: Crossed | None = None
    """The difference with its interval over seeds and ``groups``, at the level of a look."""
    groups: str = "samples"  # or subjects
    holm: float | None = None
    """The claim's adjusted p among the claims of the table; None before its first look."""
    collapsed: tuple[int, ...] = ()  # seeds that collapsed in either row
    tests: tuple[SampleTest, ...] = ()  # one per seed whose predictions are there


@dataclass(frozen=True)
class Table:
    """What a table shows. The rows of ``sections`` are this project's, ``cited`` other people's."""

    name: str
    title: str
    columns: tuple[Column, ...]
    sections: tuple[Section, ...]
    cited: tuple[Row, ...]
    claims: tuple[Claim, ...]
    paper_note: str
    notes: tuple[str, ...]
    runs: int  # of the first look, and finished ones of later looks; pre-trainings included
    finished: int
    command: str  # trains the runs that the first look lacks
    rehearsal: bool = False  # its numbers mean nothing
    is_part: bool = False  # claims of it, or of tables shown with it, were left out

    @property
    def placed_rows(self) -> tuple[tuple[str, Row, bool], ...]:
        """The cited rows, then all others, each as (section, row, whether it is cited)."""
        ours = ((section.name, row, False) for section in self.sections for row in section.rows)
        return (*(("", row, True) for row in self.cited), *ours)

    @property
    def rows(self) -> tuple[Row, ...]:
        """The cited rows, then all others."""
        return tuple(row for _, row, _ in self.placed_rows)

    @property
    def in_paper(self) -> tuple[bool, ...]:
        """For each column, whether the paper has a number for any of its cells."""
        by_column = zip(*(row.cells for row in self.rows), strict=True)
        return tuple(any(cell.paper is not None for cell in cells) for cells in by_column)
