"""The page of a run, and its line in lists of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.files import read_bounded
from eleatt_bench.data import catalog
from eleatt_bench.data.store import SequenceStore
from eleatt_bench.report.losses import LOSSES
from eleatt_bench.report.site import charts
from eleatt_bench.report.site.mistakes import Mistake, by_class, mistakes, most_confused
from eleatt_bench.report.site.pages import write_page
from eleatt_bench.report.site.samples import picture
from eleatt_bench.runs.curves import Curve, CurveReader, logged
from eleatt_bench.runs.form import MOST, says_finished
from eleatt_bench.runs.identity import data_of, model_name
from eleatt_bench.runs.predictions import Predictions, read_predictions
from eleatt_bench.runs.record import Record, RunFolder, epoch_of
from eleatt_bench.runs.title import title
from eleatt_bench.tables.statistics import proportion

_PAIRS = 10  # of classes that are confused
_ENVIRONMENT = (
    "device", "accelerator", "num_threads", "backend", "precision", "git_commit", "data_digest"
)  # fmt: skip


class RunPage(NamedTuple):
    """The page of a run, to be made below ``out``.

    It has up to ``pictures`` misclassified samples in pictures, and links to the ``tables`` that
    show the run, each given by title and page.
    """

    folder: RunFolder
    data_dir: Path
    out: Path
    pictures: int
    tables: tuple[tuple[str, str], ...]


class Line(NamedTuple):
    """A run in a list of runs; what is not known of it is None."""

    run_id: str
    title: str
    status: str
    data: str | None
    protocol: str | None
    fold: int | None
    model: str | None
    seed: int | None
    accuracy: float | None  # %
    seconds: float | None
    started: str | None


class Made(NamedTuple):
    line: Line
    losses: dict[str, Curve]


def write_run(job: RunPage) -> Made:
    """Write the page of a run; whatever is missing or damaged is said there."""
    folder = job.folder
    record, damage = folder.read() or {}, folder.damage()
    line = _line(folder, record)
    reader = CurveReader(folder)
    events = logged(folder.tensorboard)
    curves = events | reader.read()
    problems = [one for one in (damage, reader.damage()) if one]
    if not events and says_finished(record):
        problems.append(
            "It has no event files, which logger=tensorboard writes: there are no curves of "
            "gradients and gates"
        )
    found = None
    try:
        found = read_predictions(folder)
    except UserError as error:
        problems.append(str(error))
    problems += _incomplete(record, job.data_dir)
    if "error" in record:
        problems.append(f"It failed: {record['error']}")
    tested = epoch_of(record)
    write_page(
        job.out,
        f"runs/{folder.run_id}.html",
        "run",
        line=line,
        record=record,
        problems=problems,
        tables=job.tables,
        metrics=_metrics(record, found),
        curves=charts.curves(curves, tested),
        tested_epoch=tested,
        mistakes=None if found is None else _mistakes(found, job, record),
        settings=_settings(folder),
        environment=_environment(record),
    )
    return Made(line, {tag: curves[tag] for tag in LOSSES})


def _incomplete(record: Record, data_dir: Path) -> list[str]:
    """Remarks if the data here are incomplete that the run, or its pre-training, was trained on."""
    remarks: dict[str, None] = {}
    for name, digest in data_of(record["identity"]) if record else ():
        with suppress(UserError):  # the page says it in place of the pictures
            if catalog.data_digest(data_dir, name) == digest:
                remark = catalog.incomplete(data_dir, name)
                if remark:
                    remarks[f"Data set {name}: {remark}"] = None
    return list(remarks)


def _line(folder: RunFolder, record: Record) -> Line:
    """The line of a run, from its record; without one, its title is the name of its folder."""
    timing, test = record.get("timing", {}), record.get("metrics", {}).get("test", {})
    data = record["identity"]["data"] if record else {}
    return Line(
        run_id=folder.run_id,
        title=title(record) if record else folder.run_id,
        status=folder.status(),
        data=data.get("name"),
        protocol=data.get("protocol"),
        fold=data.get("fold"),
        model=model_name(record["identity"]) if record else None,
        seed=record.get("seed"),
        accuracy=100 * test["accuracy"] if "accuracy" in test else None,
        seconds=_seconds(record),
        started=timing.get("started"),
    )


def _seconds(record: Record) -> float | None:
    """How many seconds the run took.

    Records of earlier versions, which say nothing about devices, time the last process alone. Then
    the time of a run that was continued is estimated from its epochs.
    """
    timing = record.get("timing", {})
    if "devices" in record or not timing.get("resumed_after_epoch"):
        found: float | None = timing.get("seconds")
        return found
    each = timing.get("seconds_per_epoch")
    return None if each is None else float(each) * int(record["epochs"])


def _metrics(record: Record, found: Predictions | None) -> list[tuple[str, str]]:
    """The metrics of the run as text; the test accuracy with its interval over test samples."""
    shown = []
    metrics = record.get("metrics", {})
    for stage in ("test", "val", "train"):
        for name, value in sorted(metrics.get(stage, {}).items()):  # the accuracy first
            text = f"{value:.4g}" if name == "loss" else f"{100 * value:.2f} %"
            if stage == "test" and name == "accuracy" and found is not None:
                right, count = int(found.right.sum()), len(found.right)
                low, high = proportion(right, count)
                text += (
                    f", {right:,} of {count:,} (95 % interval {100 * low:.1f} to "
                    f"{100 * high:.1f} %, for other test samples, not other seeds)"
                )
            shown.append((f"{stage}/{name}", text))
    return shown


def _mistakes(found: Predictions, job: RunPage, record: Record) -> dict[str, Any]:
    counts = found.confusion
    names = found.class_names
    worst = mistakes(found, job.pictures)
    pictures, why_not = _pictures(worst, job.data_dir, record)
    return {
        "confusion": charts.confusion(counts, names),
        "classes": by_class(counts, names),
        "pairs": most_confused(counts, names, _PAIRS),
        "count": int((~found.right).sum()),
        "of": len(found.right),
        "worst": list(zip(worst, pictures, strict=True)),
        "why_not": why_not,
    }


def _pictures(
    worst: Sequence[Mistake], data_dir: Path, record: Record
) -> tuple[list[charts.Chart | None], str]:
    """A picture of each sample, or None, and a sentence on why there are none."""
    none: list[charts.Chart | None] = [None] * len(worst)
    if not record:
        return none, "No pictures: what the run was tested on is not known."
    try:
        store, positions = _store(data_dir, record["identity"]["data"]["name"])
    except UserError as error:
        return none, f"No pictures: {error}"
    if store.content_digest != record["identity"]["data"]["digest"]:
        return none, f"No pictures: {store.path} holds other data than this run was tested on."
    if not all(one.name in positions for one in worst):
        return none, f"No pictures: {store.path} has no samples of these names."
    found = [picture(store.sequence(positions[one.name]), store.layout, one.name) for one in worst]
    features = worst and found[0] is None
    return found, "No pictures: the samples are features of a network." if features else ""


@lru_cache(maxsize=8)
def _store(data_dir: Path, name: str) -> tuple[SequenceStore, Mapping[str, int]]:
    """The store of a data set, and the position of each sample in it by name."""
    if catalog.data_digest(data_dir, name) is None:
        raise UserError(f"the data set {name} is not prepared here")
    store = catalog.open_store(data_dir, name)
    return store, {name: position for position, name in enumerate(store.names)}


def _settings(folder: RunFolder) -> str | None:
    try:
        return read_bounded(folder.config, MOST).decode()
    except (OSError, ValueError):
        return None


def _environment(record: Record) -> list[tuple[str, str]]:
    found = [(key, str(record[key])) for key in _ENVIRONMENT if record.get(key) is not None]
    if record and "predictions_digest" not in record:
        found.append(("predictions", "unverified: the record has no digest of them"))
    found += [
        (key, f"{value:,.6g}" if isinstance(value, int | float) else str(value))
        for key, value in record.get("timing", {}).items()
        if value is not None
    ]
    return found + [(key, str(value)) for key, value in record.get("versions", {}).items()]
