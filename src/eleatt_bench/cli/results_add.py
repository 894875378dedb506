"""``eleatt-bench results add``: publish a table with all that it was made from."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from eleatt_bench.cli.arguments import Parser
from eleatt_bench.common.errors import UserError, unknown
from eleatt_bench.common.extras import require
from eleatt_bench.common.files import check_writable, write_text
from eleatt_bench.common.literal import key_of
from eleatt_bench.common.locations import data_dir
from eleatt_bench.config.composer import Composer
from eleatt_bench.report.publication import Entry, Publication, of_no_table
from eleatt_bench.runs.export import files_of
from eleatt_bench.runs.identity import RECIPE_VERSION, data_of
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.runs.soundness import sound
from eleatt_bench.runs.taking import Outcome, put, staging, take
from eleatt_bench.tables.cells import PlannedRun
from eleatt_bench.tables.facts import PublishedFacts, described
from eleatt_bench.tables.plan import Plan, members, plan
from eleatt_bench.tables.recorded import plan_among, plan_path, publish_plan, read_plan
from eleatt_bench.tables.records import find_records, key

_NAMED = 3  # runs of a list that may be long


def add(arguments: Sequence[str]) -> None:
    """Publish the table that ``arguments`` name."""
    parser = Parser(
        "eleatt-bench results add",
        description="Publish a table: its finished runs without weights and with predictions in "
        "little room, what there is to know of their data, and the table in every format. Runs "
        "that no published table needs any more are removed.",
    )
    parser.add_table()
    parser.add_argument(
        "--to", type=Path, default=Path("results"), metavar="FOLDER", help="the default is results"
    )
    parser.add_argument(
        "--weights", nargs="+", default=(), metavar="ROW",
        help="publish the weights of these rows, too: of the first seed in each column",
    )  # fmt: skip
    given = parser.parse(arguments)
    if given.weights:
        require("weights", "results add --weights")
    publication = Publication(given.to)
    asked = 0
    with Composer() as composer:
        plans = [plan(name, given.overrides, composer) for name in members(given.name, composer)]
        _check(publication, plans, given.weights)
        check_writable(given.to)
        for made in plans:
            records = find_records(made)
            if records:
                asked += 1
                names = [record["run_id"] for record in records.values()]
                _publish(publication, made, names, composer)
                for run in _first_runs(made, given.weights, records):
                    _publish_weights(publication, made, records[key(run)]["run_id"])
    if not asked:
        raise UserError(f"No run of table {given.name} is finished. Do them: {made.command}")
    _clear(publication)


def _check(publication: Publication, plans: Sequence[Plan], rows: Sequence[str]) -> None:
    """Check that ``plans`` can be published and have the ``rows`` whose weights are asked for.

    Raises:
        UserError: a plan cannot be published, or a row is not there.
    """
    if any(made.quick for made in plans):
        raise UserError("A rehearsal is no result: leave quick=true out")
    _check_folder(publication, plans)
    for made in plans:
        if damaged := read_plan(made).damaged:
            raise UserError(damaged)
        if read_plan(replace(made, runs_dir=publication.runs)).damaged:
            raise UserError(
                f"{plan_among(publication.runs, made.file_stem)} is damaged. It says what was "
                "declared before its seeds were published: take it from where the publication is "
                "kept, e.g. by git checkout"
            )
        for said in made.variation:
            if key_of(said) == "data_dir":
                raise UserError(
                    f"{said} has other data of the same name than {data_dir()}, and a "
                    "publication does not say which: choose that folder with ELEATT_DATA instead"
                )
    every = [row for made in plans for row in made.spec["rows"]]
    there = list(dict.fromkeys(row["name"] for row in every if not row["ensemble"]))
    for row in rows:
        if row not in there:
            raise unknown("row", row, there)


def _check_folder(publication: Publication, plans: Sequence[Plan]) -> None:
    """Refuse a folder with other people's files, which would be replaced, or removed as stray ones.

    Raises:
        UserError: the runs that are to be published lie there, or files that were not published; or
            it is no folder.
    """
    if publication.folder.exists() and not publication.folder.is_dir():
        raise UserError(f"{publication.folder} is no folder: publish in one, with --to FOLDER")
    other = "publish in another folder, with --to"
    for made in plans:
        if made.runs_dir.resolve() == publication.runs.resolve():
            raise UserError(
                f"{publication.runs} is the folder of the runs themselves, which published ones "
                f"would replace: {other}"
            )
    there = publication.run_folders() or any(publication.weights.glob("*"))
    if there and not publication.index.exists():
        raise UserError(
            f"{publication.folder} holds runs or weights that were not published, for there is no "
            f"{publication.index}: {other}"
        )


def _publish(
    publication: Publication, made: Plan, names: Sequence[str], composer: Composer
) -> None:
    publication.begin()
    _describe(publication, made, names)
    _publish_plan(publication, made)
    _copy(publication, made, names)
    stem = made.file_stem
    entry = Entry(
        str(made.spec["name"]), made.variation, RECIPE_VERSION, publication.digest_of_plan(stem)
    )
    published = publication.plan(entry, composer)
    publication.write(published)
    publication.enter(stem, entry)
    shown = sorted(record["run_id"] for record in find_records(published).values())
    print(f"{stem}: {len(shown):,} runs in {publication.folder}")
    _tell_others(publication, made, [name for name in shown if name not in names])


def _tell_others(publication: Publication, made: Plan, others: Sequence[str]) -> None:
    """Say which runs of a table are only among the published ones, and how one is taken back."""
    if others:
        more = f" and {len(others) - _NAMED:,} more" if len(others) > _NAMED else ""
        print(
            f"{len(others):,} of them published before and not in {made.runs_dir}: "
            f"{', '.join(others[:_NAMED])}{more}. To take one back, remove its folder in "
            f"{publication.runs} and run this command again"
        )


def _publish_plan(publication: Publication, made: Plan) -> None:
    """Publish the recorded plan; what was declared before its seeds were published stays."""
    recorded, published = plan_path(made), plan_among(publication.runs, made.file_stem)
    ours = read_plan(made)
    if ours.there:
        if kept := publish_plan(replace(made, runs_dir=publication.runs), ours):
            print(
                f"{published} keeps {kept} claim{'s' * (kept > 1)} as published, which {recorded} "
                "lacks or gives otherwise"
            )
    elif published.exists():
        print(f"{published} stays: there is no {recorded}")


def _first_runs(made: Plan, rows: Sequence[str], finished: Collection[str]) -> Iterator[PlannedRun]:
    """The first run of each cell of ``rows`` (first seed, first fold), if it is finished."""
    seen: set[tuple[str, str, str]] = set()
    for run in made.first_look:
        place = run.section, run.row, run.column
        if run.row in rows and place not in seen and key(run) in finished:
            yield run
        seen.add(place)


def _publish_weights(publication: Publication, made: Plan, name: str) -> None:
    from eleatt_bench.training.published import write_weights

    path = publication.weights / f"{name}.safetensors"
    write_weights(path, made.runs_dir, name, made.data_dir)
    print(f"{path}  {path.stat().st_size / 1e6:,.1f} MB")


def _describe(publication: Publication, made: Plan, names: Sequence[str]) -> None:
    """Publish the facts about the data of the runs with these ``names``.

    Raises:
        UserError: the data are not prepared here, or the published facts are of other data.
    """
    records = (RunFolder(made.runs_dir, name).read() for name in names)
    used = {one for record in records if record is not None for one in data_of(record["identity"])}
    for name, digest in sorted(used):
        assert digest is not None  # a finished run knows that of its data
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
    """Copy runs to the published ones; a run that was trained again replaces the published one."""
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
            ours, theirs = RunFolder(stage, name), RunFolder(publication.runs, name)
            if how is Outcome.SAME and _bytes(ours) == _bytes(theirs):
                continue
            if how in (Outcome.SAME, Outcome.OTHER, Outcome.DAMAGED):
                if how is Outcome.SAME:  # in the files of an earlier version; its weights stay
                    theirs.remove()
                else:
                    _remove(publication, name)
                    print(f"{name} took the place of one that was trained another time")
                take([ours], publication.runs)


def _bytes(folder: RunFolder) -> list[bytes]:
    return [file.read_bytes() for file in sorted(folder.path.iterdir()) if file.is_file()]


def _clear(publication: Publication) -> None:
    """Remove the runs that no table needs."""
    read = {folder.run_id: folder.read() for folder in publication.run_folders()}
    records = {name: record for name, record in read.items() if record is not None}
    try:
        stray = of_no_table(publication, records)
    except ValueError as error:
        raise UserError(
            f"Which runs no table needs is not known, so none was removed: {error}. "
            f"eleatt-bench results write {publication.folder} makes the tables anew"
        ) from error
    for name in stray:
        _remove(publication, name)
        print(f"Removed {name}, which no table needs")
    for path in publication.weights.glob("*.safetensors"):
        if path.stem not in read:
            path.unlink()
            print(f"Removed {path}, whose run was taken back")


def _remove(publication: Publication, name: str) -> None:
    RunFolder(publication.runs, name).remove()
    (publication.weights / f"{name}.safetensors").unlink(missing_ok=True)
