"""SYSU's lists of splits, in every form in which they go round, and forms that are none."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.data import catalog
from eleatt_bench.data.protocols import PROTOCOLS, sides
from eleatt_bench.data.sources import sysu_splits

ORDER = [np.random.default_rng(fold).permutation(40) + 1 for fold in range(30)]
TESTED = [set(order[20:].tolist()) for order in ORDER]
Ids = Callable[[int], list[int]]
IDS: dict[str, Ids] = {
    "subjects": lambda subject: [subject],
    "sequences, subject by subject": lambda subject: [12 * (subject - 1) + a for a in range(1, 13)],
    "sequences, action by action": lambda subject: [40 * (a - 1) + subject for a in range(1, 13)],
}


def arrays(rows: Sequence[Sequence[int]], form: str) -> np.ndarray:
    if form in ("i8", "i4", "u2", "f8"):
        return np.array(rows, form)
    found = np.empty(len(rows), object)
    for index, row in enumerate(rows):
        found[index] = {
            "arrays": np.array(row),
            "big-endian arrays": np.array(row, ">i4"),
            "lists": list(row),
            "scalars": [np.int64(i) for i in row],
        }[form]
    return found.reshape(1, -1) if form == "arrays" else found  # as MATLAB's cells come


def write(folder: Path, ids: Ids, form: str = "i8") -> Path:
    for name, part in (("train", slice(20)), ("test", slice(20, 40))):
        rows = [[i for subject in order[part].tolist() for i in ids(subject)] for order in ORDER]
        np.save(folder / f"cross_subject_{name}_splits.npy", arrays(rows, form))
    return folder


@pytest.mark.parametrize("ids", IDS.values(), ids=IDS)
@pytest.mark.parametrize(
    "form", ["i8", "i4", "u2", "f8", "arrays", "big-endian arrays", "lists", "scalars"]
)
def test_every_form(tmp_path: Path, ids: Ids, form: str) -> None:
    assert sysu_splits.read(write(tmp_path, ids, form), 40, 12) == TESTED


def test_they_are_the_folds_of_a_store_that_has_them(tmp_path: Path, publish) -> None:
    source = publish("sysu", tmp_path).source
    plain = catalog.prepare(tmp_path, "sysu", source)
    splits = write(tmp_path, IDS["subjects"])
    store = catalog.prepare(tmp_path, "sysu", source, splits=splits)
    assert store.content_digest != plain.content_digest  # its runs are others
    for fold, tested in enumerate(TESTED):
        learn, test = sides(store, "cross_subject", fold)
        assert set(store.metadata["subject"][test].tolist()) == tested
        assert len(learn) == len(test) == 240
        assert set(sides(plain, "cross_subject", fold).test.tolist()) != set(test.tolist())
    whose = [PROTOCOLS["sysu"]["cross_subject"].fold_is(s.metadata) for s in (plain, store)]
    assert whose == [
        "data.fold=k is split k + 1 of this project's",
        "data.fold=k is split k + 1 of those that were given with --splits",
    ]
    same = [sides(s, "same_subject", 3).test.tolist() for s in (plain, store)]
    assert same[0] == same[1]


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch harmed",)


def refused(folder: Path, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        sysu_splits.read(folder, 40, 12)
    assert str(caught.value).endswith("data prepare sysu --source PATH --splits PATH")


def test_a_pickle_runs_nothing(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, IDS["subjects"])
    np.save(tmp_path / "cross_subject_test_splits.npy", np.array([Harmful()], object))
    refused(tmp_path, r"test_splits\.npy is no list of splits \(it would call .*system\)")
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.array([o[:20] for o in ORDER[:29]]), "has 29 splits of 580 ids, not 30"),
        (np.array([o[:20] - 1 for o in ORDER]), "names an id below 1, or one twice in a split"),
        (np.array([o[:19] for o in ORDER]), "does not divide 40 subjects, or their 480 sequences"),
        (np.array([o[:20] + 0.5 for o in ORDER]), r"is no list of splits \(it holds float\)"),
        (np.array(["x"] * 30), r"is no list of splits \(it holds str\)"),
        (np.zeros((30, 10_000), np.int8), "has 30 splits of 300,000 ids"),
    ],
)
def test_what_is_no_list(tmp_path: Path, array: np.ndarray, says: str) -> None:
    write(tmp_path, IDS["subjects"])
    np.save(tmp_path / "cross_subject_train_splits.npy", array)
    refused(tmp_path, says)


def test_a_list_that_is_missing_or_announces_gigabytes(tmp_path: Path) -> None:
    refused(tmp_path, r"has no file called like cross_subject_train_splits\.npy")
    path = write(tmp_path, IDS["subjects"]) / "cross_subject_train_splits.npy"
    path.write_bytes(path.read_bytes().replace(b"(30, 20)", b"(1<<40,)"))
    refused(tmp_path, "train_splits.npy is no list of splits")
    path.unlink()
    refused(tmp_path, r"has no cross_subject_train_splits\.npy: fetch")
