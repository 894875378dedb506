"""A run as it is published: no weights, and predictions and curves in little room.

Of each sample's logits the highest is taken away, which changes no probability; what is left is
kept in half precision, finest where two classes are close, and coarser where they are far apart.
Whoever was below stays below, so every prediction and accuracy is exactly as it was. A probability
is as it was within 10⁻³ (of up to 120 classes: half precision is off by 2⁻⁹ at most, and what is
coarser takes at most 4 · 10⁻⁶ from each), and the logits themselves are lost. Curves keep the
digits of single precision, in which they were computed.
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
"""What is of a machine and its owner: accounts, addresses, which may hold passwords."""
_SERVICES = re.compile(rf"^(?:{'|'.join(OWN_SECTIONS)}):.*\n(?:(?: .*)?\n)*", re.MULTILINE)
_OWN = re.compile(rf"[+~]{{0,2}}(?:(?:data|runs)_dir=|(?:{'|'.join(OWN_SECTIONS)})[.=])")
_WHOLE = "whole_predictions_digest"
"""The key of the digest that the predictions had before; what it names is the same run."""


def compact(folder: RunFolder, record: Record) -> tuple[Record, bytes]:
    """The record and the predictions of a finished run as they are published.

    What is compact already stays as it is, so the same run always makes the same files.

    Raises:
        OSError, ValueError: the predictions cannot be read, or are damaged.
    """
    digest = record.get("predictions_digest")
    found = checked(folder, digest)
    record = _placeless_record(record)
    if _WHOLE in record:
        return record, folder.predictions.read_bytes()
    content = written(found, str(record["identity"]["data"]["name"]))
    if digest is None:  # of an earlier version: they stay unverified
        return record, content
    return {**record, "predictions_digest": digest_of(content), _WHOLE: digest}, content


def placeless(config: str) -> str:
    """The text of a ``config.yaml`` without the folders of the machine that trained the run, and
    without the sections of launcher and loggers, which then have their defaults."""
    return _SERVICES.sub("", _FOLDERS.sub(r"\1_dir: \1\n", config))


def _placeless_record(record: Record) -> Record:
    """``record`` with a command and overrides that are not of one machine alone."""
    command = record["command"]
    with suppress(ValueError):  # what no shell would read stays as it is
        words = shlex.split(command)
        own = {place for place, word in enumerate(words) if _OWN.match(word)}
        for place, word in enumerate(words):
            if word == "--config-dir":
                own |= {place, place + 1}
        command = shlex.join(word for place, word in enumerate(words) if place not in own)
    kept = [word for word in record["overrides"] if not _OWN.match(word)]
    return {**record, "command": command, "overrides": kept}


def brief(curves: str) -> str:
    """The text of an ``epochs.csv``, seconds to the millisecond.

    Numbers that single precision holds have as few digits as tell them from others of its.
    """
    lines = [line.split(",") for line in curves.split("\n")]
    return "\n".join(",".join(_brief(*field) for field in enumerate(line)) for line in lines)


def _brief(column: int, text: str) -> str:
    try:
        value = float(text)
    except ValueError:  # the header, or what is not known
        return text
    if column == COLUMNS.index("seconds"):
        return repr(round(value, 3))
    with np.errstate(over="ignore"):
        single = np.float32(value)
    return min(text, str(single), key=len) if column and float(single) == value else text


def same(one: Record, other: Record) -> bool:
    """Whether two records are of the same training, published or not."""
    return _essence(one) == _essence(other)


def _essence(record: Record) -> Record:
    whole = record.get(_WHOLE, record.get("predictions_digest"))
    return {**_placeless_record(record), "predictions_digest": whole, _WHOLE: None}


def written(found: Predictions, dataset: str) -> bytes:
    """A file of compact predictions of ``dataset``'s test samples; always the same bytes."""
    columns = {
        "logits": below_highest(found.logits),
        "label": found.labels.astype(np.int16),
        "name": found.names,
    }
    if found.clean is not None:
        columns["clean"] = found.clean
    content = io.BytesIO()
    with h5py.File(content, "w", libver=("v110", "v110")) as file:  # 8 KB less than the earliest
        # Of a fixed width: h5py keeps any other text in a heap of 4 KB.
        file.attrs["dataset"] = np.bytes_(dataset.encode())
        file.attrs["class_names"] = np.array([name.encode() for name in found.class_names])
        for name, values in columns.items():
            file.create_dataset(
                name, data=values, chunks=values.shape, compression="gzip", compression_opts=9,
                shuffle=True, track_times=False,
            )  # fmt: skip
    return content.getvalue()


def below_highest(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float16]:
    """How far each logit (N, C) is from its row's highest: 0 there, and below 0 everywhere else.

    From 7 on, where a class has less than a thousandth of the highest one's probability, the steps
    double as often as that probability halves, up to whole numbers at 12; from 16 on they are 4.
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
