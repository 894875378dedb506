"""``eleatt-bench results verify``: check that what is published follows from its runs."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from eleatt_bench.cli.arguments import Parser
from eleatt_bench.common.errors import UserError
from eleatt_bench.common.locations import data_dir
from eleatt_bench.config.composer import Composer
from eleatt_bench.data import catalog
from eleatt_bench.data.datasets import prepare_command
from eleatt_bench.data.protocols import labelled
from eleatt_bench.report.publication import Entry, Publication, is_current, of_no_table
from eleatt_bench.runs.curves import CurveReader
from eleatt_bench.runs.identity import RECIPE_VERSION, tested_on
from eleatt_bench.runs.predictions import Predictions
from eleatt_bench.runs.record import Record, RunFolder
from eleatt_bench.runs.soundness import sound_with_predictions
from eleatt_bench.tables.build import device

_SHOWN = 10  # differences of a table
_SAMPLES = 2.5  # test samples in which processors may differ


def verify(arguments: Sequence[str]) -> None:
    """Compare what is published with what follows from its runs."""
    parser = Parser(
        "eleatt-bench results verify",
        description="Make every published table again from the runs beside it and compare; compute "
        "every accuracy again from the predictions; say which commit, recipe and machine the runs "
        "came from. No data set is needed. The exit status is 1 if anything differs.",
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path("results"), metavar="FOLDER",
        help="of published results; the default is results",
    )  # fmt: skip
    parser.add_argument("--runs", action="store_true", help="a line for each run, too")
    parser.add_argument(
        "--weights", action="store_true",
        help="test the published weights again, on the data sets that are here",
    )  # fmt: skip
    given = parser.parse(arguments)
    publication = Publication(given.folder)
    publication.check_there()
    records, wrong = _runs(publication)
    for folder, record in records.items() if given.runs else ():
        print(f"{folder}  {record['metrics']['test']['accuracy']:.2%}  {_origin(record)}")
    wrong += _tables(publication, records)
    wrong += _weights(publication, records, again=given.weights)
    for origin, count in Counter(map(_origin, records.values())).items():
        print(f"{count:,} run{'s' * (count > 1)} of {origin}: accuracies are as recorded")
    if wrong:
        raise UserError(
            f"{wrong:,} thing{'s differ' if wrong > 1 else ' differs'} in {given.folder} from what "
            f"its runs say: git diff shows what was changed, eleatt-bench results write "
            f"{given.folder} makes the tables anew"
        )


def _runs(publication: Publication) -> tuple[dict[str, Record], int]:
    """The records of all sound runs, and the number of faults, which are printed."""
    records: dict[str, Record] = {}
    tested: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    wrong = 0
    for folder in publication.run_folders():
        try:
            record, found = sound_with_predictions(folder)
            records[folder.run_id] = record
            tested[json.dumps(tested_on(record["identity"]))][_samples_of(found)].append(
                folder.run_id
            )
        except ValueError as error:
            wrong += 1
            print(f"{folder.run_id}  DAMAGED: {error}")
    with suppress(ValueError):  # a table that cannot be read; `_tables` says so
        for name in of_no_table(publication, records):
            wrong += 1
            print(f"{name}  is in no table")
    for groups in tested.values():
        *others, most = sorted(groups.values(), key=len)
        for name in (name for group in others for name in group):
            wrong += 1
            print(f"{name}  has other test samples, or other labels of them, than {most[0]}")
    return records, wrong


def _samples_of(found: Predictions) -> str:
    """A digest of the test samples: their names, labels, number of classes, and which are clean."""
    clean = b"" if found.clean is None else found.clean.tobytes()
    names = json.dumps([len(found.class_names), found.names.tolist()], default=bytes.decode)
    return hashlib.sha256(names.encode() + found.labels.tobytes() + clean).hexdigest()


def _origin(record: Record) -> str:
    """Recipe, commit, machine and version of torch, in words."""
    versions = record.get("versions", {})
    library = f", torch {versions['torch']}" if "torch" in versions else ""
    trained = dict.fromkeys(name for name, _ in record.get("commits", []) if name)
    commit = " and ".join(trained) or record.get("git_commit") or "not recorded"
    recipe = record["identity"]["recipe_version"]
    return f"recipe {recipe}, commit {commit}, {device(record)}{library}"


def _tables(publication: Publication, records: Mapping[str, Record]) -> int:
    """Print a line for each table, and its differences; the number of all differences."""
    wrong = 0
    with Composer() as composer:
        for stem, entry in publication.entries().items():
            shown, unread = _shown_runs(publication, stem)
            found = [*unread, *publication.changed_plan(stem, entry)]
            if is_current(entry):
                found += _compared(publication, stem, entry, composer)
                verdict = "equal to what its runs give"
            else:
                found += _shown(shown, entry, records)
                verdict = (
                    f"of recipe {entry.recipe}, and this program has {RECIPE_VERSION}: not made "
                    "again; its accuracies are those of its runs"
                )
            print(f"{stem}  {'DIFFERS' if found else verdict}{_cost(publication, shown, records)}")
            for line in found[:_SHOWN]:
                print(f"  {line}")
            if len(found) > _SHOWN:
                print(f"  and {len(found) - _SHOWN:,} more")
            wrong += len(found)
    for stem in publication.older():
        print(f"{stem}  has no published runs, so it cannot be made again")
    return wrong


def _shown_runs(publication: Publication, stem: str) -> tuple[dict[str, list[float]], list[str]]:
    """The accuracies that a table's file shows, by run; or a sentence if it cannot be read."""
    try:
        return publication.shown_runs(stem), []
    except ValueError as error:
        return {}, [str(error)]


