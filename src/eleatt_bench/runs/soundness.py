"""Whether the files of a finished run are whole, and agree with one another."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from eleatt_bench.common.errors import reason
from eleatt_bench.common.files import read_bounded
from eleatt_bench.runs.curves import Curve, CurveReader
from eleatt_bench.runs.form import MOST, parse_config, parse_record, says_finished
from eleatt_bench.runs.identity import RECIPE_VERSION, identity
from eleatt_bench.runs.predictions import Predictions, accuracy, checked
from eleatt_bench.runs.record import Record, RunFolder, epoch_of


def sound(folder: RunFolder) -> Record:
    """The record of a finished run from anywhere, once all of the run's files agree with it.

    The record is that of the run that the folder is named after. The configuration has its
    identity. The predictions have its digest, accuracies and number of samples. The curves have all
    epochs and its validation accuracy.

    Raises:
        ValueError: a file is missing or does not agree; it names the first such file.
    """
    return sound_with_predictions(folder)[0]


def sound_with_predictions(folder: RunFolder) -> tuple[Record, Predictions]:
    """The record as from `sound`, and the predictions, which it had to read."""
    with _naming("record.json"):
        record = parse_record(read_bounded(folder.record, MOST), folder.run_id)
        if not says_finished(record):
            raise ValueError(f"its run is {record['status']}: only a finished one counts")
        _check_identity(record)
    with _naming("config.yaml"):
        _check_config(parse_config(read_bounded(folder.config, MOST)), record)
    with _naming("predictions.h5"):
        found = checked(folder, record.get("predictions_digest"), trusted=False)
        samples = record.get("samples", {}).get("test", len(found.labels))
        if samples != len(found.labels):
            raise ValueError(f"it has {len(found.labels):,} samples, the record {samples:,}")
        for metric, value in record["metrics"]["test"].items():
            again = accuracy(found, metric)
            if again not in (None, value):
                raise ValueError(f"its {metric} is {again:.4%}, that of the record {value:.4%}")
    with _naming("epochs.csv"):
        reader = CurveReader(folder)
        if folder.epochs.exists():  # runs of earlier versions have none
            curves = reader.read()
            if wrong := reader.wrong():
                raise ValueError(f"it {wrong}")
            _check_validation(curves["val/accuracy"], record)
    return record, found


def _check_identity(record: Record) -> None:
    """Check that a record agrees with itself in what it says twice."""
    this = record["identity"]
    for key, said in (("seed", this["seed"]), ("data_digest", this["data"]["digest"])):
        if record.get(key, said) != said:
            raise ValueError(f"its {key} is {record[key]}, that of its identity {said}")


def _check_validation(curve: Curve, record: Record) -> None:
    """Check that the curve has the record's validation accuracy, in single precision."""
    tested = epoch_of(record) or 0
    found, said = curve.get(tested), record["metrics"]["val"]["accuracy"]
    if found is not None and not math.isclose(found, said, abs_tol=1e-6):
        raise ValueError(
            f"its validation accuracy of epoch {tested} is {found:.4%}, that of the record "
            f"{said:.4%}"
        )


@contextmanager
def _naming(file: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise ValueError(f"{file} is missing") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{file}: {reason(error)}") from error


def _check_config(config: dict[str, Any], record: Record) -> None:
    recorded = record["identity"]
    if recorded["recipe_version"] != RECIPE_VERSION:  # other programs had other settings
        return
    try:
        said = identity(config, recorded["data"]["digest"], recorded.get("pretraining"))
    except (KeyError, TypeError, AttributeError):
        raise ValueError("it is no configuration of a run") from None
    if said != recorded:
        parts = (key for key in {**said, **recorded} if said.get(key) != recorded.get(key))
        raise ValueError(f"its {next(parts)} is not that of the record")
