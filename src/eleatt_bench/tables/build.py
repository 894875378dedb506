"""From the runs of a table to its numbers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from statistics import median

from eleatt_bench.runs.record import RunFolder
from eleatt_bench.runs.summaries import Summary
from eleatt_bench.tables.cells import PlannedRun
from eleatt_bench.tables.claims import Comparisons, claims
from eleatt_bench.tables.departures import held_against
from eleatt_bench.tables.facts import DataFacts
from eleatt_bench.tables.parameters import parameters
from eleatt_bench.tables.plan import Plan, Tested
from eleatt_bench.tables.records import (
    failed,
    find_records,
    key,
    percent,
    trainings,
    with_pretrainings,
)
from eleatt_bench.tables.spec import Place, Spec, sections_of
from eleatt_bench.tables.table import (
    Column,
    Row,
    RunSource,
    Section,
    SeedResult,
    Table,
    TableCell,
)


def table(plan: Plan, records: Mapping[str, Summary] | None = None) -> Table:
    """The table of ``plan``, from the finished runs in its ``runs_dir``.

    A caller that has called `find_records` already passes its ``records``.
    """
    spec, records = plan.spec, find_records(plan) if records is None else records
    comparisons = Comparisons(plan, records)
    papers = {row["name"]: row["paper"] for row in spec["rows"]}
    metrics = {column["name"]: column["metric"] for column in spec["columns"]}
    asked = {key(run) for run in with_pretrainings(plan.first_look)} | records.keys()
    cells = {}
    for (section, row, column), own in plan.tested.items():
        paper, metric = papers[row].get(column), metrics[column]
        cells[section, row, column] = _cell(
            own, asked, paper, metric, records, comparisons, plan.data
        )
    folds = {column: len({one.fold for one in own}) for (_, _, column), own in plan.tested.items()}
    judged = claims(plan, cells, failed(plan, records), comparisons)
    comparisons.keep()
    claimed, of_plan = held_against(plan, judged)
    return Table(
        name=spec["name"],
        title=spec["title"],
        columns=tuple(Column(name, folds[name]) for name in folds),
        sections=tuple(_section(spec, section, cells) for section in sections_of(spec)),
        cited=tuple(_cited(spec, row) for row in spec["cited"]),
        claims=claimed,
        paper_note=spec["paper_note"],
        notes=(
            *spec["notes"],
            *_remarks(plan, records),
            *of_plan,
            *_collapsed(cells),
            *_some([*comparisons.problems]),
        ),
        runs=len(asked),
        finished=len(records),
        command=plan.command,
        rehearsal=plan.quick,
    )


def runs_of(plan: Plan, place: Place, cell: TableCell) -> list[PlannedRun]:
    """The runs whose results the ``cell`` at ``place`` shows, or will show."""
    seeds = {result.seed for result in cell.results}
    return [run for run in plan.by_cell[place] if run.seed in seeds]


def _cell(
    tested: Sequence[Tested],
    asked: Collection[str],
    paper: float | None,
    metric: str,
    records: Mapping[str, Summary],
    comparisons: Comparisons,
    data: DataFacts,
) -> TableCell:
    results: list[SeedResult] = []
    shown: list[Tested] = []
    for seed, of_seed in groupby(tested, key=lambda one: one.seed):
        folds = list(of_seed)
        if any(key(run) in asked for one in folds for run in one.runs):
            accuracies = tuple(comparisons.percent(one, metric) for one in folds)
            results.append(SeedResult(seed, accuracies, _sources(folds, records)))
            shown += folds
    # A plain row is treated as an ensemble of one.
    members = list(zip(*(one.runs for one in tested), strict=True))
    done = [
        [records[key(run)] for run in runs if key(run) in records]
        for runs in zip(*(one.runs for one in shown), strict=True)
    ] or [[]] * len(members)
    sizes = [
        _parameters(runs[0], of_runs, data) for runs, of_runs in zip(members, done, strict=True)
    ]
    seconds = list(map(_seconds, done))
    return TableCell(
        results=tuple(results),
        paper=paper,
        parameters=None if None in sizes else sum(filter(None, sizes)),
        seconds={
            name: sum(of_member[name] for of_member in seconds)
            for name in seconds[0]
            if all(name in of_member for of_member in seconds)
        },
        collapsed=comparisons.collapsed(tested, metric),
    )


def _sources(
    folds: Sequence[Tested], records: Mapping[str, Summary]
) -> tuple[RunSource | None, ...]:
    if len(folds[0].runs) > 1:
        return ()
    found = (records.get(key(run)) for one in folds for run in one.runs)
    return tuple(
        None if one is None else RunSource(one["run_id"], one["data_digest"]) for one in found
    )


def _parameters(run: PlannedRun, done: Sequence[Summary], data: DataFacts) -> int | None:
    if done:
        return int(done[0]["parameters"])
    return parameters(run.identity, data.width(run.identity["data"]["name"]))


def _seconds(records: Sequence[Summary]) -> dict[str, float]:
    """The seconds of an epoch on each device: the median of the runs there.

    Records of earlier versions, which say nothing about devices, time the last process alone. Then
    a run that was continued does not count.
    """
    found: dict[str, list[float]] = defaultdict(list)
    for record in records:
        timing = record["timing"]
        seconds = timing.get("seconds_per_epoch")
        whole = "devices" in record or not timing.get("resumed_after_epoch")
        if whole and seconds is not None:
            found[device(record)].append(float(seconds))
    return {name: median(found[name]) for name in sorted(found)}


def device(record: Summary) -> str:
    """What a run was computed on, as far as it matters for its time."""
    if record["accelerator"] != "cpu":
        return f"{record['device']}, {record['backend']}"
    threads = record["num_threads"]
    return f"{record['device']}, {threads} thread{'s' * (threads > 1)}, {record['backend']}"


def _section(spec: Spec, section: Spec, cells: Mapping[Place, TableCell]) -> Section:
    columns = [column["name"] for column in spec["columns"]]
    rows = tuple(
        Row(
            row["name"],
            tuple(cells[section["name"], row["name"], column] for column in columns),
            tuple(row["ensemble"]),
        )
        for row in spec["rows"]
    )
    return Section(section["name"], rows, section["paper_note"], section["in_paper"])


def _cited(spec: Spec, row: Spec) -> Row:
    papers = (row["paper"].get(column["name"]) for column in spec["columns"])
    return Row(row["name"], tuple(TableCell((), paper) for paper in papers))


def _remarks(plan: Plan, records: Mapping[str, Summary]) -> list[str]:
    remarks = []
    if plan.variation:
        remarks.append(f"A variation of the table: {' '.join(plan.variation)}")
    for name in plan.untrained:
        remarks.append(
            f"RANDOM WEIGHTS: the features of data set {name} come from a network that was never "
            "trained, so these are no results"
        )
    remarks += [_nameless(plan, name) for name in plan.unprepared]
    for name in sorted({run.identity["data"]["name"] for run in trainings(plan)}):
        if incomplete := plan.data.incomplete(name):
            remarks.append(f"DATA SET {name}: {incomplete}")
    remarks += _of_commits(
        Counter(name for record in records.values() for name in _commits(record))
    )
    remarks += [*_of_inputs(plan, records), *_unmeasured(plan, records)]
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


def _nameless(plan: Plan, name: str) -> str:
    """How the runs were found on data that are not prepared or damaged."""
    from eleatt_bench.data.datasets import prepare_command

    damage = plan.data.damage(name)
    lack = "cannot be read" if damage else "is not prepared"
    return (
        f"Data set {name} {lack} here, so runs were matched by everything but the data's digest. "
        f"{damage or f'Prepare it: {prepare_command(name)}'}"
    )


def _collapsed(cells: Mapping[Place, TableCell]) -> list[str]:
    """Sentences on the seeds of each row that collapsed: how, and where if not in all columns."""
    columns: dict[tuple[str, str], list[str]] = {}
    found: dict[tuple[str, str, tuple[str, ...], str], list[str]] = {}
    for (section, row, column), cell in cells.items():
        if cell.values:
            columns.setdefault((section, row), []).append(column)
        for collapse in dict.fromkeys(cell.collapsed.values()):
            seeds = tuple(str(seed) for seed, kind in cell.collapsed.items() if kind is collapse)
            found.setdefault((section, row, seeds, str(collapse)), []).append(column)
    said = []
    for (section, row, seeds, how), where in found.items():
        elsewhere = where != columns.get((section, row))
        named = ", ".join(filter(None, (section, row, " and ".join(where) if elsewhere else "")))
        said.append(f"COLLAPSED: {named}, seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}: {how}")
    return _some(said)


def _commits(record: Summary) -> set[str | None]:
    """The commits that trained a run: several if another commit continued it."""
    return {name or None for name, _ in record.get("commits", [])} or {record.get("git_commit")}


def _of_commits(commits: Counter[str | None]) -> list[str]:
    """A remark if the runs are of several commits, or of a checkout that may have had changes."""
    changed = sum(count for name, count in commits.items() if (name or "").endswith(_CHANGES))
    unsure = sum(count for name, count in commits.items() if (name or "").endswith(_UNKNOWN))
    if len(commits) < 2 and not changed and not unsure:
        return []
    named = ", ".join(f"{_short(name)} ({n:,})" for name, n in commits.most_common(_NAMED))
    more = f" and {len(commits) - _NAMED:,} more" if len(commits) > _NAMED else ""
    also = f"; {_several(changed, 'run')} of a checkout with changes" if changed else ""
    also += (
        f"; {_several(unsure, 'run')} where git did not say whether there were" if unsure else ""
    )
    return [f"The runs are of {_several(len(commits), 'commit')}: {named}{more}{also}"]


def _of_inputs(plan: Plan, records: Mapping[str, Summary]) -> list[str]:
    """Remarks on data that runs saw with different classes, layouts or origins.

    Records of earlier versions have only the digest of a store's attributes. Such a run saw what a
    later run with the same attributes saw. Features are left out, because for them that digest does
    not tell what a run saw.
    """
    later = {
        record["attributes_digest"]: record["inputs_digest"]
        for record in records.values()
        if "attributes_digest" in record and "inputs_digest" in record
    }
    found: dict[str, set[str]] = {}
    for record in records.values():
        known = record.get("attributes_digest")
        if seen := record.get("inputs_digest", later.get(known, known)):
            found.setdefault(record["data_digest"], set()).add(seen)
    several = {digest: seen for digest, seen in found.items() if len(seen) > 1}
    features = _digests_of_features(plan, records) if several else ()
    return [
        f"The runs on the data {digest[:12]} saw them in {len(seen)} versions, with other classes, "
        "another layout or another origin: their numbers are not of the same inputs"
        for digest, seen in several.items()
        if digest not in features
    ]


def _digests_of_features(plan: Plan, records: Mapping[str, Summary]) -> set[str]:
    """The digests of the data in ``records`` that are features from a backbone."""
    from eleatt_bench.data.datasets import entry

    return {
        records[key(run)]["data_digest"]
        for run in trainings(plan)
        if key(run) in records and entry(run.identity["data"]["name"]).of_videos
    }


def _unmeasured(plan: Plan, records: Mapping[str, Summary]) -> Iterator[str]:
    """Remarks on columns whose metric some of their finished runs did not measure."""
    metrics = {column["name"]: column["metric"] for column in plan.spec["columns"]}
    lacking: dict[str, set[str]] = defaultdict(set)
    for run in plan.runs:
        record = records.get(key(run))
        if record is not None and percent(record, metrics[run.column]) is None:
            lacking[run.column].add(key(run))
    for column, runs in lacking.items():
        yield (
            f"Column {column} shows {metrics[column]}, which {_several(len(runs), 'finished run')} "
            "did not measure: their protocol leaves out no test samples that repeat training ones, "
            "or all of their test samples do"
        )


def _some(sentences: Sequence[str]) -> list[str]:
    """The first few of ``sentences``, and how many more there are."""
    more = len(sentences) - _NAMED
    return [*sentences[:_NAMED], *([f"and {more:,} more like these"] if more > 0 else [])]


def _short(commit: str | None) -> str:
    if commit is None:
        return "unknown"
    name, plus, state = commit.partition("+")  # the state is the checkout's
    return name[:_HASH] + plus + state


def _several(count: int, word: str) -> str:
    return f"{count:,} {word}{'s' * (count != 1)}"


_CHANGES, _UNKNOWN = "+changes", "+unknown"  # as `eleatt_bench.training.environment` marks them
_NAMED = 3  # entries of a list that may be long
_HASH = 7  # characters of a commit