def _cost(publication: Publication, shown: Iterable[str], records: Mapping[str, Record]) -> str:
    """How long the training of the ``shown`` runs took in total, in words."""
    spent: defaultdict[str, float] = defaultdict(float)
    for run in records.keys() & shown:
        one = records[run]
        on_cpus = one["accelerator"] == "cpu"
        each = (on_cpus and one.get("num_threads")) or 1
        curves = CurveReader(RunFolder(publication.runs, run)).read()
        seconds = sum(curves["seconds"].values())
        spent["core" if on_cpus else "GPU"] += seconds * (one.get("world_size") or 1) * each
    return "".join(f", {s / 3600:.2g} {what} hours of training" for what, s in spent.items() if s)


def _weights(publication: Publication, records: Mapping[str, Record], *, again: bool) -> int:
    """Print a line for each file of weights that is wrong or tested; how many are wrong."""
    wrong = 0
    for path in sorted(publication.weights.glob("*")):
        if path.stem not in records:
            found = "WRONG: its run is not published"
        elif again:
            found = _tested(path, records[path.stem])
        else:
            continue
        wrong += found.startswith("WRONG")
        print(f"{path.relative_to(publication.folder)}  {found}")
    return wrong


def _tested(path: Path, record: Record) -> str:
    """The result of testing weights again; other processors may differ in a sample or two."""
    from eleatt_bench.training.published import load_network, retest

    try:
        network, card = load_network(path)
    except UserError as error:
        return f"WRONG: {error}"
    if card["run_id"] != path.stem or card["metrics"] != record["metrics"]["test"]:
        return f"WRONG: they are those of {card['run_id']}, or its numbers are not the record's"
    name = record["identity"]["data"]["name"]
    if catalog.data_digest(data_dir(), name) != record["data_digest"]:
        return f"not tested: {name} is not prepared here. {prepare_command(name)}"
    protocol = record["identity"]["data"]["protocol"]
    try:
        store = labelled(catalog.open_store(data_dir(), name), protocol)
        found = retest(network, card, store)["accuracy"]
    except UserError as error:
        return f"WRONG: {error}"
    recorded, samples = record["metrics"]["test"]["accuracy"], record["samples"]["test"]
    said = f"accuracy {found:.2%}, recorded {recorded:.2%}"
    return said if abs(found - recorded) <= _SAMPLES / samples else f"WRONG: {said}"


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


def _shown(
    shown: Mapping[str, Sequence[float]], entry: Entry, records: Mapping[str, Record]
) -> Iterator[str]:
    """The faults of a table of an earlier recipe: lost runs, other recipes, other accuracies."""
    for name, values in shown.items():
        if name not in records:
            yield f"{name} is not there, or damaged"
            continue
        recipe = records[name]["identity"]["recipe_version"]
        if recipe != entry.recipe:
            yield f"{name} is of recipe {recipe}, not of {entry.recipe}"
        known = [100 * value for value in records[name]["metrics"]["test"].values()]
        for value in values:
            if value not in known:
                yield f"{name}: accuracy was {value}, is none of {known}"
