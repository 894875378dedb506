"""The typed schema of a table: what ``configs/table/`` may say. Part of `config.schema`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


@dataclass
class ColumnConfig:
    name: str = MISSING
    metric: str = "accuracy"
    overrides: list[str] = field(default_factory=list)
    folds: Any = None  # a list of folds, or all; None: the one fold that data.fold says
    looks: list[int] = field(default_factory=list)  # empty: those of the table
    minutes: float | None = None  # time of a run on one core of a server, if known


@dataclass
class RowConfig:
    name: str = MISSING
    overrides: list[str] = field(default_factory=list)
    # the rows that it averages, seed by seed; it has no runs of its own
    ensemble: list[str] = field(default_factory=list)
    paper: dict[str, float] = field(default_factory=dict)  # column: accuracy in %


@dataclass
class SectionConfig:
    """All rows once more, with ``overrides`` of its own."""

    name: str = MISSING
    overrides: list[str] = field(default_factory=list)
    in_paper: bool = True  # false: the paper's values are of something else, so claims have none
    paper_note: str = ""  # remark on the paper's values in this section


@dataclass
class CitedConfig:
    name: str = MISSING
    paper: dict[str, float] = field(default_factory=dict)


@dataclass
class ClaimConfig:
    """The row ``better`` has a higher accuracy than the row ``than``."""

    better: str = MISSING
    than: str = MISSING
    columns: list[str] = field(default_factory=list)  # empty: all columns
    margin: float | None = None  # points that do not matter; None: see tables.judgement.margin_of


@dataclass
class TableConfig:
    name: str = MISSING
    title: str = MISSING
    tables: list[str] = field(default_factory=list)  # parts of a table that has nothing else
    overrides: list[str] = field(default_factory=list)
    looks: list[int] = field(default_factory=list)  # numbers of seeds; empty: one look at all seeds
    seeds: list[int] = field(default_factory=list)  # empty: 0, 1, … as many as the last look needs
    columns: list[ColumnConfig] = field(default_factory=list)
    sections: list[SectionConfig] = field(default_factory=list)  # empty: the rows as they are
    rows: list[RowConfig] = field(default_factory=list)
    cited: list[CitedConfig] = field(default_factory=list)
    claims: list[ClaimConfig] = field(default_factory=list)
    paper_note: str = ""  # remark on every value of the paper
    notes: list[str] = field(default_factory=list)
