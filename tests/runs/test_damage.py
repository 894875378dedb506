"""Whatever became of a run's files, whoever reads them goes on, quickly, or says what is wrong."""

from __future__ import annotations

import json
import os
import random
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eleatt_bench.cli.runs import runs
from eleatt_bench.common.cache import Cache
from eleatt_bench.common.errors import UserError
from eleatt_bench.runs import apart
from eleatt_bench.runs.apart import Apart
from eleatt_bench.runs.predictions import Predictions, parse, read_predictions, write_predictions
from eleatt_bench.runs.record import RunFolder, all_runs
from eleatt_bench.runs.title import title

FEW = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
MANY = settings(FEW, max_examples=5000)
SEEDS = st.integers(0, 2**64)

HOSTILE: list[Any] = [
    None, True, 0, -1, 10**30, 1e308, float("nan"), float("inf"), "", "é", "\ud800", "a\0b",
    "../../x", "[/red]", [], {}, [[]], {"": {}}, "x" * 5000, {"accuracy": "high"},
]  # fmt: skip


@contextmanager
def soon(seconds: float = 2.0) -> Iterator[None]:
    began = time.process_time()
    yield
    assert time.process_time() - began < seconds


def mangled(content: bytes, seed: int) -> bytes:
    """``content`` cut, flipped, moved or filled at a few places."""
    chance = random.Random(seed)
    found = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        place, length = chance.randrange(len(found) + 1), chance.choice((1, 1, 2, 8, 64, 500))
        match chance.randrange(5):
            case 0:
                del found[place:]
            case 1:
                del found[place : place + length]
            case 2:
                found[place:place] = chance.randbytes(length)
            case 3:
                found[place : place + length] = found[chance.randrange(len(found) + 1) :][:length]
            case 4 if place < len(found):
                found[place] ^= 1 << chance.randrange(8)
    return bytes(found)


def rebuilt(record: dict[str, Any], seed: int) -> bytes:
    """``record`` with other values, without keys or with more, at a few places."""
    chance = random.Random(seed)
    for _ in range(chance.randint(1, 3)):
        node: Any = record
        while isinstance(node, dict) and node:
            key = chance.choice(list(node))
            below = node[key]
            if isinstance(below, dict) and below and chance.random() < 0.7:
                node = below
                continue
            match chance.randrange(3):
                case 0:
                    del node[key]
                case 1:
                    node[key] = deepcopy(chance.choice(HOSTILE))
                case 2:
                    other = chance.choice(["x/accuracy", "a.b", key + "2"])
                    node[other] = deepcopy(chance.choice(HOSTILE))
            break
    return json.dumps(record).encode()


@pytest.fixture
def shelf(make_run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[RunFolder, bytes]:
    """A whole run that something happens to, and its record; there is another beside it."""
    monkeypatch.setenv("ELEATT_RUNS", str(tmp_path))
    make_run(0.75, seed=1)
    folder = make_run(0.5, seed=0)
    folder.tensorboard.mkdir()
    return folder, folder.record.read_bytes()


def look_around(folder: RunFolder) -> None:
    """Ask for everything that a record answers."""
    other = next(run for run in all_runs(folder.path.parent) if run.run_id != folder.run_id)
    assert other.status() == "finished"
    record = folder.read()
    assert (record is None) == (folder.status() == "damaged")
    damage = folder.damage()
    if record is None:
        assert damage is not None
        assert damage.startswith(f"{folder.record} is damaged (")
        assert "\n" not in damage
        assert len(damage) < 700
    else:
        title(record).encode()
    for arguments in (
        ["list"], ["list", "--format", "csv"], ["list", "--format", "json"],
        ["list", "seed=0", "--sort", "test/accuracy"], ["list", "trainer.devices=1"],
        ["show", folder.run_id], ["compare", folder.run_id, other.run_id], ["gc", "--dry-run"],
    ):  # fmt: skip
        runs(arguments)


def check_bytes(shelf, seed: int) -> None:
    folder, whole = shelf
    folder.record.write_bytes(mangled(whole, seed))
    with soon():
        look_around(folder)


def check_structure(shelf, seed: int) -> None:
    folder, whole = shelf
    folder.record.write_bytes(rebuilt(json.loads(whole), seed))
    with soon():
        look_around(folder)


@FEW
@given(seed=SEEDS)
def test_a_record_of_other_bytes(shelf, seed: int) -> None:
    check_bytes(shelf, seed)


@FEW
@given(seed=SEEDS)
def test_a_record_of_another_structure(shelf, seed: int) -> None:
    check_structure(shelf, seed)


@pytest.mark.slow
@MANY
@given(seed=SEEDS)
def test_many_records_of_other_bytes(shelf, seed: int) -> None:
    check_bytes(shelf, seed)


@pytest.mark.slow
@MANY
@given(seed=SEEDS)
def test_many_records_of_another_structure(shelf, seed: int) -> None:
    check_structure(shelf, seed)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is not JSON"),
        (b"\xff\xfe{", "it is not UTF-8"),
        (b"[]", "it is no record"),
        (b"[" * 100_000, "it is nested deeper than 32 levels"),
        (b"[" * 500 + b"]" * 500, "it is nested deeper than 32 levels"),
        (b'{"epochs": ' + b"9" * 5000 + b"}", "it has an integer beyond 64 bits"),
        (b'{"epochs": ' + b"9" * 40 + b"}", "it has an integer beyond 64 bits"),
        (b'{"epochs": NaN}', "it has the number nan"),
        (b'{"error": "\\ud800"}', "surrogates not allowed"),
        (b'{"status": "finished"}', "it lacks run_id"),
        (b'"' + b"x" * (1 << 20) + b'"', "more than the 1,048,576 it may have"),
    ],
)
def test_what_is_wrong_is_said(shelf, content: bytes, says: str) -> None:
    folder, _ = shelf
    folder.record.write_bytes(content)
    assert says in str(folder.damage())
    look_around(folder)


