"""A run as it is published: without weights, and with small files of predictions and curves.

The highest of a sample's logits is subtracted from all of them, which changes no probability. The
differences are kept in half precision: finest where two classes are close, coarser where they are
far apart. A logit below the highest stays below it, so every prediction and accuracy stays exactly
the same. A probability changes by at most 10⁻³ (with up to 120 classes: half precision is off by at
most 2⁻⁹, and coarser steps take at most 4 · 10⁻⁶ from each). The logits themselves are lost. Curves
keep the digits of single precision, in which they were computed.
"""

from __future__ import annotations

import io
import re
import shlex
from contextlib import suppress

import h5py
import numpy as np
import numpy.typing as npt

from eleatt_bench.runs.curves import COLUMNS
from eleatt_bench.runs.predictions import Predictions, checked, digest_of
from eleatt_bench.runs.record import Record, RunFolder

_FOLDERS = re.compile(r"^(data|runs)_dir:.*\n(?:(?: .*)?\n)*", re.MULTILINE)
OWN_SECTIONS = ("launcher", "logger")
"""Sections about a machine and its owner: accounts, and addresses that may hold passwords."""
_SERVICES = re.compile(rf"^(?:{'|'.join(OWN_SECTIONS)}):.*\n(?:(?: .*)?\n)*", re.MULTILINE)
_OWN = re.compile(rf"[+~]{{0,2}}(?:(?:data|runs)_dir=|(?:{'|'.join(OWN_SECTIONS)})[.=])")
_WHOLE = "whole_predictions_digest"
"""The record's key for the digest that the predictions had before they were made compact."""


def compact(folder: RunFolder, record: Record) -> tuple[Record, bytes]:
    """The record and the predictions of a finished run as they are published.

    A run that is compact already stays as it is, so the same run always makes the same files.

    Raises:
        OSError, ValueError: the predictions cannot be read, or are damaged.
    """
    digest = record.get("predictions_digest")
    found = checked(folder, digest)
    record = _placeless_record(record)
    if is_compact(record):
        return record, folder.predictions.read_bytes()
    content = written(found, str(record["identity"]["data"]["name"]))
    if digest is None:  # a record of an earlier version: they stay unverified
        return record, content
    return {**record, "predictions_digest": digest_of(content), _WHOLE: digest}, content


def placeless(config: str) -> str:
    """The text of a ``config.yaml`` without what belongs to the machine that trained the run.

    Its folders become ``data`` and ``runs``. The sections of launcher and loggers are left out, and
    so have their defaults.
    """
    return _SERVICES.sub("", _FOLDERS.sub(r"\1_dir: \1\n", config))


def _placeless_record(record: Record) -> Record:
    """``record`` without what belongs to one machine in its command and overrides."""
    command = record["command"]
    with suppress(ValueError):  # a command that no shell would read stays as it is
        words = shlex.split(command)
        own = {place for place, word in enumerate(words) if _OWN.match(word)}
        for place, word in enumerate(words):
            if word == "--config-dir":
                own |= {place, place + 1}
        command = shlex.join(word for place, word in enumerate(words) if place not in own)
    kept = [word for word in record["overrides"] if not _OWN.match(word)]
    return {**record, "command": command, "overrides": kept}


def brief(curves: str) -> str:
    """The text of an ``epochs.csv`` with shorter numbers, and seconds to the millisecond.

    A number that single precision holds exactly gets just the digits that identify it there.
    """
    lines = [line.split(",") for line in curves.split("\n")]
    return "\n".join(",".join(_brief(*field) for field in enumerate(line)) for line in lines)


def _brief(column: int, text: str) -> str:
    try:
        value = float(text)
    except ValueError:  # the header, or an unknown value
        return text
    if column == COLUMNS.index("seconds"):
        return repr(round(value, 3))
    with np.errstate(over="ignore"):
        single = np.float32(value)
    return min(text, str(single), key=len) if column and float(single) == value else text


def same(one: Record, other: Record) -> bool:
    """Whether two records are of the same training, published or not."""
    return _essence(one) == _essence(other)


def is_compact(record: Record) -> bool:
    """Whether the predictions of the run with ``record`` lost their exact logits."""
    return _WHOLE in record


def _essence(record: Record) -> Record:
    whole = record.get(_WHOLE, record.get("predictions_digest"))
    return {**_placeless_record(record), "predictions_digest": whole, _WHOLE: None}


def written(found: Predictions, dataset: str) -> bytes:
    """An HDF5 file of compact predictions of ``dataset``'s test samples; always the same bytes."""
    columns = {
        "logits": below_highest(found.logits),
        "label": found.labels.astype(np.int16),
        "name": found.names,
    }
    if found.clean is not None:
        columns["clean"] = found.clean
    content = io.BytesIO()
    with h5py.File(content, "w", libver=("v110", "v110")) as file:  # 8 KB less than the earliest
        # Texts of a fixed width: h5py keeps any other text in a heap of 4 KB.
        file.attrs["dataset"] = np.bytes_(dataset.encode())
        file.attrs["class_names"] = np.array([name.encode() for name in found.class_names])
        for name, values in columns.items():
            file.create_dataset(
                name, data=values, chunks=values.shape, compression="gzip", compression_opts=9,
                shuffle=True, track_times=False,
            )  # fmt: skip
    return content.getvalue()


def below_highest(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float16]:
    """Each logit (N, C) minus the highest of its row: 0 for the highest, below 0 for lower ones.

    From a distance of 7 on, a class has less than a thousandth of the highest one's probability.
    There the steps double whenever that probability halves, up to whole numbers at 12; from 16 on
    they are 4.
    """
    exact = logits.astype(np.float64)
    exact -= exact.max(axis=1, keepdims=True)
    kinds = np.finfo(np.float16)
    rounded = np.maximum(exact, kinds.min).astype(np.float16)
    rounded[(rounded == 0) & (exact < 0)] = -kinds.smallest_subnormal
    far = rounded <= -7
    distance = -rounded[far].astype(np.float64)
    step = 2.0 ** np.minimum(np.floor(np.floor(distance) / np.log(2)) - 17, 0)
    step[distance >= 16] = 4
    rounded[far] = -(np.rint(distance / step) * step)
    return rounded
