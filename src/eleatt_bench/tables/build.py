"""From the runs of a table to its numbers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from eleatt_bench.data import catalog
from eleatt_bench.data.datasets import prepare_command
from eleatt_bench.runs.record import Record, RunFolder
from eleatt_bench.tables.claims import Comparisons, claims
from eleatt_bench.tables.parameters import parameters
from eleatt_bench.tables.plan import Place, Plan, PlannedRun
from eleatt_bench.tables.records import find_records, key, trainings
from eleatt_bench.tables.spec import Spec, sections_of
from eleatt_bench.tables.statistics import mean
from eleatt_bench.tables.table import Column, Row, Section, SeedResult, Table, TableCell


def table(plan: Plan) -> Table:
    """The cells of ``plan`` from the finished runs in its ``runs_dir``."""
    spec, records = plan.spec, find_records(plan)
    papers = {row["name"]: row["paper"] for row in spec["rows"]}
    cells = {
        place: _cell(own, papers[place[1]].get(place[2]), _metric(spec, place[2]), records)
        for place, own in plan.by_cell.items()
    }
    folds = {column: len({run.fold for run in own}) for (_, _, column), own in plan.by_cell.items()}
    needed = {key(training) for training in trainings(plan)}
    comparisons = Comparisons(plan, records)
    claimed = tuple(claims(plan, records, cells, comparisons))
    comparisons.keep()
    return Table(
        name=spec["name"],
        title=spec["title"],
        columns=tuple(Column(name, folds[name]) for name in folds),
        sections=tuple(_section(spec, section, cells) for section in sections_of(spec)),
        cited=tuple(_cited(spec, row) for row in spec["cited"]),
        claims=claimed,
        paper_note=spec["paper_note"],
        notes=(*spec["notes"], *_remarks(plan, records), *_some([*comparisons.problems])),
        runs=len(needed),
        finished=len(needed & records.keys()),
        command=plan.command,
        rehearsal=plan.quick,
    )


def accuracy(record: Record, metric: str) -> float | None:
    """What a finished run came to, in %; None where it was not measured."""
    found = record["metrics"]["test"].get(metric)
    return None if found is None else 100 * float(found)


def _cell(
    runs: Sequence[PlannedRun], paper: float | None, metric: str, records: Mapping[str, Record]
) -> TableCell:
    values: dict[int, list[float | None]] = defaultdict(list)
    done: list[Record] = []
    for run in runs:
        record = records.get(key(run))
        values[run.seed].append(None if record is None else accuracy(record, metric))
        if record is not None:
            done.append(record)
    return TableCell(
        results=tuple(SeedResult(seed, tuple(of_seed)) for seed, of_seed in values.items()),
        paper=paper,
        parameters=int(done[0]["parameters"]) if done else parameters(runs[0].identity),
        seconds=_seconds(done),
    )


def _seconds(records: Sequence[Record]) -> dict[str, float]:
    """The mean seconds of an epoch on each device."""
    found: dict[str, list[float]] = defaultdict(list)
    for record in records:
        seconds = record["timing"].get("seconds_per_epoch")
        if seconds is not None:  # resumed after its last epoch, a run has trained none
            found[device(record)].append(float(seconds))
    return {name: value for name in sorted(found) if (value := mean(found[name])) is not None}


def device(record: Record) -> str:
    """What a run was computed on, as far as it matters for its time."""
    if record["accelerator"] != "cpu":
        return f"{record['device']}, {record['backend']}"
    threads = record["num_threads"]
    return f"{record['device']}, {threads} thread{'s' * (threads > 1)}, {record['backend']}"


def _metric(spec: Spec, name: str) -> str:
    return next(str(column["metric"]) for column in spec["columns"] if column["name"] == name)


def _section(spec: Spec, section: Spec, cells: Mapping[Place, TableCell]) -> Section:
    columns = [column["name"] for column in spec["columns"]]
    rows = tuple(
        Row(row["name"], tuple(cells[section["name"], row["name"], column] for column in columns))
        for row in spec["rows"]
    )
    return Section(section["name"], rows, section["paper_note"])


def _cited(spec: Spec, row: Spec) -> Row:
    papers = (row["paper"].get(column["name"]) for column in spec["columns"])
    return Row(row["name"], tuple(TableCell((), paper) for paper in papers))


def _remarks(plan: Plan, records: Mapping[str, Record]) -> list[str]:
    remarks = []
    if plan.variation:
        remarks.append(f"A variation of the table: {' '.join(plan.variation)}")
    for name in plan.untrained:
        remarks.append(
            f"RANDOM WEIGHTS: the features of data set {name} come from a network that was never "
            "trained, so these are no results"
        )
    for name in plan.unprepared:
        remarks.append(
            f"Data set {name} is not prepared here, so runs were matched by everything but the "
            f"data's digest. Prepare it: {prepare_command(name)}"
        )
    for name in sorted({run.identity["data"]["name"] for run in plan.runs}):
        if incomplete := catalog.incomplete(plan.data_dir, name):
            remarks.append(f"DATA SET {name}: {incomplete} with published results")
    remarks += _of_commits(Counter(record.get("git_commit") for record in records.values()))
    unverified = sum("predictions_digest" not in record for record in records.values())
    if unverified and plan.spec["claims"]:
        remarks.append(
            f"The predictions of {_several(unverified, 'run')} are unverified: records of earlier "
            "versions have no digest of them"
        )
    damages = (
        RunFolder(plan.runs_dir, run.run_id).damage()
        for run in trainings(plan)
        if run.run_id is not None and key(run) not in records
    )
    return remarks + _some([damage for damage in damages if damage is not None])


def _of_commits(commits: Counter[str | None]) -> list[str]:
    """That the runs are not all of one commit, or not of what is committed."""
    changed = sum(count for name, count in commits.items() if (name or "").endswith(_CHANGES))
    if len(commits) < 2 and not changed:
        return []
    named = ", ".join(f"{_short(name)} ({n:,})" for name, n in commits.most_common(_NAMED))
    more = f" and {len(commits) - _NAMED:,} more" if len(commits) > _NAMED else ""
    also = f"; {_several(changed, 'run')} of a checkout with changes" if changed else ""
    return [f"The runs are of {_several(len(commits), 'commit')}: {named}{more}{also}"]


def _some(sentences: Sequence[str]) -> list[str]:
    """The first of ``sentences``, and how many more there are."""
    more = len(sentences) - _NAMED
    return [*sentences[:_NAMED], *([f"So it is with {more:,} more"] if more > 0 else [])]


def _short(commit: str | None) -> str:
    if commit is None:
        return "unknown"
    return commit.removesuffix(_CHANGES)[:_HASH] + (_CHANGES if commit.endswith(_CHANGES) else "")


def _several(count: int, word: str) -> str:
    return f"{count:,} {word}{'s' * (count != 1)}"


_CHANGES = "+changes"  # as `eleatt_bench.training.environment` marks them
_NAMED = 3  # of what there may be many
_HASH = 7  # characters of a commit