@pytest.mark.parametrize(
    "key",
    ["run_id", "status", "identity", "overrides", "command", "data_digest", "metrics", "epochs",
     "parameters", "device", "accelerator", "num_threads", "backend", "timing"],
)  # fmt: skip
def test_a_finished_record_has_all_that_its_page_names(shelf, key: str) -> None:
    folder, whole = shelf
    record = json.loads(whole)
    del record[key]
    folder.record.write_text(json.dumps(record))
    assert f"it lacks {key}" in str(folder.damage())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"run_id": "digits-gru-seed0-000000000000"}, "it is the record of digits-gru-seed0-0000"),
        ({"selection": "../../../../secret"}, "selection must be best or last, not"),
        ({"metrics": {"test": {"accuracy": 1.5}}}, "accuracies from 0 to 1"),
        ({"metrics": {"test": {"accuracy": 0.5}}}, "its metrics lack an accuracy"),
        ({"device": "x\n\n# 99.9 %"}, r'device must be a line of text, not "x\n'),
        ({"versions": {"torch": "\x1b[2J"}}, "versions must be lines of text by name"),
        ({"epochs": 0}, "epochs must be a count above 0, not 0"),
        ({"epochs": True}, "epochs must be a count above 0, not true"),
        ({"timing": {"seconds": "long"}}, "timing must be moments and numbers"),
        ({"status": "done"}, "status must be one of running, finished, failed"),
        ({"overrides": [1]}, "overrides must be a list of texts"),
    ],
)
def test_a_value_of_another_kind_is_damage(shelf, change: dict[str, Any], says: str) -> None:
    folder, whole = shelf
    folder.record.write_text(json.dumps(json.loads(whole) | change))
    assert says in str(folder.damage())
    assert folder.read() is None


def test_a_record_with_another_identity_than_its_name_says(shelf) -> None:
    folder, whole = shelf
    record = json.loads(whole)
    record["identity"]["model"]["hidden_size"] += 1
    folder.record.write_text(json.dumps(record))
    assert "its identity is that of another run, digits-eleatt_gru-seed0-" in str(folder.damage())


@pytest.mark.parametrize("key", ["best_epoch", "selection", "seed", "versions", "git_commit"])
def test_a_record_of_an_earlier_version_lacks_what_came_later(shelf, key: str) -> None:
    folder, whole = shelf
    record = json.loads(whole)
    record.pop(key, None)
    record["identity"]["recipe_version"] = 1
    folder.record.write_text(json.dumps(record))
    assert folder.status() == "finished"
    look_around(folder)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def plug(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(here)


def folder_there(path: Path) -> None:
    path.mkdir()
    (path / "mine.txt").write_text("mine")


def link_to_nothing(path: Path) -> None:
    path.symlink_to("nothing")


def link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("name", ["record.json", "config.yaml", "predictions.h5", ".lock"])
@pytest.mark.parametrize(
    "make", [pipe, plug, folder_there, link_to_itself, endless], ids=lambda make: make.__name__
)
@pytest.mark.few(6)
def test_something_else_in_the_place_of_a_file_is_not_waited_for(shelf, make, name: str) -> None:
    folder, _ = shelf
    path = folder.path / name
    path.unlink(missing_ok=True)
    make(path)
    with soon():
        folder.status()
        folder.read()
        folder.read_config()
        if name == "predictions.h5":
            with pytest.raises(UserError, match="is damaged"):
                read_predictions(folder)
        for arguments in (["list", "trainer.devices=1"], ["gc", "--dry-run"]):
            runs(arguments)


BOMB = "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9) if before else 1}]\n"
    for before, name in zip(["", *"abcdefg"], "abcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (BOMB, "it has anchors or aliases"),
        ("[" * 100_000, "it is nested deeper than 32 levels"),
        ("seed: [", "it is not YAML"),
        ("a: ${oc.env:HOME}", "it has interpolations"),
        ("a: 2020-01-01", "it has a date"),
        ("a: .nan", "it has the number nan"),
        ("a: !!python/object:os.system x", "it is not YAML"),
        ("- 1", "it is no configuration"),
        ("a: \udcff", "it is not UTF-8"),
    ],
)
def test_a_damaged_configuration(shelf, capsys, content: str, says: str) -> None:
    folder, _ = shelf
    folder.config.write_bytes(content.encode(errors="surrogateescape"))
    with soon():
        assert says in str(folder.read_config()[1])
        runs(["list", "trainer.devices=1"])
    said = capsys.readouterr()
    assert f"{folder.config} is damaged ({says}" in said.err
    assert len(said.out.splitlines()) == 2, "the other one"


