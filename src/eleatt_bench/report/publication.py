"""A folder of published results: tables, and all that anyone needs to make them again.

- ``runs/`` is a folder of runs like any other; they are compact and without weights.
- ``data/`` has the facts about the data sets, which are not here themselves.
- ``weights/`` has the weights of a few runs.
- ``published.json`` lists the tables, whose files lie in the folder itself.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path
from typing import Any

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.files import read_bounded, write_text
from eleatt_bench.common.locations import config_flags
from eleatt_bench.common.nested import scalars
from eleatt_bench.config.composer import Composer
from eleatt_bench.report.render import files, outdated, write_files
from eleatt_bench.runs.identity import RECIPE_VERSION
from eleatt_bench.runs.record import Record, RunFolder
from eleatt_bench.tables.build import table
from eleatt_bench.tables.facts import PublishedFacts
from eleatt_bench.tables.plan import Plan, plan
from eleatt_bench.tables.recorded import plan_among
from eleatt_bench.tables.table import Table

COMPARED = ("json", "csv", "tex", "md")
"""The formats whose files follow from the runs alone, not from how anything is drawn."""
WRITTEN = (*COMPARED, "svg")

_MOST = 1 << 26  # bytes of a table


@dataclass(frozen=True)
class Entry:
    """A published table: how it was asked for, the recipe of its runs, and its recorded plan."""

    table: str
    overrides: tuple[str, ...]
    recipe: int
    plan: str | None  # the SHA-256 of its file, if there is one


@dataclass(frozen=True)
class Publication:
    """The results in ``folder``."""

    folder: Path

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def weights(self) -> Path:
        return self.folder / "weights"

    @property
    def index(self) -> Path:
        return self.folder / "published.json"

    def check_there(self) -> None:
        """Refuse a folder in which nothing was published.

        Raises:
            UserError: nothing was published there; the message names the command that publishes.
        """
        if not self.index.is_file():
            raise UserError(
                f"{self.folder} holds no published results, for there is no {self.index}: "
                "eleatt-bench results add TABLE publishes one in results"
            )

    def entries(self) -> dict[str, Entry]:
        """The published tables, by the names of their files.

        Raises:
            UserError: ``published.json`` is damaged.
        """
        try:
            found = json.loads(read_bounded(self.index, _MOST))
            return {str(stem): _entry(one) for stem, one in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
            raise UserError(
                f"{self.index} is damaged ({error}): git checkout -- {self.index}"
            ) from error

    def begin(self) -> None:
        """Mark the folder as one of published results, before there is any run in it."""
        if not self.index.exists():
            write_text(self.index, "{}\n")

    def enter(self, stem: str, entry: Entry) -> None:
        """Enter a table in ``published.json``."""
        found = {name: vars(one) for name, one in {**self.entries(), stem: entry}.items()}
        write_text(self.index, json.dumps(dict(sorted(found.items())), indent=1) + "\n")

    def older(self) -> list[str]:
        """The tables that lie here without an entry, by the names of their files."""
        paths = (path for form in WRITTEN for path in self.folder.glob(f"*.{form}"))
        stems = {path.stem.removesuffix("-claims") for path in paths if path != self.index}
        return sorted(stems - self.entries().keys() - {"README"})

    def run_folders(self) -> list[RunFolder]:
        """The folders among the runs, whatever is in them, by name."""
        paths = sorted(self.runs.iterdir()) if self.runs.is_dir() else []
        return [
            RunFolder(self.runs, path.name)
            for path in paths
            if path.is_dir() and path.name != "tables" and not path.name.startswith(".")
        ]

    def shown_runs(self, stem: str) -> dict[str, list[float]]:
        """The accuracies (%) that a table's file shows, by run; none of a run that measured none.

        Raises:
            ValueError: the file cannot be read.
        """
        shown: dict[str, list[float]] = {}
        try:
            (found,) = json.loads(read_bounded(self.folder / f"{stem}.json", _MOST))
            for result in (result for cell in found["cells"] for result in cell["results"]):
                for source, value in zip(result["runs"], result["accuracies"], strict=False):
                    if source is not None:
                        measured = [] if value is None else [float(value)]
                        shown.setdefault(source["run_id"], []).extend(measured)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"{stem}.json cannot be read: {error}") from error
        return shown

    def plan(self, entry: Entry, composer: Composer) -> Plan:
        """The plan of a published table, from the runs and the facts about data that lie here.

        Raises:
            UserError: as `plan`.
        """
        made = plan(entry.table, entry.overrides, composer, PublishedFacts(self.data))
        return replace(made, runs_dir=self.runs)

    def digest_of_plan(self, stem: str) -> str | None:
        """The SHA-256 of a table's recorded plan, for its entry; None if none is recorded.

        Raises:
            OSError, ValueError: the plan cannot be read.
        """
        try:
            return sha256(read_bounded(plan_among(self.runs, stem), _MOST)).hexdigest()
        except FileNotFoundError:
            return None

    def changed_plan(self, stem: str, entry: Entry) -> Iterator[str]:
        """A sentence if the recorded plan is not the one that was published."""
        name = plan_among(self.runs, stem).relative_to(self.folder)
        try:
            if self.digest_of_plan(stem) != entry.plan:
                yield f"{name} is not what was published"
        except (OSError, ValueError) as error:
            yield f"{name} cannot be read: {error}"

    def files(self, made: Plan, forms: tuple[str, ...] = WRITTEN) -> dict[str, str]:
        """The files of a table, made from the runs that are here, by name."""
        return files(made.file_stem, self._table(made), forms)

    def _table(self, made: Plan) -> Table:
        """The table, with paths relative to this folder, and no ``--config-dir`` in its command."""
        found = table(made)
        flags = shlex.join(config_flags())
        return replace(
            found,
            command=found.command.replace(f" {flags}", "") if flags else found.command,
            notes=tuple(note.replace(f"{self.folder}/", "") for note in found.notes),
        )

    def write(self, made: Plan) -> None:
        """Write all files of a table, made from the runs that are here."""
        write_files(self.folder, made.file_stem, self.files(made))

    def differences(self, made: Plan) -> Iterator[str]:
        """Where the files of a table differ from what follows from the runs that are here."""
        found = self.files(made, COMPARED)
        for path in outdated(self.folder, made.file_stem, found.keys()):
            yield f"{path.name} has claims, and the table makes none"
        for name, text in found.items():
            try:
                was = read_bounded(self.folder / name, _MOST).decode()
            except FileNotFoundError:
                yield f"{name} is missing"
                continue
            except (OSError, ValueError) as error:
                yield f"{name} cannot be read: {error}"
                continue
            yield from (_of_json if name.endswith(".json") else _of_lines)(name, was, text)


def of_no_table(publication: Publication, records: Mapping[str, Record]) -> list[str]:
    """The runs that no table shows, and that are no pre-training of a run that one shows.

    Raises:
        ValueError: the file of a table cannot be read.
    """
    needed: set[str] = set()
    for stem in publication.entries():
        needed |= publication.shown_runs(stem).keys()
    needed |= {str(one.get("pretraining")) for name, one in records.items() if name in needed}
    return sorted(records.keys() - needed)


def _entry(found: Mapping[str, Any]) -> Entry:
    kinds = {"table": str, "overrides": list, "recipe": int, "plan": str | None}
    for key, kind in kinds.items():
        if key not in found or not isinstance(found[key], kind):
            raise ValueError(f"an entry has no {key}")
    return Entry(
        found["table"], tuple(map(str, found["overrides"])), found["recipe"], found["plan"]
    )


def is_current(entry: Entry) -> bool:
    """Whether this program's recipe made the runs, so that it can make the table again."""
    return entry.recipe == RECIPE_VERSION


