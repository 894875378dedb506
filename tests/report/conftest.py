"""Two small tables with everything that a table can show."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from eleatt_bench.runs.record import RunFolder
from eleatt_bench.tables.build import table
from eleatt_bench.tables.chance import Crossed
from eleatt_bench.tables.judge import Design, Judgement, judge
from eleatt_bench.tables.plan import every_plan
from eleatt_bench.tables.records import key
from eleatt_bench.tables.statistics import Bounds
from eleatt_bench.tables.table import (
    Claim,
    Column,
    Row,
    SampleTest,
    Section,
    SeedResult,
    Table,
    TableCell,
)

MakeTable = Callable[..., Table]


def seeds(*values: float | None) -> tuple[SeedResult, ...]:
    return tuple(SeedResult(seed, (value,)) for seed, value in enumerate(values))


def judged(*differences: float, paper: float | None = None) -> Judgement:
    """The judgement of a claim with looks at 3, 6 and 12 seeds, by its first ``differences``."""
    design = Design(tuple(range(12)), (3, 6, 12), paper)
    return judge(dict(enumerate(differences)), dict.fromkeys(range(12), 0.0), design)


BASELINE = Row(
    "Baseline-GRU",
    (
        TableCell(seeds(60.0, 62.0, 64.0), 84.3, 1234, {"CPU_1, 1 thread": 2.345}),
        TableCell(seeds(55.0, None, None), None, 1234, {"CPU_1, 1 thread": 2.345}),
    ),
)
GATED = Row(
    "EleAtt-GRU", (TableCell(seeds(None, None, None), 89.0, 1500), TableCell(seeds(None), None, 99))
)
CITED = Row("HOJ3D", (TableCell((), 54.5), TableCell((), None)))
CLAIMS = (
    Claim("", "EleAtt-GRU", "Baseline-GRU", "cross_view", judged(1.0, 2.0, 3.0, paper=4.7), "first",
          crossed=Crossed(2.0, -3.5, 7.5, 10, 4.2), groups="subjects", holm=0.31, collapsed=(2,),
          tests=(SampleTest(0, 9, 3, p=0.146), SampleTest(1, 90, 3, p=1e-9))),
    Claim("", "EleAtt-GRU", "Baseline-GRU", "cross_view_clean", judged(), "second"),
)  # fmt: skip


@pytest.fixture
def make_table() -> MakeTable:
    made = Table(
        name="table4",
        title="N-UCLA & co, 100 %",
        columns=(Column("cross_view"), Column("cross_view_clean")),
        sections=(Section("", (BASELINE, GATED)),),
        cited=(CITED,),
        claims=CLAIMS,
        paper_note="with NTU pre-training",
        notes=("a_b is 50 % of #1",),
        runs=6,
        finished=3,
        command="eleatt-bench reproduce table4",
    )

    def make(**changes: object) -> Table:
        return replace(made, **changes)  # type: ignore[arg-type]

    return make


@pytest.fixture
def folded(make_table: MakeTable) -> Table:
    """A table with folds, two sections and two devices."""
    results = (SeedResult(0, (60.0, 64.0)), SeedResult(1, (70.0, None)))
    cell = TableCell(results, 82.1, 10, {"GPU, triton": 0.5, "a CPU, scan": 123.4})
    claim = Claim(
        "from scratch", "A", "B", "cross_subject", judged(-1.0, paper=-0.5), "third",
        tests=(SampleTest(0, 4, 5, interval=Bounds(-2.0, 0.04)),),
    )  # fmt: skip
    return make_table(
        name="table5",
        columns=(Column("cross_subject", folds=2),),
        sections=(
            Section("from scratch", (Row("A", (cell,)),), "the paper's are with pre-training"),
            Section("pre-trained on NTU", (Row("A", (TableCell(seeds(None), 82.1, 10),)),)),
        ),
        cited=(),
        claims=(claim,),
    )


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory, record_of) -> list[Table]:
    """Every shipped table, with a made-up finished run for each run of its first look."""
    folder = tmp_path_factory.mktemp("made up")
    plans = every_plan([f"runs_dir={folder / 'runs'}", f"data_dir={folder / 'data'}"])
    for plan in plans:
        papers = {row["name"]: row["paper"] for row in plan.spec["rows"]}
        for run in {key(run): run for run in plan.first_look}.values():
            name = run.run_id or f"elsewhere-{hashlib.sha256(key(run).encode()).hexdigest()[:12]}"
            noise = 6 * (int(name[-6:], 16) / 16**6 - 0.5)
            accuracy = (papers[run.row].get(run.column, 90.0) + noise) / 100
            metrics = dict.fromkeys(("accuracy", "accuracy_clean"), accuracy)
            RunFolder(plan.runs_dir, name).write(
                record_of(
                    name, identity=run.identity, metrics={"val": metrics, "test": metrics},
                    timing={"seconds_per_epoch": 2.0},
                )
            )  # fmt: skip
    return [table(plan) for plan in plans]