@FEW
@given(seed=SEEDS)
def test_a_configuration_of_other_bytes(shelf, seed: int) -> None:
    folder, _ = shelf
    whole = (next(run for run in all_runs(folder.path.parent) if run != folder)).config.read_bytes()
    folder.config.write_bytes(mangled(whole, seed))
    with soon():
        config, damage = folder.read_config()
        assert (config is None) != (damage is None)
        runs(["list", "trainer.devices=1"])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The predictions of 60 samples of 10 classes."""
    chance = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("written") / "predictions.h5"
    found = Predictions(
        names=np.array([f"sample{i}".encode() for i in range(60)]),
        labels=chance.integers(0, 10, 60),
        logits=chance.normal(size=(60, 10)).astype(np.float32),
        class_names=tuple(map(str, range(10))),
        clean=chance.random(60) < 0.5,
    )
    write_predictions(path, found, "digits")
    return path.read_bytes()


@pytest.fixture
def quick_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "SECONDS", 0.5)


_READER = Apart(parse)


@FEW
@given(seed=SEEDS)
def test_predictions_of_other_bytes(written: bytes, quick_limit, seed: int) -> None:
    """Another process may hang or die of them, this one does not."""
    with suppress(ValueError):
        _READER.check(mangled(written, seed))


@pytest.mark.slow
@MANY
@given(seed=SEEDS)
def test_many_predictions_of_other_bytes(written: bytes, quick_limit, seed: int) -> None:
    with suppress(ValueError):
        _READER.check(mangled(written, seed))


ODD = """
import os
def hang(content):
    while content: pass
def end(content):
    os.abort()