def _of_json(name: str, was: str, now: str) -> Iterator[str]:
    """Every value that differs, with the cell or claim that it belongs to."""
    try:
        pairs = list(_values(json.loads(was)))
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        yield f"{name} cannot be read: {error!r}"
        return
    before, after = dict(pairs), dict(_values(json.loads(now)))
    for key, count in Counter(key for key, _ in pairs).items():
        if count > 1:
            yield f"{key} is there {count} times"
    for key in {**before, **after}:
        if key not in after:
            yield f"{key} was {before[key]}, is no more"
        elif key not in before:
            yield f"{key} was not there, is {after[key]}"
        elif not _alike(before[key], after[key]):
            yield f"{key} was {before[key]}, is {after[key]}"


def _values(tables: Any) -> Iterator[tuple[str, Any]]:
    if type(tables) is not list:
        raise ValueError("it holds no tables")
    for made in tables:
        for part in ("cells", "claims"):
            for one in made.pop(part):
                names = (one.pop(key, "") for key in ("section", "row", "better", "than", "column"))
                place = ", ".join(filter(None, names))
                yield from ((f"{place}: {key}", value) for key, value in scalars(one))
        yield from scalars(made)


_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


def _of_lines(name: str, was: str, now: str) -> Iterator[str]:
    """The first line that differs: there may be many, and their values are told from the JSON."""
    lines = zip_longest(was.split("\n"), now.split("\n"), fillvalue="nothing")
    for number, (before, after) in enumerate(lines, start=1):
        same = _NUMBER.split(before) == _NUMBER.split(after) and all(
            map(_alike, _floats(before), _floats(after))
        )
        if not same:
            yield f"{name}, line {number}: was {before!r}, is {after!r}"
            return


def _floats(line: str) -> list[float]:
    return [float(text) for text in _NUMBER.findall(line)]


def _alike(was: Any, now: Any) -> bool:
    """Whether two values are the same, except for the last digits, in which libraries differ."""
    if type(was) in (int, float) and type(now) in (int, float):
        return math.isclose(was, now, rel_tol=1e-9, abs_tol=1e-12)
    return type(was) is type(now) and was == now
