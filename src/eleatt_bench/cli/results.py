"""The verb about published results: ``results add | verify | write``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from eleatt_bench.cli.arguments import Parser, choose
from eleatt_bench.common.errors import UserError
from eleatt_bench.common.files import check_writable, write_text
from eleatt_bench.config.composer import Composer
from eleatt_bench.report.publication import Entry, Publication, is_current
from eleatt_bench.runs.export import files_of
from eleatt_bench.runs.identity import RECIPE_VERSION, is_place
from eleatt_bench.runs.record import Record, RunFolder
from eleatt_bench.runs.soundness import sound
from eleatt_bench.runs.taking import Outcome, put, staging, take
from eleatt_bench.tables.build import device
from eleatt_bench.tables.facts import PublishedFacts, described
from eleatt_bench.tables.plan import Plan, members, plan
from eleatt_bench.tables.recorded import plan_path
from eleatt_bench.tables.records import find_records, without_collector

ACTIONS = {
    "add": "publish a table with its finished runs",
    "verify": "make all published tables again from their runs, and compare",
    "write": "write all published tables anew from their runs",
}
_SHOWN = 10  # differences of a table


def results(arguments: list[str]) -> int:
    """``eleatt-bench results ACTION ...``."""
    listed = "; ".join(f"{name}: {what}" for name, what in ACTIONS.items())
    parser = Parser(
        "eleatt-bench results",
        usage="eleatt-bench results ACTION ...",
        description=f"{listed}. ACTION --help says more about one of them.",
    )
    parser.add_argument("action", metavar="ACTION", help=", ".join(ACTIONS))
    action = choose("action", parser.parse(arguments[:1]).action, list(ACTIONS))
    with without_collector():
        {"add": _add, "verify": _verify, "write": _write}[action](arguments[1:])
    return 0


def _folder(parser: Parser) -> None:
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path("results"), metavar="FOLDER",
        help="of published results; the default is results",
    )  # fmt: skip


def _verify(arguments: Sequence[str]) -> None:
    parser = Parser(
        "eleatt-bench results verify",
        description="Make every published table again from the runs beside it and compare; compute "
        "every accuracy again from the predictions; say which commit, recipe and machine the runs "
        "came from. No data set is needed. The exit status is 1 if anything differs.",
    )
    _folder(parser)
    parser.add_argument("--runs", action="store_true", help="a line for each run, too")
    given = parser.parse(arguments)
    if not given.folder.is_dir():
        raise UserError(f"There is no folder {given.folder}: eleatt-bench results verify FOLDER")
    publication = Publication(given.folder)
    records, wrong = _runs(publication)
    for folder, record in records.items() if given.runs else ():
        print(f"{folder}  {record['metrics']['test']['accuracy']:.2%}  {_origin(record)}")
    wrong += _tables(publication, records)
    for origin, count in Counter(map(_origin, records.values())).items():
        print(f"{count:,} run{'s' * (count > 1)} of {origin}: accuracies are as recorded")
    if wrong:
        raise UserError(
            f"{wrong:,} thing{'s differ' if wrong > 1 else ' differs'} in {given.folder} from what "
            f"its runs say: git diff shows what was changed, eleatt-bench results write "
            f"{given.folder} makes the tables anew"
        )


def _runs(publication: Publication) -> tuple[dict[str, Record], int]:
    """The records of all runs that are sound; how many are not, or are of no table."""
    records: dict[str, Record] = {}
    wrong = 0
    for folder in publication.run_folders():
        try:
            records[folder.run_id] = sound(folder)
        except ValueError as error:
            wrong += 1
            print(f"{folder.run_id}  DAMAGED: {error}")
    for name in _of_no_table(publication, records):
        wrong += 1
        print(f"{name}  is in no table")
    return records, wrong


def _origin(record: Record) -> str:
    """Recipe, commit and machine."""
    versions = record.get("versions", {})
    library = f", torch {versions['torch']}" if "torch" in versions else ""
    commit = record.get("git_commit") or "not recorded"
    recipe = record["identity"]["recipe_version"]
    return f"recipe {recipe}, commit {commit}, {device(record)}{library}"


def _of_no_table(publication: Publication, records: Mapping[str, Record]) -> list[str]:
    """The runs that no table shows, and whose weights no run of one began with."""
    needed: set[str] = set()
    for stem in publication.entries():
        try:
            needed |= publication.shown_runs(stem).keys()
        except ValueError:  # which is told where the table is compared
            return []
    needed |= {str(one.get("pretraining")) for name, one in records.items() if name in needed}
    return sorted(records.keys() - needed)


def _tables(publication: Publication, records: Mapping[str, Record]) -> int:
    """Print a line for each table, and what differs; how much that is."""
    wrong = 0
    with Composer() as composer:
        for stem, entry in publication.entries().items():
            if is_current(entry):
                found = list(_compared(publication, stem, entry, composer))
                verdict = "equal to what its runs give"
            else:
                found = list(_shown(publication, stem, records))
                verdict = (
                    f"of recipe {entry.recipe}, and this program has {RECIPE_VERSION}: not made "
                    "again; its accuracies are those of its runs"
                )
            print(f"{stem}  {'DIFFERS' if found else verdict}")
            for line in found[:_SHOWN]:
                print(f"  {line}")
            if len(found) > _SHOWN:
                print(f"  and {len(found) - _SHOWN:,} more")
            wrong += len(found)
    for stem in publication.older():
        print(f"{stem}  is older than published runs: there is nothing here to make it from")
    return wrong


def _compared(
    publication: Publication, stem: str, entry: Entry, composer: Composer
) -> Iterator[str]:
    try:
        made = publication.plan(entry, composer)
        if made.file_stem != stem:
            yield f"{publication.index.name} calls {made.file_stem} {stem}"
        else:
            yield from publication.differences(made)
    except UserError as error:
        yield str(error)


def _shown(publication: Publication, stem: str, records: Mapping[str, Record]) -> Iterator[str]:
    """Which accuracies of a table are not those of its runs."""
    try:
        shown = publication.shown_runs(stem)
    except ValueError as error:
        yield str(error)
        return
    for name, values in shown.items():
        if name not in records:
            yield f"{name} is not there, or damaged"
            continue
        known = [100 * value for value in records[name]["metrics"]["test"].values()]
        for value in values:
            if value not in known:
                yield f"{name}: accuracy was {value}, is none of {known}"


def _write(arguments: Sequence[str]) -> None:
    parser = Parser(
        "eleatt-bench results write",
        description="Write every published table anew from the runs beside it, as after a change "
        "of how tables are written. Tables of earlier recipes stay as they are.",
    )
    _folder(parser)
    publication = Publication(parser.parse(arguments).folder)
    with Composer() as composer:
        for stem, entry in publication.entries().items():
            if is_current(entry):
                publication.write(publication.plan(entry, composer))
                print(f"Wrote {stem}")


def _add(arguments: Sequence[str]) -> None:
    parser = Parser(
        "eleatt-bench results add",
        description="Publish a table: its finished runs without weights and with predictions in "
        "little room, what there is to know of their data, and the table in every format. Runs "
        "that no published table needs any more are removed.",
    )
    parser.add_argument("name", help="one of: eleatt-bench tables")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as for `reproduce`")
    parser.add_argument(
        "--to", type=Path, default=Path("results"), metavar="FOLDER", help="the default is results"
    )
    given = parser.parse(arguments)
    check_writable(given.to)
    publication = Publication(given.to)
    asked = 0
    with Composer() as composer:
        for name in members(given.name, composer):
            made = plan(name, given.overrides, composer)
            if made.quick:
                raise UserError("A rehearsal is no result: leave quick=true out")
            records = find_records(made)
            if records:
                asked += 1
                _publish(publication, made, records, composer)
    if not asked:
        raise UserError(f"No run of table {given.name} is finished. Do them: {made.command}")
    _clear(publication)


def _publish(
    publication: Publication, made: Plan, records: Mapping[str, Record], composer: Composer
) -> None:
    _describe(publication, made, records)
    _copy(publication, made, [record["run_id"] for record in records.values()])
    said = tuple(o for o in made.variation if not is_place(o.partition("=")[0].lstrip("+~")))
    entry = Entry(str(made.spec["name"]), said, RECIPE_VERSION)
    published = publication.plan(entry, composer)
    if plan_path(made).is_file():
        write_text(plan_path(published), plan_path(made).read_text(encoding="utf-8"))
    else:
        plan_path(published).unlink(missing_ok=True)
    publication.write(published)
    publication.enter(published.file_stem, entry)
    print(f"{published.file_stem}: {len(records):,} runs in {publication.folder}")


def _describe(publication: Publication, made: Plan, records: Mapping[str, Record]) -> None:
    """Say what there is to know of the data of all runs.

    Raises:
        UserError: they are not here, or those that are published are others.
    """
    identities = [record["identity"] for record in records.values()]
    identities += [one["pretraining"] for one in identities if "pretraining" in one]
    for name, digest in sorted(
        {(one["data"]["name"], one["data"]["digest"]) for one in identities}
    ):
        there = PublishedFacts(publication.data).digest(name)
        if there not in (None, digest):
            raise UserError(
                f"{publication.data / name}.json is of other data than these runs (digest "
                f"{there[:12]}, not {digest[:12]}): publish all tables of {name} anew, without it"
            )
        if there is None and name in made.unprepared:
            raise UserError(f"Data set {name} is not prepared here, so it cannot be described")
        if there is None:
            write_text(publication.data / f"{name}.json", described(made.data_dir, name))


def _copy(publication: Publication, made: Plan, names: Collection[str]) -> None:
    """Put runs among the published ones; one that was trained again takes the place of the old."""
    with staging(publication.runs) as stage:
        staged = []
        for name in names:
            folder = RunFolder(stage, name)
            put(files_of(RunFolder(made.runs_dir, name), published=True), folder)
            try:
                sound(folder)
            except ValueError as error:
                raise UserError(
                    f"{name} is damaged: {error}. Train it again with force=true"
                ) from error
            staged.append(folder)
        for name, how in take(staged, publication.runs).items():
            if how in (Outcome.OTHER, Outcome.DAMAGED):
                RunFolder(publication.runs, name).remove()
                take([RunFolder(stage, name)], publication.runs)
                print(f"{name} took the place of one that was trained another time")


def _clear(publication: Publication) -> None:
    """Remove the runs that no table needs."""
    read = {folder.run_id: folder.read() for folder in publication.run_folders()}
    records = {name: record for name, record in read.items() if record is not None}
    for name in _of_no_table(publication, records):
        RunFolder(publication.runs, name).remove()
        print(f"Removed {name}, which no table needs")