"""


def test_who_hangs_or_dies_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: bytes
) -> None:
    (tmp_path / "odd.py").write_text(ODD)
    monkeypatch.setattr(apart, "SECONDS", 0.2)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    for name, says in (("hang", "reading it does not end"), ("end", "ends a process")):
        reader = Apart(SimpleNamespace(__module__="odd", __name__=name))
        for _ in range(2):
            with pytest.raises(ValueError, match=says):
                reader.check(written)
        reader.end()
    _READER.check(written)


def test_threads_and_forks_each_get_their_answer(make_run, written: bytes) -> None:
    """The predictions of a record without a digest are read apart."""
    folder = make_run()
    folder.predictions.write_bytes(written)
    read_predictions(folder)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(read_predictions, [folder] * 8))
    assert len({one.labels.tobytes() for one in found}) == 1
    child = os.fork()
    if child == 0:
        whole = read_predictions(folder)
        os._exit(0 if whole is not None and len(whole.labels) == 60 else 1)
    assert os.waitpid(child, 0)[1] == 0
    read_predictions(folder)


def test_the_record_vouches_for_the_predictions(make_run, written: bytes) -> None:
    folder = make_run()
    found = parse(written)
    record = folder.read()
    digest = write_predictions(folder.predictions, found, "digits")
    folder.write({**record, "predictions_digest": digest})
    same = read_predictions(folder)
    assert same is not None
    assert np.array_equal(same.logits, found.logits)
    content = bytearray(folder.predictions.read_bytes())
    content[len(content) // 2] ^= 1
    folder.predictions.write_bytes(content)
    with pytest.raises(UserError, match=r"\(it is not what the record says was written\)"):
        read_predictions(folder)


def changed(content: bytes, path: Path, change) -> bytes:
    path.write_bytes(content)
    with h5py.File(path, "r+") as file:
        change(file)
    return path.read_bytes()


def replaced_by(name: str, make):
    def change(file: h5py.File) -> None:
        del file[name]
        make(file, name)

    return change


def outside(file: h5py.File, name: str) -> None:
    file[name] = h5py.ExternalLink("/etc/passwd", "/x")


def stored_outside(file: h5py.File, name: str) -> None:
    file.create_dataset(name, (60,), "i8", external=[("/etc/passwd", 0, 480)])


def huge(file: h5py.File, name: str) -> None:
    file.create_dataset(name, (1 << 40,), "i8")


def packed(file: h5py.File, name: str) -> None:
    file.create_dataset(name, (1 << 24,), "i8", chunks=(1 << 16,), compression="gzip")


def in_one_chunk(file: h5py.File, name: str) -> None:
    file.create_dataset(name, (60,), "i8", chunks=(1 << 24,), maxshape=(None,), compression="gzip")


def otherwise_packed(file: h5py.File, name: str) -> None:
    file.create_dataset(name, (60,), "i8", data=np.zeros(60), chunks=(60,), compression="lzf")


def packed_texts(file: h5py.File, name: str) -> None:
    file.create_dataset(name, (60,), h5py.string_dtype(), chunks=(60,))


def beyond_single(file: h5py.File, name: str) -> None:
    file.create_dataset(name, data=np.full((60, 10), 1e300))


def soft(file: h5py.File, name: str) -> None:
    file[name] = h5py.SoftLink("/name")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (replaced_by("label", outside), "it has no label"),
        (replaced_by("label", stored_outside), "its label is not an array of this file"),
        (replaced_by("label", soft), "it has no label"),
        (replaced_by("label", huge), "its label is larger than the file"),
        (replaced_by("label", packed), "its label is larger than the file"),
        (replaced_by("label", in_one_chunk), "its label is stored in chunks of 134,217,728 bytes"),
        (replaced_by("label", otherwise_packed), "its label is packed in a way that is not read"),
        (replaced_by("label", lambda file, name: file.create_group(name)), "its label is not"),
        (replaced_by("label", lambda *_: None), "it has no label"),
        (replaced_by("name", packed_texts), "its name is packed in a way that is not read"),
        (replaced_by("logits", beyond_single), "it has logits that are no numbers"),
        (lambda file: file["label"].__setitem__(0, 10), "it has labels of no class"),
        (lambda file: file["label"].__setitem__(0, -1), "it has labels of no class"),
        (lambda file: file["logits"].__setitem__((0, 0), np.nan), "logits that are no numbers"),
        (lambda file: file["name"].__setitem__(0, b"\xff"), "can't decode byte"),
        (lambda file: file.attrs.__setitem__("class_names", ["a"]), "parts are of different sizes"),
        (lambda file: file.attrs.__delitem__("class_names"), "its class_names are no list"),
    ],
)
def test_what_predictions_must_be(written: bytes, tmp_path: Path, change, says: str) -> None:
    with pytest.raises(ValueError, match=says), soon():
        parse(changed(written, tmp_path / "predictions.h5", change))


TYPES = [
    "i1", "u8", "f2", "f8", "g", "?", "c8", "S1", "V3", np.dtype([("a", "i8")]),
    np.dtype(("i8", (2,))), h5py.string_dtype(), h5py.ref_dtype, h5py.regionref_dtype,
    h5py.vlen_dtype("i8"), h5py.enum_dtype({"yes": 1}),
]  # fmt: skip
SHAPES = [None, (), (0,), (1,), (60,), (60, 10), (0, 10), (60, 1, 1)]  # None: without values


@settings(FEW, max_examples=100)
@given(
    part=st.sampled_from(["name", "label", "logits", "clean"]),
    dtype=st.sampled_from(TYPES),
    shape=st.sampled_from(SHAPES),
)
def test_another_array_is_read_or_refused_in_words(
    written: bytes, tmp_path: Path, part: str, dtype: Any, shape: tuple[int, ...] | None
) -> None:
    def make(file: h5py.File, name: str) -> None:
        if shape is None:
            file[name] = h5py.Empty(dtype)
        else:
            file.create_dataset(name, shape, dtype)

    says = f"^its {part} is |^its parts are of different sizes$|^it has labels of no class$"
    content = changed(written, tmp_path / "predictions.h5", replaced_by(part, make))
    said = ""
    try:
        parse(content)
    except ValueError as error:
        said = str(error)
    assert not said or re.match(says, said)


@FEW
@given(seed=SEEDS)
def test_a_cache_of_other_bytes_costs_time_alone(tmp_path: Path, monkeypatch, seed: int) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = tmp_path / "eleatt-bench" / "answers.jsonl"
    path.unlink(missing_ok=True)
    first = Cache("answers", "f", 10)
    assert first.find("what", lambda: 2) == 2
    first.write()
    whole = path.read_bytes()
    damaged = mangled(whole, seed)
    path.write_bytes(damaged)
    expected = 2 if damaged == whole else 3
    cache = Cache("answers", "f", 10)
    assert cache.find("what", lambda: 3) == expected
    cache.write()
    again = Cache("answers", "f", 10)
    assert again.find("what", lambda: 4) == expected
